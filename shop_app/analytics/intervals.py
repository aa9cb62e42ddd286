"""Intervals for the numbers of the console. Pure arithmetic; 95 % two-sided unless told."""

from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959963984540054
"""The 97.5 % point of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and its interval. `value` is None with nothing to divide by, the ends when none can be given."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def has_interval(self) -> bool:
        return self.low is not None and self.high is not None


NOTHING = Estimate(None)


@dataclass(frozen=True, slots=True)
class RatioSums:
    """Sums over independent units of a denominator x and a numerator y; they add up across days."""

    n: int
    x: float
    y: float
    xx: float
    yy: float
    xy: float


def wilson(successes: int, trials: int, z: float = Z_95) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927); without one when there are more successes than trials.

    That happens when a later step can be reached without the earlier one, such as adding straight from a card.
    """
    if trials == 0:
        return NOTHING
    share = successes / trials
    if share > 1:
        return Estimate(share)
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    reach = z / (1 + z * z / trials) * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return Estimate(share, max(0.0, centre - reach), min(1.0, centre + reach))


def delta_ratio(sums: RatioSums, z: float = Z_95) -> Estimate:
    """Σy / Σx with the delta-method interval for a ratio of two means over the same units (Deng et al., KDD 2018).

    Var(R) = n/(n−1) · (Σy² − 2RΣxy + R²Σx²) / (Σx)². Without an interval for fewer than two units.
    """
    if sums.x == 0:
        return NOTHING
    ratio = sums.y / sums.x
    if sums.n < 2:
        return Estimate(ratio)
    squares = max(0.0, sums.yy - 2 * ratio * sums.xy + ratio * ratio * sums.xx)
    reach = z * sqrt(sums.n / (sums.n - 1) * squares) / sums.x
    return Estimate(ratio, max(0.0, ratio - reach), ratio + reach)


def compound_rate(total: float, total_of_squares: float, exposure: float, z: float = Z_95) -> Estimate:
    """An amount per unit of `exposure`, its parts arriving independently (compound Poisson): SE = √Σa² / exposure."""
    if exposure == 0:
        return NOTHING
    reach = z * sqrt(total_of_squares) / exposure
    return Estimate(total / exposure, max(0.0, total / exposure - reach), total / exposure + reach)
