"""How much happens: events by type over days and hours, and what the shop took."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select

from shop_app.analytics.period import Period
from shop_app.analytics.queries.cells import cells, counted, day_of
from shop_app.analytics.queries.funnel import UNDONE
from shop_app.extensions import db
from shop_app.orders.models import Order
from shop_app.tracking.models import TrackedEvent

HOURS = 48


@dataclass(frozen=True, slots=True)
class Takings:
    """What orders brought in, delivery included, without cancelled and refunded ones."""

    orders: int = 0
    revenue_minor: int = 0


def events_by_day(period: Period) -> dict[int, dict[date, int]]:
    """Event type → day → events of real people."""
    table = cells(period)
    rows = db.session.execute(
        select(table.c.type, table.c.day, func.sum(table.c.events)).group_by(table.c.type, table.c.day)
    )
    counts: dict[int, dict[date, int]] = {}
    for kind, day, events in rows:
        counts.setdefault(kind, {})[day] = int(events)
    return counts


def events_by_hour(until: datetime, hours: int = HOURS) -> dict[int, dict[datetime, int]]:
    """Event type → full hour → events of real people, for the `hours` hours that end with the one of `until`."""
    end = until.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    hour = hour_text(TrackedEvent.occurred_at).label("hour")
    events = (
        select(TrackedEvent.type.label("type"), hour)
        .where(counted(), TrackedEvent.occurred_at >= end - timedelta(hours=hours), TrackedEvent.occurred_at < end)
        .subquery()
    )
    query = select(events.c.type, events.c.hour, func.count()).group_by(events.c.type, events.c.hour)
    counts: dict[int, dict[datetime, int]] = {}
    for kind, text, number in db.session.execute(query):
        moment = datetime.fromisoformat(f"{text}:00:00+00:00")
        counts.setdefault(kind, {})[moment] = number
    return counts


def takings_by_day(period: Period) -> dict[date, Takings]:
    """Orders and revenue of each day that had any."""
    orders = (
        select(day_of(Order.placed_at).label("day"), Order.total_minor.label("total"))
        .where(Order.placed_at >= period.start, Order.placed_at < period.end, Order.status.not_in(UNDONE))
        .subquery()
    )
    rows = db.session.execute(select(orders.c.day, func.count(), func.sum(orders.c.total)).group_by(orders.c.day))
    return {day: Takings(number, int(total or 0)) for day, number, total in rows}


def hour_text(moment: Any) -> ColumnElement[str]:
    """`2026-03-02 10` in UTC, on SQLite and PostgreSQL."""
    if db.engine.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24")
    return func.strftime("%Y-%m-%d %H", moment)
