"""What another policy would have earned, from a log of what this one showed: replay, IPS, SNIPS, direct method, doubly
robust.

Every estimator is a ratio of sums over independent units (shoppers or sessions), so one bootstrap over units gives all
the intervals. Sources: Li et al. 2011 (replay), Horvitz–Thompson 1952 (IPS), Swaminathan, Joachims 2015 (SNIPS),
Dudík, Langford, Li 2011 (doubly robust), Li et al. 2018 (independent per-position weights for slates).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

SMALLEST_ESS_SHARE = 0.05  # effective rows / rows below this: a handful of rows decides everything
WEIGHT_MEAN_RANGE = (0.95, 1.05)  # Σw/n is 1 when propensities are right and the log covers the target policy
RESAMPLES = 1000
CHUNK = 50  # bootstrap draws held in memory at once


class ThinOverlapError(ValueError):
    """The log does not support the question. The message says what to log to make it answerable."""


@dataclass(frozen=True)
class PolicyLog:
    """One row per logged action. All arrays have the same length; probabilities are of the action that was taken.

    `predicted_logged` is a model's reward for the taken action, `predicted_target` its expected reward under the
    target policy, Σ_a π(a|x)·q̂(x, a); both must come from a model that was not fitted on the same row. `units` names
    the shopper or session of each row; left out, rows are taken as independent.
    """

    rewards: NDArray[np.float64]
    logging: NDArray[np.float64]
    target: NDArray[np.float64]
    predicted_logged: NDArray[np.float64] | None = None
    predicted_target: NDArray[np.float64] | None = None
    units: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        arrays = (self.logging, self.target, self.predicted_logged, self.predicted_target, self.units)
        if not self.rewards.size or any(a is not None and a.shape != self.rewards.shape for a in arrays):
            raise ValueError("a log needs at least one row, and one value per row in every array")
        if (self.logging <= 0).any() or (self.logging > 1).any():
            raise ValueError("logging propensities must lie in (0, 1]: what could not be shown cannot be in the log")
        if (self.target < 0).any() or (self.target > 1).any():
            raise ValueError("target propensities must lie in [0, 1]")
        if (self.predicted_logged is None) != (self.predicted_target is None):
            raise ValueError("the reward model needs both its logged and its target predictions")

    @property
    def weights(self) -> NDArray[np.float64]:
        """π(a|x) / p(a|x) of each row."""
        weights: NDArray[np.float64] = self.target / self.logging
        return weights


@dataclass(frozen=True)
class Estimate:
    """A value per decision (such as clicks per impression) and its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class WeightDiagnostics:
    """How well the log covers the target policy. `effective` is (Σw)² / Σw², at most `rows`."""

    rows: int
    effective: float
    mean_weight: float
    largest_weight: float

    @property
    def effective_share(self) -> float:
        """Effective rows over rows, 0..1."""
        return self.effective / self.rows

    @property
    def problem(self) -> str | None:
        """Why no estimate may be shown and what to log instead, or None."""
        if self.effective_share < SMALLEST_ESS_SHARE:
            return (
                f"only {self.effective:.0f} of {self.rows} logged decisions carry weight "
                f"({self.effective_share:.1%}, at least {SMALLEST_ESS_SHARE:.0%} needed): "
                "log more exploration on this surface (a higher exploration rate) towards what the draft would show"
            )
        low, high = WEIGHT_MEAN_RANGE
        if not low <= self.mean_weight <= high:
            return (
                f"importance weights average {self.mean_weight:.3f} instead of 1 (allowed {low}–{high}): "
                "log the propensity of every served item at serve time, "
                "and show each item of the draft with a positive probability"
            )
        return None


@dataclass(frozen=True)
class OffPolicyReport:
    """Estimators by name (`ips`, `snips`, `ips_clipped`, and with a model `dm` and `dr`), with the diagnostics behind
    them.
    """

    estimates: Mapping[str, Estimate]
    diagnostics: WeightDiagnostics
    clip: float


@dataclass(frozen=True)
class ReplayEstimate:
    """Mean reward of the rows where the target policy would have shown the same; `matched` rows of `rows`."""

    value: float
    matched: int
    rows: int


@dataclass(frozen=True)
class SlateReport:
    """Rewards per list under the target policy: in total and by position, with the diagnostics of each position."""

    total: Estimate
    by_position: tuple[Estimate, ...]
    diagnostics: tuple[WeightDiagnostics, ...]


def evaluate_policy(
    log: PolicyLog, rng: np.random.Generator, *, clip: float = 10.0, alpha: float = 0.05, resamples: int = RESAMPLES
) -> OffPolicyReport:
    """All estimators with (1 − alpha) intervals. Raises ThinOverlapError when the weights cannot be trusted."""
    diagnostics = diagnose(log.weights)
    if diagnostics.problem:
        raise ThinOverlapError(diagnostics.problem)
    values = point_estimates(log, clip=clip)
    spans = intervals(log, rng, clip=clip, alpha=alpha, resamples=resamples)
    estimates = {name: Estimate(value, *spans[name]) for name, value in values.items()}
    return OffPolicyReport(estimates, diagnostics, clip)


