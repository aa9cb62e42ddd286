"""Bounds for a few planned looks (Lan, DeMets 1983), computed by numerical integration (Armitage, McPherson, Rowe
1969).
"""

from __future__ import annotations

import math
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shop_app.core.lazily import Lazily

if TYPE_CHECKING:
    from collections.abc import Sequence

optimize, special, stats = Lazily("scipy.optimize"), Lazily("scipy.special"), Lazily("scipy.stats")

GRID_POINTS = 240  # Gauss–Legendre nodes over the continuation region: bounds change below 1e-6 beyond this
WIDEST_BOUND = 9.0  # z where the normal tail (1e-19) is numerically nothing


class Spending(StrEnum):
    """How the error is spent over the information fraction t in (0, 1]."""

    OBRIEN_FLEMING = "obrien_fleming"
    POCOCK = "pocock"
    SQUARE = "square"
    CUBE = "cube"


def spent(spending: Spending, fraction: float, alpha: float) -> float:
    """Two-sided error spent by information `fraction`; everything at fraction ≥ 1.

    O'Brien–Fleming type: 4 − 4Φ(z_{α/4}/√t); Pocock type: α ln(1 + (e − 1)t); powers: αt², αt³.
    """
    t = min(fraction, 1.0)
    if t <= 0:
        return 0.0
    if spending is Spending.OBRIEN_FLEMING:
        return float(4 * stats.norm.sf(stats.norm.isf(alpha / 4) / math.sqrt(t)))
    if spending is Spending.POCOCK:
        return alpha * math.log(1 + (math.e - 1) * t)
    return alpha * t ** (2 if spending is Spending.SQUARE else 3)


def bounds(
    fractions: Sequence[float], *, alpha: float = 0.05, spending: Spending = Spending.OBRIEN_FLEMING
) -> list[float]:
    """Two-sided z bounds at rising information fractions: stop at the first look with |z| ≥ bound.

    For a one-sided error of a, ask for alpha = 2a and watch one side. Looks may come at any fractions, also unplanned
    ones, as long as their times do not depend on the result. Raises ValueError when fractions are not rising in (0,
    1].
    """
    return list(_bounds(tuple(float(fraction) for fraction in fractions), alpha, spending))


@lru_cache(maxsize=256)
def _bounds(fractions: tuple[float, ...], alpha: float, spending: Spending) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in zip((0.0, *fractions), fractions, strict=False)) or fractions[-1] > 1:
        raise ValueError("information fractions must rise within (0, 1]")
    result: list[float] = []
    state: tuple[np.ndarray, np.ndarray] | None = None  # Brownian path values still inside, and their density × weight
    before, spent_before = 0.0, 0.0
    for fraction in fractions:
        spent_now = spent(spending, fraction, alpha)
        bound = _next_bound(state, before, fraction, spent_now - spent_before)
        state = _survivors(state, before, fraction, bound)
        result.append(bound)
        before, spent_before = fraction, spent_now
    return tuple(result)


def _next_bound(state: tuple[np.ndarray, np.ndarray] | None, before: float, fraction: float, to_spend: float) -> float:
    """The z at which exactly `to_spend` leaves the region at this look."""
    if to_spend <= 0:
        return WIDEST_BOUND

    def excess(bound: float) -> float:
        return _crossing(state, before, fraction, bound) - to_spend

    if excess(WIDEST_BOUND) > 0:
        return WIDEST_BOUND
    return float(optimize.brentq(excess, 0.0, WIDEST_BOUND, xtol=1e-10))


def _crossing(state: tuple[np.ndarray, np.ndarray] | None, before: float, fraction: float, bound: float) -> float:
    """P(|Z| ≥ bound at this look, no stop before)."""
    if state is None:
        return float(2 * special.ndtr(-bound))
    values, weights = state
    step, limit = math.sqrt(fraction - before), bound * math.sqrt(fraction)
    tails = special.ndtr((values - limit) / step) + special.ndtr((-limit - values) / step)
    return float(weights @ tails)


def _survivors(
    state: tuple[np.ndarray, np.ndarray] | None, before: float, fraction: float, bound: float
) -> tuple[np.ndarray, np.ndarray]:
    """Density of the path B(t) = Z√t of runs that continue, on a Gauss–Legendre grid."""
    nodes, node_weights = _legendre()
    limit = bound * math.sqrt(fraction)
    values, widths = limit * nodes, limit * node_weights
    if state is None:
        return values, widths * _density(values, math.sqrt(fraction))
    old_values, old_weights = state
    step = math.sqrt(fraction - before)
    return values, widths * (_density(values[:, None] - old_values[None, :], step) @ old_weights)


@lru_cache(maxsize=1)
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(GRID_POINTS)
    return nodes, weights


def _density(values: np.ndarray, deviation: float) -> np.ndarray:
    scaled = values / deviation
    return np.exp(-0.5 * scaled * scaled) / (deviation * math.sqrt(2 * math.pi))
