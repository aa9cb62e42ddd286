"""One arm's metric as three numbers: units, mean per unit and variance per unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Moments:
    """A metric of one arm. `n` is the number of randomisation units (shoppers), `variance` the variance of one unit's
    value.
    """

    n: int
    mean: float
    variance: float

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError("an arm needs at least one unit")
        if not (math.isfinite(self.mean) and math.isfinite(self.variance)) or self.variance < 0:
            raise ValueError("mean and variance must be finite, variance not negative")

    @property
    def standard_error(self) -> float:
        """Standard error of the mean."""
        return math.sqrt(self.variance / self.n)


def of_values(values: ArrayLike) -> Moments:
    """Moments of one value per unit, with the sample variance (n − 1). One unit alone has variance 0."""
    array = np.asarray(values, dtype=float)
    variance = float(array.var(ddof=1)) if array.size > 1 else 0.0
    return Moments(int(array.size), float(array.mean()) if array.size else math.nan, variance)


def of_sums(n: int, total: float, total_of_squares: float) -> Moments:
    """Moments from Σx and Σx², the form a rollup table keeps."""
    mean = total / n
    variance = max(0.0, total_of_squares - n * mean * mean) / (n - 1) if n > 1 else 0.0
    return Moments(n, mean, variance)


def of_proportion(successes: int, n: int) -> Moments:
    """Moments of a yes/no metric: variance p(1 − p)."""
    if not 0 <= successes <= n:
        raise ValueError("successes must lie between 0 and n")
    rate = successes / n
    return Moments(n, rate, rate * (1 - rate))


def of_ratio(numerator: ArrayLike, denominator: ArrayLike) -> Moments:
    """A ratio of sums such as clicks per impression, with its variance by the delta method on the unit.

    R = Σy / Σx; the linearised value of a unit is (y − R·x) / x̄, whose mean is 0 and whose variance is the variance
    to use (Deng, Knoblich, Lu 2018, "Applying the Delta Method in Metric Analytics"). Raises ValueError when Σx is not
    positive.
    """
    y, x = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    if y.shape != x.shape:
        raise ValueError("numerator and denominator need one value per unit each")
    if x.sum() <= 0:
        raise ValueError("a ratio needs a positive denominator")
    ratio = float(y.sum() / x.sum())
    linearised = (y - ratio * x) / x.mean()
    variance = float(linearised.var(ddof=1)) if x.size > 1 else 0.0
    return Moments(int(x.size), ratio, variance)
