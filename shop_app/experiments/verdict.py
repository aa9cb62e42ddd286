"""Ship, hold or stop, with the reasons in plain words. The rule was written before launch: SRM clean ∧ guardrails hold
∧ primary proven.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from shop_app.experiments.guardrails import Direction, Guardrail
from shop_app.experiments.statistics.comparisons import standard_error_of_difference
from shop_app.experiments.statistics.moments import Moments
from shop_app.experiments.statistics.sequences import Interval, confidence_sequence

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST_RUN = timedelta(days=7)  # weekdays and weekends differ: nothing ships before one full week
MIXED_UNITS_WARNING = (
    0.01  # share of units seen in two arms above which they are excluded with a warning (GrowthBook's default)
)
ALPHA = 0.05


class Decision(StrEnum):
    """What to do with the treatment."""

    SHIP = "ship"
    HOLD = "hold"
    STOP = "stop"


class GuardrailState(StrEnum):
    """`HOLDS`: proven not worse than the margin. `BROKEN`: proven worse. `OPEN`: neither yet."""

    HOLDS = "holds"
    BROKEN = "broken"
    OPEN = "open"


@dataclass(frozen=True)
class MetricReading:
    """A metric of both arms at this look, with the always-valid interval of treatment − control."""

    metric: str
    direction: Direction
    interval: Interval

    @property
    def is_better(self) -> bool:
        """The interval lies on the good side of 0."""
        return self.interval.low > 0 if self.direction is Direction.HIGHER_IS_BETTER else self.interval.high < 0

    @property
    def is_worse(self) -> bool:
        """The interval lies on the bad side of 0."""
        return self.interval.high < 0 if self.direction is Direction.HIGHER_IS_BETTER else self.interval.low > 0


@dataclass(frozen=True)
class GuardrailReading:
    """A guardrail at this look."""

    metric: str
    state: GuardrailState


@dataclass(frozen=True)
class Evidence:
    """Everything the decision rests on. `mixed_share` is the share of units that were exposed to two arms."""

    primary: MetricReading
    guardrails: Sequence[GuardrailReading]
    ratio_is_clean: bool
    running_for: timedelta
    mixed_share: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """The decision and one sentence per reason, most important first."""

    decision: Decision
    reasons: tuple[str, ...]


def decide(evidence: Evidence) -> Verdict:
    """Apply the ship rule. A broken guardrail stops even when the primary metric won."""
    warnings = _warnings(evidence)
    if not evidence.ratio_is_clean:
        return _verdict(
            Decision.HOLD, "The arms do not hold the planned shares of shoppers, so no result can be trusted.", warnings
        )
    broken = [reading.metric for reading in evidence.guardrails if reading.state is GuardrailState.BROKEN]
    if broken:
        return _verdict(Decision.STOP, f"A guardrail is broken: {', '.join(broken)}.", warnings)
    if evidence.primary.is_worse:
        return _verdict(Decision.STOP, f"{evidence.primary.metric} is worse than the control.", warnings)
    waiting = _waiting_for(evidence)
    if waiting:
        return Verdict(Decision.HOLD, (*waiting, *warnings))
    return _verdict(Decision.SHIP, f"{evidence.primary.metric} is better and every guardrail holds.", warnings)


def read_metric(
    metric: str, direction: Direction, control: Moments, treatment: Moments, *, planned_units: int, alpha: float = ALPHA
) -> MetricReading:
    """Always-valid reading of a metric; units are counted over both arms."""
    error = standard_error_of_difference(control, treatment)
    interval = confidence_sequence(
        treatment.mean - control.mean, error, control.n + treatment.n, planned_n=planned_units, alpha=alpha
    )
    return MetricReading(metric, direction, interval)


def read_guardrail(
    guardrail: Guardrail, control: Moments, treatment: Moments, *, planned_units: int, alpha: float = ALPHA
) -> GuardrailReading:
    """One-sided non-inferiority at `alpha`: holds when the whole interval lies above control·(1 − margin) (below, if
    lower is better).
    """
    sign = 1 if guardrail.direction is Direction.HIGHER_IS_BETTER else -1
    tolerated = 1 - sign * guardrail.margin
    limit = Moments(control.n, control.mean * tolerated, control.variance * tolerated**2)
    reading = read_metric(
        guardrail.metric, guardrail.direction, limit, treatment, planned_units=planned_units, alpha=2 * alpha
    )
    if reading.is_worse:
        return GuardrailReading(guardrail.metric, GuardrailState.BROKEN)
    state = GuardrailState.HOLDS if reading.is_better else GuardrailState.OPEN
    return GuardrailReading(guardrail.metric, state)


def _waiting_for(evidence: Evidence) -> tuple[str, ...]:
    reasons = []
    if evidence.running_for < SHORTEST_RUN:
        reasons.append(f"It has run for {evidence.running_for.days} of at least {SHORTEST_RUN.days} days.")
    if not evidence.primary.is_better:
        reasons.append(f"{evidence.primary.metric} is not yet proven better: the interval still contains 0.")
    still_open = [reading.metric for reading in evidence.guardrails if reading.state is GuardrailState.OPEN]
    if still_open:
        reasons.append(f"Not yet proven harmless: {', '.join(still_open)}.")
    return tuple(reasons)


def _warnings(evidence: Evidence) -> tuple[str, ...]:
    if evidence.mixed_share > MIXED_UNITS_WARNING:
        return (f"{evidence.mixed_share:.1%} of the shoppers were seen in two arms and are left out.",)
    return ()


def _verdict(decision: Decision, reason: str, warnings: tuple[str, ...]) -> Verdict:
    return Verdict(decision, (reason, *warnings))