def point_estimates(log: PolicyLog, *, clip: float = math.inf) -> dict[str, float]:
    """The estimators without any check of overlap: for tests and for showing why a question was refused."""
    sums = {name: column.sum() for name, column in _sums_per_unit(log, clip).items()}
    return {name: float(top / bottom) for name, (top, bottom) in _ratios(sums).items()}


def intervals(
    log: PolicyLog,
    rng: np.random.Generator,
    *,
    clip: float = math.inf,
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap interval of every estimator, unchecked like `point_estimates`.

    The direct method's interval shows the spread of contexts only: an error of its model is invisible to it.
    """
    draws = _resampled_sums(_sums_per_unit(log, clip), rng, resamples)
    return {name: _quantiles(top / bottom, alpha) for name, (top, bottom) in _ratios(draws).items()}


def diagnose(weights: ArrayLike) -> WeightDiagnostics:
    """Effective sample size (Kish), mean and largest weight. All-zero weights have no effective row."""
    w = np.asarray(weights, dtype=float)
    squares = float(w @ w)
    effective = float(w.sum()) ** 2 / squares if squares else 0.0
    return WeightDiagnostics(int(w.size), effective, float(w.mean()), float(w.max()))


def replay(rewards: ArrayLike, logged_actions: ArrayLike, target_actions: ArrayLike) -> ReplayEstimate:
    """Unbiased only when the log was drawn uniformly at random. Raises ThinOverlapError when nothing matches."""
    hits = np.asarray(logged_actions) == np.asarray(target_actions)
    matched = int(hits.sum())
    if not matched:
        raise ThinOverlapError("no logged decision matches the draft: log a uniformly random share of the traffic")
    return ReplayEstimate(float(np.asarray(rewards, dtype=float)[hits].mean()), matched, int(hits.size))


def evaluate_slates(
    rewards: ArrayLike,
    logging: ArrayLike,
    target: ArrayLike,
    rng: np.random.Generator,
    *,
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
) -> SlateReport:
    """Per-position IPS for lists: rows are lists, columns positions, propensities those of the shown item at its
    position.

    A position that a list did not have holds NaN in all three arrays and adds nothing. Rewards must belong to an item
    at its position (a click), independent of the rest of the list. Raises ThinOverlapError naming the first position
    that is not covered.
    """
    r, p, t = (np.asarray(array, dtype=float) for array in (rewards, logging, target))
    present = ~np.isnan(r)
    weights = np.where(present, np.divide(t, p, out=np.zeros_like(t), where=present), 0.0)
    diagnostics = tuple(diagnose(weights[present[:, k], k]) for k in range(r.shape[1]))
    for position, checked in enumerate(diagnostics, start=1):
        if checked.problem:
            raise ThinOverlapError(f"position {position}: {checked.problem}")
    gained = weights * np.where(present, r, 0.0)
    columns = {str(position): gained[:, position] for position in range(r.shape[1])} | {"total": gained.sum(axis=1)}
    draws = _resampled_sums({**columns, "rows": np.ones(len(r))}, rng, resamples)
    estimates = {
        name: Estimate(float(column.mean()), *_quantiles(draws[name] / draws["rows"], alpha))
        for name, column in columns.items()
    }
    return SlateReport(estimates["total"], tuple(estimates[str(k)] for k in range(r.shape[1])), diagnostics)


def _sums_per_unit(log: PolicyLog, clip: float) -> dict[str, NDArray[np.float64]]:
    w = log.weights
    columns = {
        "rows": np.ones(w.size),
        "weight": w,
        "gain": w * log.rewards,
        "clipped": np.minimum(w, clip) * log.rewards,
    }
    if log.predicted_logged is not None and log.predicted_target is not None:
        columns["model"] = log.predicted_target
        columns["corrected"] = log.predicted_target + w * (log.rewards - log.predicted_logged)
    if log.units is None:
        return columns
    _, index = np.unique(log.units, return_inverse=True)
    return {name: np.bincount(index, weights=column).astype(np.float64) for name, column in columns.items()}


def _ratios(sums: Mapping[str, NDArray[np.float64]]) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Numerator and denominator of every estimator the sums allow."""
    ratios = {
        "ips": (sums["gain"], sums["rows"]),
        "snips": (sums["gain"], sums["weight"]),
        "ips_clipped": (sums["clipped"], sums["rows"]),
    }
    if "model" in sums:
        ratios |= {"dm": (sums["model"], sums["rows"]), "dr": (sums["corrected"], sums["rows"])}
    return ratios


def _resampled_sums(
    columns: Mapping[str, NDArray[np.float64]], rng: np.random.Generator, resamples: int
) -> dict[str, NDArray[np.float64]]:
    """Column sums of `resamples` draws with replacement of as many units as there are."""
    matrix = np.stack(list(columns.values()), axis=1)
    units = len(matrix)
    sums = [
        np.stack([matrix[rng.integers(0, units, units)].sum(axis=0) for _ in range(min(CHUNK, resamples - start))])
        for start in range(0, resamples, CHUNK)
    ]
    together = np.concatenate(sums)
    return {name: together[:, column] for column, name in enumerate(columns)}


def _quantiles(draws: NDArray[np.float64], alpha: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)
