"""Two arms compared once, at a sample size fixed beforehand. Every difference is treatment − control."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shop_app.core.lazily import Lazily

if TYPE_CHECKING:
    from shop_app.experiments.statistics.moments import Moments

stats = Lazily("scipy.stats")


@dataclass(frozen=True)
class Comparison:
    """Result of a two-sided test: `low`..`high` is the (1 − alpha) interval of `difference`, in the metric's unit."""

    difference: float
    standard_error: float
    statistic: float
    p_value: float
    low: float
    high: float


@dataclass(frozen=True)
class Lift:
    """Relative change treatment / control − 1 with its interval; .05 means five per cent more."""

    value: float
    low: float
    high: float


def z_test(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> Comparison:
    """Two proportions: pooled standard error for the p-value, unpooled for the interval (the usual textbook pair)."""
    units = control.n + treatment.n
    pooled = (control.mean * control.n + treatment.mean * treatment.n) / units
    test_error = math.sqrt(pooled * (1 - pooled) * (1 / control.n + 1 / treatment.n))
    difference = treatment.mean - control.mean
    statistic = _standardised(difference, test_error)
    error = standard_error_of_difference(control, treatment)
    half_width = float(stats.norm.isf(alpha / 2)) * error
    p_value = float(2 * stats.norm.sf(abs(statistic)))
    return Comparison(difference, error, statistic, p_value, difference - half_width, difference + half_width)


def welch_test(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> Comparison:
    """Two means with unequal variances; degrees of freedom by Welch–Satterthwaite. Also right for ratio and CUPED
    moments.
    """
    freedom = _welch_freedom(control, treatment)
    return _t_comparison(control, treatment, standard_error_of_difference(control, treatment), freedom, alpha)


def student_test(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> Comparison:
    """Two means under one common variance (Student), n1 + n2 − 2 degrees of freedom."""
    freedom = control.n + treatment.n - 2
    common = ((control.n - 1) * control.variance + (treatment.n - 1) * treatment.variance) / freedom
    error = math.sqrt(common * (1 / control.n + 1 / treatment.n))
    return _t_comparison(control, treatment, error, freedom, alpha)


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p-value that wins and losses are equally likely. Ties are left out; no pair at all gives 1."""
    pairs = wins + losses
    return float(stats.binomtest(wins, pairs, 0.5).pvalue) if pairs else 1.0


def lift(control: Moments, treatment: Moments, *, alpha: float = 0.05) -> Lift:
    """Relative lift with a delta-method interval. Raises ValueError when the control mean is 0."""
    if control.mean == 0:
        raise ValueError("no relative lift over a control mean of 0")
    ratio = treatment.mean / control.mean
    error = math.hypot(treatment.standard_error, ratio * control.standard_error) / abs(control.mean)
    half_width = float(stats.norm.isf(alpha / 2)) * error
    return Lift(ratio - 1, ratio - 1 - half_width, ratio - 1 + half_width)


def standard_error_of_difference(control: Moments, treatment: Moments) -> float:
    """√(s₁²/n₁ + s₂²/n₂)."""
    return math.hypot(control.standard_error, treatment.standard_error)


def _t_comparison(control: Moments, treatment: Moments, error: float, freedom: float, alpha: float) -> Comparison:
    difference = treatment.mean - control.mean
    statistic = _standardised(difference, error)
    half_width = float(stats.t.isf(alpha / 2, freedom)) * error
    p_value = float(2 * stats.t.sf(abs(statistic), freedom))
    return Comparison(difference, error, statistic, p_value, difference - half_width, difference + half_width)


def _welch_freedom(control: Moments, treatment: Moments) -> float:
    a, b = control.variance / control.n, treatment.variance / treatment.n
    below = a * a / max(control.n - 1, 1) + b * b / max(treatment.n - 1, 1)
    return (a + b) ** 2 / below if below else float(control.n + treatment.n - 2)


def _standardised(difference: float, error: float) -> float:
    """0 / 0 is 0 (two constant, equal arms show nothing); a difference without any spread is infinite."""
    if error:
        return difference / error
    return math.copysign(math.inf, difference) if difference else 0.0
