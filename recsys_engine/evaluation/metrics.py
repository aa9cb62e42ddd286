"""What a list is worth: accuracy against what was bought, and how much of the shop it shows.

Lists and truths are item codes; lists are best first, without repeats. Every accuracy metric lies in 0…1.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
TAILS = (0.025, 0.975)  # a 95 % interval
Values = NDArray[np.float64]


def recall_at(listed: Sequence[int], wanted: Collection[int], k: int) -> float:
    """Share of the wanted items among the first k."""
    return len(set(listed[:k]) & set(wanted)) / len(wanted) if wanted else 0.0


def hit_at(listed: Sequence[int], wanted: Collection[int], k: int) -> float:
    """1 when any of the first k was wanted."""
    return float(bool(set(listed[:k]) & set(wanted)))


def ndcg_at(listed: Sequence[int], wanted: Collection[int], k: int) -> float:
    """Σ over hits of 1/log2(rank + 1), over the same sum for the best possible list (Järvelin & Kekäläinen 2002)."""
    if not wanted:
        return 0.0
    gain = sum(1 / np.log2(place + 2) for place, item in enumerate(listed[:k]) if item in wanted)
    best = sum(1 / np.log2(place + 2) for place in range(min(k, len(wanted))))
    return float(gain / best)


def reciprocal_rank_at(listed: Sequence[int], wanted: Collection[int], k: int) -> float:
    """1 / rank of the first wanted item among the first k, else 0."""
    return next((1 / place for place, item in enumerate(listed[:k], 1) if item in wanted), 0.0)


def coverage(lists: Sequence[Sequence[int]], k: int, n_items: int) -> float:
    """Share of the catalogue that appears in any list."""
    shown = {item for listed in lists for item in listed[:k]}
    return len(shown) / n_items if n_items else 0.0


def novelty(lists: Sequence[Sequence[int]], k: int, buyers: Values, n_shoppers: int) -> float:
    """Mean self-information −log2(buyers / shoppers) of the shown items in bits; one buyer is the least that counts.

    Source: Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma".
    """
    shown = [item for listed in lists for item in listed[:k]]
    share = np.maximum(buyers[shown], 1) / max(n_shoppers, 1)
    return float(-np.log2(np.minimum(share, 1)).mean()) if shown else 0.0


def diversity(lists: Sequence[Sequence[int]], k: int, vectors: NDArray[np.float32]) -> float:
    """Mean over lists of 1 − mean cosine between the vectors of two different items (Ziegler et al. 2005)."""
    spreads = [_spread(vectors[list(listed[:k])]) for listed in lists if len(listed[:k]) > 1]
    return float(np.mean(spreads)) if spreads else 0.0


def _spread(rows: NDArray[np.float32]) -> float:
    count = len(rows)
    cosines = rows @ rows.T
    return float(1 - (cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def interval(values: Sequence[float], rng: np.random.Generator) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean over cases (Efron 1979); (nan, nan) without cases."""
    cases = np.asarray(values, np.float64)
    if not len(cases):
        return float("nan"), float("nan")
    means = np.array([cases[rng.integers(0, len(cases), len(cases))].mean() for _ in range(RESAMPLES)])
    low, high = np.quantile(means, TAILS)
    return float(low), float(high)


def paired_interval(ours: Sequence[float], theirs: Sequence[float], rng: np.random.Generator) -> tuple[float, float]:
    """Interval of the mean difference over the same cases: above 0 means ours is better.

    Raises:
        ValueError: the two did not answer the same number of cases.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} cases against {len(theirs)}: a paired comparison needs the same cases")
    return interval((np.asarray(ours) - np.asarray(theirs)).tolist(), rng)
