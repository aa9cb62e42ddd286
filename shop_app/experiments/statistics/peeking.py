"""What looking costs: A/A tests read at every look, naively and with the project's own stopping readings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shop_app.core.lazily import Lazily
from shop_app.experiments.statistics.group_sequential import Spending, bounds
from shop_app.experiments.statistics.sequences import half_width, mixture_scale

stats = Lazily("scipy.stats")


@dataclass(frozen=True)
class FalseStops:
    """Share of A/A tests that were called significant at some look, by reading."""

    naive: float
    sequence: float
    group_sequential: float
    single_look: float


def false_stops(
    *, runs: int, looks: int, units_per_look: int, rate: float, rng: np.random.Generator, alpha: float = 0.05
) -> FalseStops:
    """Simulate `runs` A/A tests on a conversion `rate`, `units_per_look` new units per arm before each look.

    The sequence is tuned to the planned end (`looks`·`units_per_look` per arm, both arms counted).
    """
    z, n = _null_paths(runs, looks, units_per_look, rate, rng)
    fixed = float(stats.norm.isf(alpha / 2))
    scale = mixture_scale(2 * float(n[-1]), alpha=alpha)
    widths = np.array([half_width(1.0, 2 * count, scale=scale, alpha=alpha) * np.sqrt(2 * count) for count in n])
    planned = np.array(bounds(list(n / n[-1]), alpha=alpha, spending=Spending.OBRIEN_FLEMING))
    size = np.abs(z)
    return FalseStops(
        naive=float((size > fixed).any(axis=1).mean()),
        sequence=float((size > widths).any(axis=1).mean()),
        group_sequential=float((size >= planned).any(axis=1).mean()),
        single_look=float((size[:, -1] > fixed).mean()),
    )


def _null_paths(
    runs: int, looks: int, units: int, rate: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Z statistics (runs × looks) of two equal arms and the units per arm at each look."""
    n = units * np.arange(1, looks + 1)
    control = rng.binomial(units, rate, (runs, looks)).cumsum(axis=1) / n
    treatment = rng.binomial(units, rate, (runs, looks)).cumsum(axis=1) / n
    variance = (control * (1 - control) + treatment * (1 - treatment)) / n
    error = np.sqrt(np.where(variance > 0, variance, np.inf))
    return (treatment - control) / error, n
