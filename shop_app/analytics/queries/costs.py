"""What recommending used: calls by verb, CPU time, bytes on the wire, and what remembering saved."""

from collections.abc import Sequence
from dataclasses import dataclass

from shop_app.analytics.period import Period
from shop_app.recsys.queries import Calls, Summary, answers, calls, summary

HOUR_US = 3600e6


@dataclass(frozen=True, slots=True)
class VerbCost:
    """All calls of one verb. CPU is that of the calling process: all of the work for the embedded engine, the client's
    part of it for a remote one.
    """

    verb: str
    calls: int
    failed: int
    things: int
    took_us: int
    cpu_us: int
    wire_bytes: int

    def per_call(self, amount: float) -> float:
        """`amount` divided among the calls."""
        return amount / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Costs:
    """A period's use. `lists` are the widget answers, `verbs` the calls, most CPU first."""

    lists: Summary
    verbs: tuple[VerbCost, ...]

    @property
    def is_empty(self) -> bool:
        return not self.lists.answers and not self.verbs

    @property
    def hit_rate(self) -> float | None:
        """Share of the model's lists that were repeated from memory; None when it gave none."""
        return self.lists.hits / self.lists.model if self.lists.model else None

    @property
    def cpu_ms_per_list(self) -> float | None:
        """CPU of one widget answer, drawing included; that of the recommender's calls is part of it when embedded."""
        return self.lists.cpu_us / 1000 / self.lists.answers if self.lists.answers else None

    @property
    def saved_cpu_us(self) -> float:
        """What the repeated lists would have cost: their number times an average `recommend` call."""
        asked = self.verb("recommend")
        return self.lists.hits * asked.per_call(asked.cpu_us)

    @property
    def events_per_call(self) -> float | None:
        """Events of an average delivery: the larger, the cheaper the journey of each."""
        sent = self.verb("send_events")
        return sent.per_call(sent.things) if sent.calls else None

    @property
    def wire_bytes(self) -> int:
        """What went over the network both ways: 0 for the engine in the process."""
        return sum(one.wire_bytes for one in self.verbs)

    @property
    def cpu_hours(self) -> float:
        """CPU of widgets and of calls made outside them."""
        outside = sum(one.cpu_us for one in self.verbs if one.verb != "recommend")
        return (self.lists.cpu_us + outside) / HOUR_US

    def verb(self, name: str) -> VerbCost:
        """The calls of one verb; zeros when there were none."""
        return next((one for one in self.verbs if one.verb == name), VerbCost(name, 0, 0, 0, 0, 0, 0))


def costs(period: Period) -> Costs:
    """What the period used, from the counts of all processes."""
    rows = calls(period.start, period.end)
    verbs = [_verb(name, [row for row in rows if row.verb == name]) for name in dict.fromkeys(row.verb for row in rows)]
    verbs.sort(key=lambda one: (-one.cpu_us, one.verb))
    return Costs(summary(answers(period.start, period.end)), tuple(verbs))


def _verb(name: str, rows: Sequence[Calls]) -> VerbCost:
    return VerbCost(
        name,
        sum(row.calls for row in rows),
        sum(row.calls for row in rows if row.outcome != "ok"),
        sum(row.things for row in rows),
        sum(row.took_us for row in rows),
        sum(row.cpu_us for row in rows),
        sum(row.wire_bytes for row in rows),
    )
