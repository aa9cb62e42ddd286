"""How many units an experiment needs, and what it can see with those it gets. Sizes are per arm and not rounded up."""

from __future__ import annotations

import math
from enum import StrEnum

from shop_app.core.lazily import Lazily

optimize, special, stats = Lazily("scipy.optimize"), Lazily("scipy.special"), Lazily("scipy.stats")
"""The normal distribution is taken from `special`, which loads in a quarter of the time of `stats`."""


class ProportionMethod(StrEnum):
    """Which variance the two-proportion formula uses; `POOLED` matches the z-test of the results page."""

    POOLED = "pooled"
    UNPOOLED = "unpooled"
    ARCSINE = "arcsine"


def proportion_sample_size(
    base: float,
    target: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    method: ProportionMethod = ProportionMethod.POOLED,
) -> float:
    """Units per arm to see `base` → `target` two-sided (Fleiss, Levin, Paik 2003; arcsine: Cohen 1988)."""
    _check_rates(base, target)
    z_alpha, z_power = -float(special.ndtri(alpha / 2)), float(special.ndtri(power))
    effect, spread = _effect_and_spread(base, target, method)
    null_spread = _null_spread(base, target) if method is ProportionMethod.POOLED else spread
    return ((z_alpha * null_spread + z_power * spread) / effect) ** 2


def proportion_power(
    base: float,
    target: float,
    n: float,
    *,
    alpha: float = 0.05,
    method: ProportionMethod = ProportionMethod.POOLED,
) -> float:
    """Chance of a two-sided rejection in either direction with `n` units per arm."""
    _check_rates(base, target, allow_equal=True)
    z_alpha = -float(special.ndtri(alpha / 2))
    effect, spread = _effect_and_spread(base, target, method)
    null_spread = _null_spread(base, target) if method is ProportionMethod.POOLED else spread
    drift, limit = effect * math.sqrt(n) / spread, z_alpha * null_spread / spread
    return float(special.ndtr(drift - limit) + special.ndtr(-limit - drift))


def mean_sample_size(standardised_effect: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Units per arm of a two-sided t-test for effect / σ, from the non-central t distribution."""
    if standardised_effect == 0:
        raise ValueError("an effect of 0 needs infinitely many units")
    rough = 2 * ((stats.norm.isf(alpha / 2) + stats.norm.ppf(power)) / standardised_effect) ** 2

    def shortfall(n: float) -> float:
        return mean_power(standardised_effect, n, alpha=alpha) - power

    smallest = 2.0
    if shortfall(smallest) >= 0:
        return smallest
    return float(optimize.brentq(shortfall, smallest, 2 * float(rough) + 10, xtol=1e-9))


def mean_power(standardised_effect: float, n: float, *, alpha: float = 0.05) -> float:
    """Power of the two-sided two-sample t-test with `n` units per arm."""
    freedom = 2 * n - 2
    drift = abs(standardised_effect) * math.sqrt(n / 2)
    limit = float(stats.t.isf(alpha / 2, freedom))
    return float(stats.nct.sf(limit, freedom, drift) + stats.nct.cdf(-limit, freedom, drift))


def smallest_visible_lift(base: float, n: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest relative increase of a rate that `n` units per arm show with the given power; inf when none is
    possible.
    """

    def shortfall(relative: float) -> float:
        return proportion_power(base, base * (1 + relative), n, alpha=alpha) - power

    largest = (1 - 1e-9) / base - 1
    if shortfall(largest) < 0:
        return math.inf
    return float(optimize.brentq(shortfall, 0.0, largest, xtol=1e-9))


def _effect_and_spread(base: float, target: float, method: ProportionMethod) -> tuple[float, float]:
    if method is ProportionMethod.ARCSINE:
        return abs(2 * math.asin(math.sqrt(target)) - 2 * math.asin(math.sqrt(base))), math.sqrt(2)
    return abs(target - base), math.sqrt(base * (1 - base) + target * (1 - target))


def _null_spread(base: float, target: float) -> float:
    middle = (base + target) / 2
    return math.sqrt(2 * middle * (1 - middle))


def _check_rates(base: float, target: float, *, allow_equal: bool = False) -> None:
    if not (0 < base < 1 and 0 < target < 1):
        raise ValueError("rates must lie strictly between 0 and 1")
    if base == target and not allow_equal:
        raise ValueError("equal rates need infinitely many units")
