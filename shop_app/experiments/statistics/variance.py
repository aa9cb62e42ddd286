"""Fewer units for the same certainty: regression on what was known before (CUPED) and a cap on extreme values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shop_app.experiments.statistics.moments import Moments, of_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class CupedPair:
    """Both arms after adjustment. `variance_kept` is 1 − r²: .64 means 36 % of the variance is gone."""

    control: Moments
    treatment: Moments
    theta: float
    variance_kept: float


def cuped(
    control: ArrayLike, treatment: ArrayLike, *, control_before: ArrayLike, treatment_before: ArrayLike
) -> CupedPair:
    """Adjust y by θ·(x − x̄), θ = cov(x, y) / var(x) and x̄ over both arms (Deng, Xu, Kohavi, Walker 2013).

    `before` holds the covariate of the same units, measured before the first exposure: nothing the variant could
    change. A constant covariate leaves the values as they are.
    """
    y_control, y_treatment = np.asarray(control, dtype=float), np.asarray(treatment, dtype=float)
    x_control, x_treatment = np.asarray(control_before, dtype=float), np.asarray(treatment_before, dtype=float)
    if y_control.shape != x_control.shape or y_treatment.shape != x_treatment.shape:
        raise ValueError("every unit needs one value before and one after")
    x, y = np.concatenate([x_control, x_treatment]), np.concatenate([y_control, y_treatment])
    centre = float(x.mean())
    x, y = x - centre, y - y.mean()
    spread_x, spread_y, shared = float(x @ x), float(y @ y), float(x @ y)
    theta = shared / spread_x if spread_x else 0.0
    kept = 1 - shared * shared / (spread_x * spread_y) if spread_x and spread_y else 1.0
    return CupedPair(
        control=of_values(y_control - theta * (x_control - centre)),
        treatment=of_values(y_treatment - theta * (x_treatment - centre)),
        theta=theta,
        variance_kept=kept,
    )


def winsorise(values: ArrayLike, cap: float) -> np.ndarray:
    """Values above `cap` become `cap`. The cap is written down before launch, in the metric's unit."""
    if not math.isfinite(cap):
        raise ValueError("the cap must be a finite number")
    capped: np.ndarray = np.minimum(np.asarray(values, dtype=float), cap)
    return capped


def planned_cap(history: ArrayLike, quantile: float = 0.99) -> float:
    """The cap to register: a quantile of the buyers' (non-zero) values before the experiment; 0 without any."""
    positive = np.asarray(history, dtype=float)
    positive = positive[positive > 0]
    return float(np.quantile(positive, quantile)) if positive.size else 0.0
