"""The automatic stop: ends a variant, or sends a bandit back to its incumbent, when a guardrail metric is harmed.

One-sided group-sequential test of "no harm" (O'Brien–Fleming spending over the planned number of units), followed
after the plan by a confidence sequence that never runs out. Both together stop a harmless variant with probability ≤
`false_stop`, however often and whenever they are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from shop_app.experiments.statistics.comparisons import standard_error_of_difference
from shop_app.experiments.statistics.group_sequential import Spending, bounds
from shop_app.experiments.statistics.moments import Moments
from shop_app.experiments.statistics.sequences import confidence_sequence

FALSE_STOP = 0.006  # chance of ever stopping a variant that does no harm: well below the promised 1 %
SHARE_AFTER_PLAN = 0.05  # part of that chance kept for the time after the planned sample
SMALLEST_STEP = 0.005  # share of the plan between two looks: closer ones read nothing and cost computing time
FEWEST_UNITS = 200  # per arm, before a normal approximation of a rate may stop anything


class Direction(StrEnum):
    """Which way a metric is good."""

    HIGHER_IS_BETTER = "higher_is_better"
    LOWER_IS_BETTER = "lower_is_better"


@dataclass(frozen=True)
class Guardrail:
    """A metric that must not get worse. `margin` is the relative loss that is tolerated (.02 = two per cent, 0 =
    none).
    """

    metric: str
    direction: Direction = Direction.HIGHER_IS_BETTER
    margin: float = 0.0


@dataclass(frozen=True)
class HarmWatch:
    """What earlier looks have used: the information fractions at which the guardrail was read. Kept with the
    experiment.
    """

    planned_units: int
    fractions: tuple[float, ...] = field(default=())


@dataclass(frozen=True)
class HarmReading:
    """One look. `z` is the standardised harm (positive = worse), `bound` the z that stops; `watch` goes into the next
    look.
    """

    stop: bool
    harm: float
    z: float
    bound: float
    reason: str
    watch: HarmWatch


def look_for_harm(
    guardrail: Guardrail,
    control: Moments,
    treatment: Moments,
    watch: HarmWatch,
    *,
    false_stop: float = FALSE_STOP,
) -> HarmReading:
    """Judge one guardrail at one look; the caller stores `reading.watch` and stops the variant when `reading.stop`.

    Units are counted over both arms. A look less than half a per cent of the plan after the last one reads nothing
    new and never stops.
    """
    harm, error = _harm(guardrail, control, treatment)
    z = harm / error if error else 0.0
    fraction = (control.n + treatment.n) / watch.planned_units
    if min(control.n, treatment.n) < FEWEST_UNITS or error == 0:
        return HarmReading(stop=False, harm=harm, z=z, bound=math.inf, reason="too few units to judge", watch=watch)
    if fraction < (watch.fractions[-1] if watch.fractions else 0.0) + SMALLEST_STEP:
        return HarmReading(
            stop=False, harm=harm, z=z, bound=math.inf, reason="nothing new since the last look", watch=watch
        )
    if fraction > 1:
        return _look_after_plan(guardrail, harm, error, fraction, watch=watch, false_stop=false_stop)
    fractions = (*watch.fractions, fraction)
    bound = bounds(fractions, alpha=2 * false_stop * (1 - SHARE_AFTER_PLAN), spending=Spending.OBRIEN_FLEMING)[-1]
    return _reading(guardrail, harm, z, bound, HarmWatch(watch.planned_units, fractions))


def _look_after_plan(
    guardrail: Guardrail, harm: float, error: float, fraction: float, *, watch: HarmWatch, false_stop: float
) -> HarmReading:
    """Past the plan: the two-sided sequence at twice the one-sided error left, watched on the harmful side only."""
    interval = confidence_sequence(harm, error, fraction, planned_n=2.0, alpha=2 * false_stop * SHARE_AFTER_PLAN)
    return _reading(guardrail, harm, harm / error, (harm - interval.low) / error, watch)


def _reading(guardrail: Guardrail, harm: float, z: float, bound: float, watch: HarmWatch) -> HarmReading:
    stop = z >= bound
    tolerated = f" beyond the tolerated {guardrail.margin:.1%}" if guardrail.margin else ""
    verdict = f"is harmed{tolerated}" if stop else "shows no proven harm"
    return HarmReading(stop, harm, z, bound, f"{guardrail.metric} {verdict}: z {z:.2f}, stops at {bound:.2f}", watch)


def _harm(guardrail: Guardrail, control: Moments, treatment: Moments) -> tuple[float, float]:
    """How much worse than tolerated the treatment is, in the metric's unit, with its standard error.

    With margin m the comparison is against control·(1 ∓ m), whose noise shrinks or grows by the same factor.
    """
    sign = 1 if guardrail.direction is Direction.HIGHER_IS_BETTER else -1
    tolerated = 1 - sign * guardrail.margin
    scaled = Moments(control.n, control.mean * tolerated, control.variance * tolerated * tolerated)
    return sign * (scaled.mean - treatment.mean), standard_error_of_difference(scaled, treatment)
