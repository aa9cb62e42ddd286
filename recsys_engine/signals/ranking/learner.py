"""A ranker learned from past windows: LambdaMART where lightgbm is installed, ridge regression otherwise."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from recsys_engine.signals.ranking.columns import Candidates
from recsys_engine.signals.ranking.orders import Bools, Floats, Ints

ROUNDS = 160
SEED = 42
RIDGE = 10.0
TREES: dict[str, Any] = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 30,
    "learning_rate": 0.06,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5,
    "max_bin": 63,
    "num_threads": 1,
    "seed": SEED,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


class Ranker(Protocol):
    """Scores rows of features; contributions have one column per feature and the base value last, and sum to the
    score.
    """

    def scores(self, features: Floats) -> Floats: ...
    def gains(self) -> dict[str, float]: ...
    def contributions(self, features: Floats) -> Any: ...


@dataclass(frozen=True)
class Lesson:
    """Candidates of some cases with what came true: `bought[row]`."""

    candidates: Candidates
    bought: Bools


@dataclass(frozen=True)
class TreeRanker:
    """LambdaMART (Burges 2010), the mean of one model a seed. Contributions are exact TreeSHAP values."""

    boosters: tuple[Any, ...]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A model file of an earlier version holds a single booster."""
        boosters = state.get("boosters") or (state["booster"],)
        object.__setattr__(self, "boosters", boosters)

    def scores(self, features: Floats) -> Floats:
        if not len(features):
            return np.zeros(0, np.float32)
        return np.asarray(sum(self._asked(features)) / len(self.boosters), np.float32)

    def contributions(self, features: Floats) -> Any:
        return np.asarray(sum(self._asked(features, pred_contrib=True)) / len(self.boosters), np.float64)

    def gains(self) -> dict[str, float]:
        """How much each column's splits gained, summed over the seeds."""
        found = np.sum([booster.feature_importance("gain") for booster in self.boosters], axis=0)
        return dict(zip(self.boosters[0].feature_name(), found.tolist(), strict=True))

    def _asked(self, features: Floats, **how: bool) -> list[Any]:
        return [booster.predict(features, num_threads=1, **how) for booster in self.boosters]


@dataclass(frozen=True)
class LinearRanker:
    """score = Σ weight · (feature − mean) / spread; an unknown feature counts as its mean."""

    weights: Floats
    mean: Floats
    spread: Floats
    names: tuple[str, ...] = ()

    def scores(self, features: Floats) -> Floats:
        return np.asarray(self.contributions(features).sum(axis=1), np.float32)

    def gains(self) -> dict[str, float]:
        """Size of each standardised column's weight."""
        return dict(zip(self.names, np.abs(self.weights).tolist(), strict=False))

    def contributions(self, features: Floats) -> Floats:
        known = np.where(np.isfinite(features), features, self.mean)
        parts = (known - self.mean) / self.spread * self.weights
        return np.hstack([parts, np.zeros((len(parts), 1), np.float32)]).astype(np.float32)


def learn(lessons: list[Lesson], seeds: tuple[int, ...] = (SEED,)) -> Ranker | None:
    """A ranker from the cases in which something was bought; None when there is no such case.

    Trees are grown once for each seed; their mean varies less than any of them.
    """
    parts = [_informative(lesson) for lesson in lessons if lesson.bought.any()]
    if not parts:
        return None
    features, bought, sizes = (np.concatenate(part) for part in zip(*parts, strict=True))
    names = lessons[0].candidates.names
    return _trees(features, bought, sizes, (names, seeds)) or _ridge(features, bought, sizes, names)


def _informative(lesson: Lesson) -> tuple[Floats, Bools, Ints]:
    """Rows and sizes of the cases with at least one hit: the others teach no order."""
    case = lesson.candidates.case
    size, hits = np.bincount(case), np.bincount(case, lesson.bought)
    keep = hits[case] > 0
    return lesson.candidates.features[keep], lesson.bought[keep], size[hits > 0].astype(np.int64)


def _trees(
    features: Floats, bought: Bools, sizes: Ints, made: tuple[tuple[str, ...], tuple[int, ...]]
) -> Ranker | None:
    try:
        import lightgbm  # noqa: PLC0415  # an optional extra
    except ImportError:
        return None
    names, seeds = made
    data = lightgbm.Dataset(features, bought.astype(int), group=sizes, feature_name=list(names), params=TREES)
    return TreeRanker(tuple(lightgbm.train(TREES | {"seed": seed}, data, ROUNDS) for seed in seeds))


def _ridge(features: Floats, bought: Bools, sizes: Ints, names: tuple[str, ...]) -> LinearRanker:
    """Ridge regression of the hit, centred within its case, on standardised features centred the same way."""
    known = np.isfinite(features)
    mean = np.where(known, features, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, features, mean).astype(np.float64)
    spread = filled.std(axis=0) + 1e-6
    case = np.repeat(np.arange(len(sizes)), sizes)
    scaled = _centred((filled - mean) / spread, case, sizes)
    target = _centred(bought.astype(np.float64)[:, None], case, sizes)[:, 0]
    gram = scaled.T @ scaled + RIDGE * np.eye(scaled.shape[1])
    weights = np.linalg.solve(gram, scaled.T @ target)
    return LinearRanker(weights.astype(np.float32), mean.astype(np.float32), spread.astype(np.float32), names)


def _centred(values: Any, case: Ints, sizes: Ints) -> Any:
    total = np.add.reduceat(values, np.cumsum(sizes) - sizes, axis=0)
    return values - (total / sizes[:, None])[case]
