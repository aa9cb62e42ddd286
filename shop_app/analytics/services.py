"""What the jobs of analytics write: credits of order lines and daily sums. Each may run twice without harm."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import and_, delete, func, insert, select

from shop_app.analytics.models import DaySpread, OrderLineCredit, RolledDay
from shop_app.analytics.period import Period
from shop_app.analytics.queries.attribution import MAIN_WINDOW, Touch, arms_of, touches, uncredited_lines
from shop_app.analytics.queries.cells import GRAINS, day_of, inside, raw_cells, raw_spreads, watermark
from shop_app.extensions import db
from shop_app.orders.models import OrderLine
from shop_app.tracking.models import TrackedEvent

SETTLING = timedelta(minutes=2)
"""Longer than any transaction that writes events: ids below the watermark are then all committed."""
EVENT_GRACE = timedelta(minutes=2)
"""Browsers send a click up to seconds after it happened: a line is judged when its clicks must have arrived."""
CREDIT_BATCH = 200


def credit_order_lines(now: datetime, limit: int = CREDIT_BATCH) -> int:
    """Give each order line without a verdict its one credit; returns how many lines were judged."""
    lines = [line for line in uncredited_lines(limit) if line.order.placed_at <= now - EVENT_GRACE]
    found = touches(lines)
    verdicts = [_credit(line, *found[line.id], now) for line in lines]
    arms = arms_of({verdict.request_id for verdict in verdicts if verdict.request_id})
    for verdict in verdicts:
        verdict.arm = arms.get(verdict.request_id, "")
    db.session.add_all(verdicts)
    return len(lines)


def _credit(line: OrderLine, clicks: Sequence[Touch], views: Sequence[Touch], now: datetime) -> OrderLineCredit:
    kind, touch = _verdict(line, clicks, views)
    return OrderLineCredit(
        order_line_id=line.id,
        day=line.order.placed_at.date(),
        credit=kind,
        surface=touch.surface if touch else "",
        widget=touch.widget if touch else "",
        rank=touch.rank if touch else 0,
        device=touch.device if touch else "",
        request_id=touch.request_id if touch else "",
        touched_at=touch.at if touch else None,
        quantity=line.quantity,
        revenue_minor=line.quantity * line.unit_price_minor,
        currency=line.currency,
        credited_at=now,
    )


def _verdict(line: OrderLine, clicks: Sequence[Touch], views: Sequence[Touch]) -> tuple[str, Touch | None]:
    if clicks:
        last = max(clicks, key=_order)
        return ("click_24h" if line.order.placed_at - last.at <= MAIN_WINDOW else "click_7d"), last
    if views:
        return "view", max(views, key=_order)
    return "organic", None


def _order(touch: Touch) -> tuple[datetime, str, str, str, int, str]:
    """The later touch wins; at the same moment the one that knows its device, then any fixed order."""
    return (touch.at, touch.device, touch.request_id, touch.surface, touch.rank, touch.widget)


def roll_days(now: datetime, max_days: int = 31) -> int:
    """Write the sums of every day whose sums are missing or older than its events, newest day first.

    At most `max_days` at once, so that a first run over a long history has short transactions. Returns how many.
    """
    upto = _settled_event_id(now)
    db.session.execute(delete(RolledDay).where(RolledDay.day.in_(_stale_days(upto))))
    days = _missing_days(now.date())[:max_days]
    for day in days:
        _roll(day, upto, now)
    return len(days)


def _settled_event_id(now: datetime) -> int:
    """The newest id below which no event can still be on its way into the table."""
    rolled_upto = watermark()
    unsettled = select(func.min(TrackedEvent.id)).where(
        TrackedEvent.id > rolled_upto, TrackedEvent.received_at > now - SETTLING
    )
    first_unsettled = db.session.scalar(unsettled)
    if first_unsettled is not None:
        return first_unsettled - 1
    return db.session.scalar(select(func.max(TrackedEvent.id))) or rolled_upto


def _stale_days(upto: int) -> list[date]:
    """Days with events between the watermark and `upto`."""
    newer = select(day_of(TrackedEvent.occurred_at)).where(TrackedEvent.id > watermark(), TrackedEvent.id <= upto)
    return sorted(set(db.session.scalars(newer.distinct())))


def _missing_days(today: date) -> list[date]:
    """Days since the first event without sums, newest first."""
    first = db.session.scalar(select(func.min(TrackedEvent.occurred_at)))
    if first is None:
        return []
    known = set(db.session.scalars(select(RolledDay.day)))
    return [day for day in reversed(Period(first.date(), max(today, first.date())).each_day()) if day not in known]


def _roll(day: date, upto: int, now: datetime) -> None:
    # Pages add what came after `upto` themselves: it must not be in the sums.
    condition = and_(inside([Period(day, day)]), TrackedEvent.id <= upto)
    sums = [(table, raw_cells(condition, names)) for table, names in GRAINS.values()]
    for table, query in (*sums, (DaySpread, raw_spreads(condition))):
        db.session.execute(delete(table).where(table.day == day))
        if rows := db.session.execute(query).mappings().all():
            db.session.execute(insert(table), [dict(row) for row in rows])
    db.session.merge(RolledDay(day=day, upto_event_id=upto, rolled_at=now))
