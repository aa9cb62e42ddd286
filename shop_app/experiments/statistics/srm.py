"""Sample ratio mismatch: do the arms hold as many units as the plan says? If not, no result may be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shop_app.core.lazily import Lazily
from shop_app.experiments.statistics.multiplicity import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

special, stats = Lazily("scipy.special"), Lazily("scipy.stats")

SRM_ALPHA = 0.001  # p below this is a mismatch (GrowthBook's default)
SMALLEST_ARM = 8  # fewer expected units per arm than this is too few to judge (GrowthBook's default)
PRIOR_WEIGHT = 100.0  # units the planned split counts for in the sequential test


@dataclass(frozen=True)
class RatioCheck:
    """χ² against the planned split. `mismatch` is never set while an arm expects fewer than `SMALLEST_ARM` units."""

    chi_squared: float
    p_value: float
    mismatch: bool


@dataclass(frozen=True)
class SequentialRatioCheck:
    """Bayes factor against the planned split and p = min(1, 1/BF), valid at any look if the smallest so far is kept."""

    log_bayes_factor: float
    p_value: float

    @property
    def bayes_factor(self) -> float:
        """How many times likelier the counts are under some other split; inf beyond the range of a float."""
        return math.exp(self.log_bayes_factor) if self.log_bayes_factor < 700 else math.inf


@dataclass(frozen=True)
class SegmentSplit:
    """How one value of a segment such as ("browser", "Safari") is split. `planned` are the counts of the plan for as
    many units, `p_value` is Holm-adjusted over all values tested.
    """

    dimension: str
    value: str
    p_value: float
    counts: tuple[int, ...]
    planned: tuple[float, ...]
    mismatch: bool


def check_ratio(
    counts: Sequence[int], weights: Sequence[float], *, alpha: float = SRM_ALPHA, corrected: bool = False
) -> RatioCheck:
    """Pearson χ² of the arms' unit counts against the planned weights. For one reading at the end.

    `corrected` moves each count half a unit towards the plan (Yates), a little closer to the exact test of two arms.
    """
    observed, shares = _checked(counts, weights)
    expected = shares * observed.sum()
    if expected.min() < SMALLEST_ARM:
        return RatioCheck(0.0, 1.0, mismatch=False)
    distance = np.abs(observed - expected)
    if corrected:
        distance = np.maximum(distance - 0.5, 0.0)
    chi_squared = float((distance**2 / expected).sum())
    p_value = float(stats.chi2.sf(chi_squared, observed.size - 1))
    return RatioCheck(chi_squared, p_value, p_value < alpha)


def check_ratio_sequentially(
    counts: Sequence[int], weights: Sequence[float], *, prior_weight: float = PRIOR_WEIGHT
) -> SequentialRatioCheck:
    """Dirichlet–multinomial Bayes factor with prior Dir(k·θ0): may be read after every unit (Lindon, Malek 2022).

    P(min over all looks of p ≤ α) ≤ α under the planned split, by Ville's inequality.
    """
    observed, shares = _checked(counts, weights)
    total = float(observed.sum())
    log_factor = float(
        special.gammaln(prior_weight)
        - special.gammaln(prior_weight + total)
        + (special.gammaln(prior_weight * shares + observed) - special.gammaln(prior_weight * shares)).sum()
        - (observed * np.log(shares)).sum()
    )
    return SequentialRatioCheck(log_factor, min(1.0, math.exp(min(0.0, -log_factor))))


def split_by_segment(
    segments: Mapping[tuple[str, str], Sequence[int]], weights: Sequence[float], *, alpha: float = SRM_ALPHA
) -> list[SegmentSplit]:
    """Every segment value with its split, the least likely first.

    `segments` maps (dimension, value), such as ("day", "2026-03-01"), ("landing", "home"), ("browser", "Safari"),
    ("bot", "no"), to the arms' counts.
    """
    keys = list(segments)
    adjusted = holm([check_ratio(segments[key], weights).p_value for key in keys])
    shares = np.asarray(weights, dtype=float) / sum(weights)
    splits = [
        SegmentSplit(
            *key, p_value, tuple(segments[key]), tuple((shares * sum(segments[key])).tolist()), p_value < alpha
        )
        for key, p_value in zip(keys, adjusted, strict=True)
    ]
    return sorted(splits, key=lambda split: (split.p_value, split.dimension, split.value))


def mismatched_segments(
    segments: Mapping[tuple[str, str], Sequence[int]], weights: Sequence[float], *, alpha: float = SRM_ALPHA
) -> list[SegmentSplit]:
    """The segment values whose split is off, worst first."""
    return [split for split in split_by_segment(segments, weights, alpha=alpha) if split.mismatch]


def _checked(counts: Sequence[int], weights: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    observed, shares = np.asarray(counts, dtype=float), np.asarray(weights, dtype=float)
    if observed.shape != shares.shape or observed.size < 2:
        raise ValueError("an experiment needs at least two arms, with one count and one weight each")
    if (observed < 0).any() or (shares <= 0).any():
        raise ValueError("counts must not be negative and weights must be positive")
    return observed, shares / shares.sum()
