"""Silent stretches and shifted clocks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

SILENCE_LIMIT = 1e-6  # chance of a silence at least this long, per gap looked at
ZONE_STEP = timedelta(minutes=30)  # zones differ by multiples of this
ZONE_TOLERANCE = timedelta(minutes=5)
FEWEST_EVENTS = 20


@dataclass(frozen=True)
class Silence:
    """No event between `start` and `end` although `expected` were due."""

    start: datetime
    end: datetime
    expected: float


def silences(
    times: Sequence[datetime], expected_per_hour: Callable[[datetime], float], *, until: datetime
) -> list[Silence]:
    """Gaps between neighbouring events (and up to `until`) that a Poisson stream at the usual rate would hardly ever
    show.

    P(no event) = exp(−∫ rate), the rate read every quarter of an hour. `times` may come in any order.
    """
    ordered = [*sorted(times), until]
    limit = -math.log(SILENCE_LIMIT)
    found = []
    for start, end in pairwise(ordered):
        expected = _expected_between(start, end, expected_per_hour)
        if expected >= limit:
            found.append(Silence(start, end, expected))
    return found


def zone_shift(client_minus_server: Sequence[timedelta]) -> timedelta | None:
    """The whole number of half hours by which most of a window's client clocks are off, or None.

    Single wrong clocks are normal; a shift is a fault of ours when it is the median of at least twenty events.
    """
    if len(client_minus_server) < FEWEST_EVENTS:
        return None
    middle = timedelta(seconds=float(np.median([lag.total_seconds() for lag in client_minus_server])))
    steps = round(middle / ZONE_STEP)
    if steps == 0 or abs(middle - steps * ZONE_STEP) > ZONE_TOLERANCE:
        return None
    return steps * ZONE_STEP


def _expected_between(start: datetime, end: datetime, per_hour: Callable[[datetime], float]) -> float:
    step, total, at = timedelta(minutes=15), 0.0, start
    while at < end:
        upto = min(at + step, end)
        total += per_hour(at) * ((upto - at) / timedelta(hours=1))
        at = upto
    return total
