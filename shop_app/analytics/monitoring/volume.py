"""Too many or too few events in an hour, judged by the same hour of earlier weeks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from shop_app.core.lazily import Lazily

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

special = Lazily("scipy.special")

MAD_TO_SIGMA = NormalDist().inv_cdf(0.75)  # .67449: the MAD of a standard normal
HOURS_PER_WEEK = 168
SMALL_COUNT = 30.0  # expected events below which the exact tail replaces the robust z
Z_LIMIT = 5.0  # about one false alarm in 1.7 million hours of a well-behaved series
TAIL_LIMIT = 1e-6  # two-sided tail probability of a small count that raises an alarm
FEWEST_WEEKS = 3  # earlier weeks needed before an hour may be judged


class Change(StrEnum):
    """Direction of a volume anomaly."""

    DROP = "drop"
    SURGE = "surge"


@dataclass(frozen=True)
class VolumeReading:
    """One judged hour. `score` is the robust z (large counts) or the tail probability (small counts); `change` None =
    normal.
    """

    count: int
    expected: float
    score: float
    is_tail: bool
    change: Change | None


def robust_z(value: float, sample: Sequence[float], *, mad_floor: float = 1e-9) -> float:
    """0.6745·(x − median) / MAD (Iglewicz, Hoaglin 1993), the MAD at least `mad_floor` in the sample's unit."""
    values = np.asarray(sample, dtype=float)
    middle = float(np.median(values))
    spread = max(float(np.median(np.abs(values - middle))), mad_floor)
    return MAD_TO_SIGMA * (value - middle) / spread


def count_tail(count: int, total_before: int, weeks: int) -> float:
    """Two-sided tail of a count when `weeks` earlier hours held `total_before`: negative binomial (Poisson with
    unknown rate).

    Jeffreys prior; the uncertainty of the rate is part of the answer, so short histories do not cry wolf.
    """
    shape, success = total_before + 0.5, weeks / (weeks + 1)
    at_most = special.betainc(shape, count + 1, success)  # the negative binomial's cdf
    at_least = special.betaincc(shape, count, success) if count else 1.0
    return float(min(1.0, 2 * min(at_most, at_least)))


def hour_of_week(at: datetime) -> int:
    """0 = Monday 00:00 … 167 = Sunday 23:00, in the zone of `at`."""
    return at.weekday() * 24 + at.hour


class HourOfWeekBaseline:
    """Counts of earlier weeks, as rows of 168 hours (Monday first, oldest week first; NaN where nothing is known).

    The scale of the noise is pooled over all hours on the square-root scale, where the spread of counts is even: eight
    weeks give more than a thousand residuals instead of eight. It is never taken smaller than Poisson noise.
    """

    def __init__(self, weeks: np.ndarray) -> None:
        if weeks.ndim != 2 or weeks.shape[1] != HOURS_PER_WEEK:
            raise ValueError("a baseline needs rows of 168 hourly counts")
        self._weeks = weeks.astype(float)
        known = ~np.isnan(self._weeks)
        self._known = known.sum(axis=0)
        medians = np.full(HOURS_PER_WEEK, math.nan)
        medians[self._known > 0] = np.nanmedian(self._weeks[:, self._known > 0], axis=0)
        self._medians = medians
        residuals = (_stabilised(self._weeks) - _stabilised(medians)[None, :])[known]
        # a median of few weeks is pulled towards its own points, so the pooled spread is too small by √(1 − 1/weeks)
        shrink = math.sqrt(1 - 1 / max(len(weeks), 2))
        self._mad = float(np.median(np.abs(residuals))) / shrink if residuals.size else 0.0

    def judge(self, at: datetime, count: int) -> VolumeReading | None:
        """Judge one complete hour; None while fewer than three earlier weeks are known."""
        hour = hour_of_week(at)
        weeks = int(self._known[hour])
        if weeks < FEWEST_WEEKS:
            return None
        expected = float(self._medians[hour])
        if expected < SMALL_COUNT:
            return self._judge_small(count, expected, weeks)
        uncertainty = math.sqrt(1 + math.pi / (2 * weeks))  # the median of `weeks` counts is uncertain itself
        scale = max(self._mad / MAD_TO_SIGMA, 1.0) * uncertainty
        z = (float(_stabilised(np.array(float(count)))) - float(_stabilised(np.array(expected)))) / scale
        return VolumeReading(count, expected, z, is_tail=False, change=_direction(z, abs(z) >= Z_LIMIT))

    def _judge_small(self, count: int, expected: float, weeks: int) -> VolumeReading:
        """The mean is replaced by weeks × median so that one faulty week does not raise the bar."""
        tail = count_tail(count, round(expected * weeks), weeks)
        overdispersed = max(self._mad / MAD_TO_SIGMA, 1.0) ** 2
        tail = tail ** (1 / overdispersed)  # noise beyond Poisson widens the tail in the exponent
        return VolumeReading(
            count, expected, tail, is_tail=True, change=_direction(count - expected, tail <= TAIL_LIMIT)
        )


def _direction(signed: float, is_anomaly: bool) -> Change | None:  # noqa: FBT001 - a private two-word answer
    if not is_anomaly:
        return None
    return Change.SURGE if signed > 0 else Change.DROP


def _stabilised(counts: np.ndarray) -> np.ndarray:
    """Anscombe transform 2√(x + 3/8): Poisson counts of any size get a standard deviation of about 1."""
    stable: np.ndarray = 2 * np.sqrt(counts + 0.375)
    return stable
