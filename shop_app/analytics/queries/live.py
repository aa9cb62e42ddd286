"""The last hour, minute by minute: what people do, and how the recommender keeps up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select

from shop_app.analytics.canary import Freshness, freshness
from shop_app.analytics.queries.cells import counted
from shop_app.analytics.queries.funnel import UNDONE
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.orders.models import Order
from shop_app.recsys.queries import Summary, answers, answers_over_time, summary
from shop_app.tracking.models import TrackedEvent

WINDOW = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
FRESHNESS_WINDOW = timedelta(hours=24)
STEPS = (EventKind.VIEW, EventKind.CLICK, EventKind.ADD, EventKind.PURCHASE)


@dataclass(frozen=True, slots=True)
class LiveSurface:
    """One page's lists in the last hour: events that name it, by step."""

    surface: str
    steps: Mapping[EventKind, int]


@dataclass(frozen=True, slots=True)
class Live:
    """One look at the last hour. `minutes` are its sixty full minutes and the one that runs, oldest first.

    `latency` holds (p50, p95) in ms for each minute that had answers. `slots` are (slot, how its answers went).
    """

    minutes: Sequence[datetime]
    events: Mapping[int, Sequence[int]]
    surfaces: Sequence[LiveSurface]
    orders: int
    revenue_minor: int
    whole: Summary
    latency: Mapping[datetime, tuple[float | None, float | None]]
    slots: Sequence[tuple[str, Summary]]
    fresh: Freshness


def live(now: datetime) -> Live:
    """Everything of the page; events by the moment they happened, without bots and QA."""
    end = now.replace(second=0, microsecond=0) + MINUTE
    start = end - WINDOW - MINUTE
    minutes = [start + n * MINUTE for n in range(int((end - start) / MINUTE))]
    orders, revenue = _takings(start, end)
    counted_answers = answers(start, end)
    names = sorted({row.slot for row in counted_answers})
    return Live(
        minutes=minutes,
        events=_events(start, end, minutes),
        surfaces=_surfaces(start, end),
        orders=orders,
        revenue_minor=revenue,
        whole=summary(counted_answers),
        latency={at: (s.quantile_ms(0.5), s.quantile_ms(0.95)) for at, s in answers_over_time(start, end)},
        slots=[(name, summary([row for row in counted_answers if row.slot == name])) for name in names],
        fresh=freshness(now - FRESHNESS_WINDOW),
    )


def _events(start: datetime, end: datetime, minutes: Sequence[datetime]) -> dict[int, list[int]]:
    rows = (
        select(TrackedEvent.type.label("type"), _minute(TrackedEvent.occurred_at).label("minute"))
        .where(*_inside(start, end))
        .subquery()
    )
    query = select(rows.c.type, rows.c.minute, func.count()).group_by(rows.c.type, rows.c.minute)
    place = {f"{at:%Y-%m-%d %H:%M}": n for n, at in enumerate(minutes)}
    found: dict[int, list[int]] = {int(kind): [0] * len(minutes) for kind in EventKind}
    for kind, text, number in db.session.execute(query):
        found.setdefault(kind, [0] * len(minutes))[place[text]] = number
    return found


def _surfaces(start: datetime, end: datetime) -> list[LiveSurface]:
    query = (
        select(TrackedEvent.surface, TrackedEvent.type, func.count())
        .where(*_inside(start, end), TrackedEvent.widget.is_not(None), TrackedEvent.surface.is_not(None))
        .group_by(TrackedEvent.surface, TrackedEvent.type)
    )
    found: dict[str, dict[EventKind, int]] = {}
    for surface, kind, number in db.session.execute(query):
        if kind in STEPS:
            found.setdefault(str(surface), dict.fromkeys(STEPS, 0))[EventKind(kind)] = number
    rows = [LiveSurface(surface, steps) for surface, steps in found.items()]
    return sorted(rows, key=lambda row: (-row.steps[EventKind.VIEW], row.surface))


def _takings(start: datetime, end: datetime) -> tuple[int, int]:
    query = select(func.count(), func.coalesce(func.sum(Order.total_minor), 0)).where(
        Order.placed_at >= start, Order.placed_at < end, Order.status.not_in(UNDONE)
    )
    orders, revenue = db.session.execute(query).one()
    return int(orders), int(revenue)


def _inside(start: datetime, end: datetime) -> tuple[ColumnElement[bool], ...]:
    return counted(), TrackedEvent.occurred_at >= start, TrackedEvent.occurred_at < end


def _minute(moment: Any) -> ColumnElement[str]:
    """`2026-03-02 10:07` in UTC, on SQLite and PostgreSQL."""
    if db.engine.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24:MI")
    return func.strftime("%Y-%m-%d %H:%M", moment)
