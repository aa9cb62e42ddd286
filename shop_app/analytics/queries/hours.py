"""Complete hours of the event log, as the watch over it wants them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from shop_app.analytics.monitoring.schema_drift import profile
from shop_app.analytics.monitoring.watch import HourFacts
from shop_app.analytics.queries.volume import hour_text
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent

HISTORY = timedelta(weeks=5)
SAMPLE = 2000
"""Events whose shape stands for an hour's, or for the usual."""
FULL_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Watched:
    """The last complete hour, the five before it, and the weeks it is judged by, oldest first."""

    hour: HourFacts
    before: Sequence[HourFacts]
    history: Sequence[HourFacts]


def watched_hours(now: datetime) -> Watched:
    """Counts by type and by device; shapes, busiest session and clock lags of the last complete hour."""
    end = now.replace(minute=0, second=0, microsecond=0)
    last = end - FULL_HOUR
    counts = _counts(end - HISTORY, end)
    first = min(counts, default=last)
    hours = [first + n * FULL_HOUR for n in range(int((end - first) / FULL_HOUR))]
    facts = [HourFacts(hour, counts.get(hour, {})) for hour in hours] or [HourFacts(last, {})]
    usual = replace(facts[0], schema=_shape(end - HISTORY, last))
    history = [usual, *facts[1:-1]] if len(facts) > 1 else [HourFacts(last - FULL_HOUR, {})]
    return Watched(_in_full(facts[-1]), facts[-6:-1], history)


def _counts(start: datetime, end: datetime) -> dict[datetime, dict[tuple[str, str], int]]:
    found: dict[datetime, dict[tuple[str, str], int]] = {}
    for dimension, column in (("type", TrackedEvent.type), ("device", TrackedEvent.device)):
        events = (
            select(hour_text(TrackedEvent.occurred_at).label("hour"), column.label("value"))
            .where(TrackedEvent.is_qa.is_(False), *_between(start, end))
            .subquery()
        )
        query = select(events.c.hour, events.c.value, func.count()).group_by(events.c.hour, events.c.value)
        for text, value, number in db.session.execute(query):
            name = EventKind(value).name.lower() if dimension == "type" and value in set(EventKind) else str(value)
            hour = datetime.fromisoformat(f"{text}:00:00+00:00")
            found.setdefault(hour, {})[dimension, name or "unknown"] = number
    return found


def _in_full(hour: HourFacts) -> HourFacts:
    here = _between(hour.at, hour.at + FULL_HOUR)
    busiest = (
        select(func.count())
        .where(TrackedEvent.session_id.is_not(None), TrackedEvent.is_bot.is_(False), *here)
        .group_by(TrackedEvent.session_id)
        .order_by(func.count().desc())
        .limit(1)
    )
    lags = select(TrackedEvent.client_sent_at, TrackedEvent.received_at).where(
        TrackedEvent.client_sent_at.is_not(None), *here
    )
    return replace(
        hour,
        busiest_session=db.session.scalar(busiest) or 0,
        schema=_shape(hour.at, hour.at + FULL_HOUR),
        clock_lags=[sent - received for sent, received in db.session.execute(lags.limit(SAMPLE)) if sent],
    )


def _shape(start: datetime, end: datetime) -> Any:
    query = select(TrackedEvent).where(TrackedEvent.is_qa.is_(False), *_between(start, end))
    rows = db.session.scalars(query.order_by(TrackedEvent.occurred_at.desc()).limit(SAMPLE))
    return profile((_kind(row.type), _payload(row)) for row in rows)


def _payload(row: TrackedEvent) -> dict[str, Any]:
    told = {"item_id": row.item_id, "surface": row.surface, "widget": row.widget, "rank": row.rank, "value": row.value}
    return {**{name: value for name, value in told.items() if value is not None}, "meta": row.meta}


def _kind(number: int) -> str:
    return EventKind(number).name.lower() if number in set(EventKind) else str(number)


def _between(start: datetime, end: datetime) -> tuple[Any, Any]:
    return TrackedEvent.occurred_at >= start, TrackedEvent.occurred_at < end
