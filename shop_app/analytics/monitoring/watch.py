"""One look at the last hour of the event stream with every detector, and what to do about what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from shop_app.analytics.monitoring.schema_drift import SchemaProfile, drift
from shop_app.analytics.monitoring.timing import zone_shift
from shop_app.analytics.monitoring.volume import HOURS_PER_WEEK, Change, HourOfWeekBaseline, count_tail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

BUSY_SESSION_SHARE = 0.2  # one session with more than this share of an hour's events is a robot
FEWEST_EVENTS = 50
DUPLICATE_TAIL = 1e-6  # tail probability of that many repeated events
LONG_WINDOW_H = 6  # small streams are also judged over this many hours together


class Fault(StrEnum):
    """What went wrong, in the words of the alert."""

    DROP = "drop"
    SURGE = "surge"
    DUPLICATES = "duplicates"
    SCHEMA = "schema"
    ZONE_SHIFT = "zone_shift"
    BOT_BURST = "bot_burst"


ADVICE = {
    Fault.DROP: "Events are missing. Did the page, the tracker or this browser change? Is the queue stuck?",
    Fault.SURGE: "More events than this hour ever has. Look for a campaign, a robot, or events that are sent twice.",
    Fault.DUPLICATES: "The same events arrive again: a retry without an acknowledgement? The copies were not counted.",
    Fault.SCHEMA: "The events changed their shape. Compare the path with the last release and the contract.",
    Fault.ZONE_SHIFT: "Times are off by whole half hours. Something writes local time where UTC is due.",
    Fault.BOT_BURST: "One session makes much of the traffic. Mark it as a robot: it should not teach the recommender.",
}


@dataclass(frozen=True)
class HourFacts:
    """Complete sums of one hour. `counts` maps (dimension, value), such as ("type", "view") or ("browser", "Safari"),
    to events.

    `duplicates` are events refused as known; `busiest_session` is the largest number of events of one session.
    """

    at: datetime
    counts: Mapping[tuple[str, str], int]
    duplicates: int = 0
    busiest_session: int = 0
    schema: SchemaProfile = field(default_factory=SchemaProfile)
    clock_lags: Sequence[timedelta] = ()

    @property
    def total(self) -> int:
        """Events of the hour, by type."""
        return sum(count for (dimension, _), count in self.counts.items() if dimension == "type")


@dataclass(frozen=True)
class Finding:
    """One fault in one hour; `subject` is the stream, path or clock concerned."""

    fault: Fault
    subject: str
    at: datetime
    detail: str

    @property
    def advice(self) -> str:
        """What a person should do first."""
        return ADVICE[self.fault]


class StreamWatch:
    """Judges hours against earlier weeks. `history` holds hours of at least three weeks; faulty ones should be left
    out of it.
    """

    def __init__(self, history: Sequence[HourFacts]) -> None:
        if not history:
            raise ValueError("a watch needs a history")
        self._short = _baselines(history, 1)
        self._long = _baselines(history, LONG_WINDOW_H)
        self._schema = SchemaProfile()
        for hour in history:
            self._schema.merge(hour.schema)
        self._duplicates = sum(hour.duplicates for hour in history)
        self._events = sum(hour.total for hour in history)

    def judge(self, hour: HourFacts, before: Sequence[HourFacts] = ()) -> list[Finding]:
        """Findings of one hour; `before` are the five hours in front of it, for streams too small to judge alone."""
        return [
            *self._volume(hour, before),
            *self._repeats(hour),
            *(
                Finding(Fault.SCHEMA, change.path, hour.at, f"{change.kind}: {change.usual} → {change.seen}")
                for change in drift(self._schema, hour.schema)
            ),
            *self._clock(hour),
            *self._robot(hour),
        ]

    def _volume(self, hour: HourFacts, before: Sequence[HourFacts]) -> list[Finding]:
        found = _volume_findings(self._short, hour.at, hour.counts, "in one hour")
        if len(before) == LONG_WINDOW_H - 1:
            sums = {stream: sum(h.counts.get(stream, 0) for h in (*before, hour)) for stream in self._long}
            known = {finding.subject for finding in found}
            more = _volume_findings(self._long, hour.at, sums, f"in {LONG_WINDOW_H} hours")
            found += [finding for finding in more if finding.subject not in known]
        return found

    def _repeats(self, hour: HourFacts) -> list[Finding]:
        """Repeated events are judged as a count whose usual rate per event is known."""
        arrived = hour.total + hour.duplicates
        if arrived < FEWEST_EVENTS:
            return []
        usual = (self._duplicates + 1) / (self._events + 1) * arrived
        tail = count_tail(hour.duplicates, round(usual * HOURS_PER_WEEK), HOURS_PER_WEEK)
        if hour.duplicates <= 2 * usual or tail > DUPLICATE_TAIL:
            return []
        return [Finding(Fault.DUPLICATES, "all", hour.at, f"{hour.duplicates} of {arrived} events were known")]

    def _clock(self, hour: HourFacts) -> list[Finding]:
        shift = zone_shift(hour.clock_lags)
        return [Finding(Fault.ZONE_SHIFT, "clock", hour.at, f"off by {shift}")] if shift else []

    def _robot(self, hour: HourFacts) -> list[Finding]:
        if hour.total < FEWEST_EVENTS or hour.busiest_session < BUSY_SESSION_SHARE * hour.total:
            return []
        return [Finding(Fault.BOT_BURST, "session", hour.at, f"{hour.busiest_session} of {hour.total} events")]


def _volume_findings(
    baselines: Mapping[tuple[str, str], HourOfWeekBaseline],
    at: datetime,
    counts: Mapping[tuple[str, str], int],
    span: str,
) -> list[Finding]:
    found = []
    for stream, baseline in baselines.items():
        reading = baseline.judge(at, counts.get(stream, 0))
        if reading is not None and reading.change is not None:
            fault = Fault.DROP if reading.change is Change.DROP else Fault.SURGE
            detail = f"{reading.count} {span}, {reading.expected:.0f} usual"
            found.append(Finding(fault, ":".join(stream), at, detail))
    return found


def _baselines(history: Sequence[HourFacts], window_h: int) -> dict[tuple[str, str], HourOfWeekBaseline]:
    """A baseline per stream over sums of `window_h` hours that end in the hour; hours missing from the history are
    unknown.
    """
    ordered = sorted(history, key=lambda hour: hour.at)
    monday = ordered[0].at.replace(hour=0, minute=0, second=0, microsecond=0)
    offset = monday.weekday() * 24
    places = [offset + round((hour.at - monday).total_seconds() / 3600) for hour in ordered]
    weeks = places[-1] // HOURS_PER_WEEK + 1
    result = {}
    for stream in sorted({stream for hour in ordered for stream in hour.counts}):
        flat = np.full(weeks * HOURS_PER_WEEK, np.nan)
        flat[places] = [hour.counts.get(stream, 0) for hour in ordered]
        if window_h > 1:
            sums = np.convolve(flat, np.ones(window_h), mode="valid")
            flat = np.concatenate([np.full(window_h - 1, np.nan), sums])
        result[stream] = HourOfWeekBaseline(flat.reshape(weeks, HOURS_PER_WEEK))
    return result
