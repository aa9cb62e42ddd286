"""Events grouped by day and place: from the daily sums where they are complete, from the log itself elsewhere.

Sums hold every event up to a watermark. Counts of newer events are added to them; the spread over shoppers cannot be
added up, so a day with newer events is counted anew. Pages are therefore exact at any moment, and fast as long as the
job that writes the sums runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Select,
    Subquery,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)

from shop_app.analytics.models import DayAudience, DayCell, DayPlace, DaySpread, RolledDay
from shop_app.analytics.period import Period
from shop_app.core.events import EventKind
from shop_app.core.ids import MEMBER_PREFIX
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent

PLACE_COLUMNS = ("day", "type", "surface", "widget", "recommended")
CELL_COLUMNS = ("day", "type", "surface", "widget", "rank", "device", "recommended")
AUDIENCE_COLUMNS = ("day", "type", "surface", "widget", "audience", "arm", "recommended")
GRAINS: dict[str, tuple[type[DayPlace] | type[DayCell] | type[DayAudience], tuple[str, ...]]] = {
    "place": (DayPlace, PLACE_COLUMNS),
    "cell": (DayCell, CELL_COLUMNS),
    "audience": (DayAudience, AUDIENCE_COLUMNS),
}
"""How finely events can be asked for: by place alone, also by rank and device, or also by who saw them."""


ARM_JOIN = " · "


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of the shop is meant; empty text and None mean all of it."""

    surface: str = ""
    widget: str = ""
    rank: int | None = None
    device: str = ""
    recommended: bool | None = None

    def conditions(self, table: Any) -> list[ColumnElement[bool]]:
        """What a row of `table` must satisfy to lie here."""
        texts = ("surface", "widget", "device")
        wanted = [getattr(table, name) == value for name in texts if (value := getattr(self, name))]
        if self.rank is not None:
            wanted.append(table.rank == self.rank)
        if self.recommended is not None:
            wanted.append(table.recommended == self.recommended)
        return wanted


EVERYWHERE = Place()


def day_of(moment: Any) -> ColumnElement[date]:
    """The UTC day of a time column, on SQLite and PostgreSQL."""
    if db.engine.dialect.name == "postgresql":
        return cast(func.timezone("UTC", moment), Date)
    return type_coerce(func.date(moment), Date)


def counted() -> ColumnElement[bool]:
    """Events of real people."""
    return and_(TrackedEvent.is_bot.is_(False), TrackedEvent.is_qa.is_(False))


def cells(period: Period, grain: str = "place") -> Subquery:
    """One row or a few per day, type and place: the columns, `events` (how many) and `units` (the sum of their values).

    The columns are those of the grain.
    """
    table, names = GRAINS[grain]
    rolled = rolled_days(period)
    parts = [raw_cells(inside(_spans(sorted(set(period.each_day()) - set(rolled)))), names)]
    if rolled:
        stored = select(*(getattr(table, name) for name in names), table.events, table.units)
        newer = and_(inside(_spans(rolled)), TrackedEvent.id > watermark())
        parts += [stored.where(table.day.in_(rolled)), raw_cells(newer, names)]
    return union_all(*parts).subquery("cells")


def raw_cells(condition: ColumnElement[bool], names: Sequence[str] = CELL_COLUMNS) -> Select[Any]:
    """The same rows, counted from the log."""
    # A subquery first, so that the grouping names columns and not expressions with bound values.
    rows = (
        select(
            day_of(TrackedEvent.occurred_at).label("day"),
            TrackedEvent.type.label("type"),
            func.coalesce(TrackedEvent.surface, "").label("surface"),
            func.coalesce(TrackedEvent.widget, "").label("widget"),
            func.coalesce(TrackedEvent.rank, 0).label("rank"),
            TrackedEvent.device.label("device"),
            TrackedEvent.recommended.label("recommended"),
            audience_of(TrackedEvent.shopper_key).label("audience"),
            arm_of(TrackedEvent.meta).label("arm"),
            TrackedEvent.value.label("value"),
        )
        .where(counted(), condition)
        .subquery()
    )
    keys = [rows.c[name] for name in names]
    return select(*keys, func.count().label("events"), func.sum(rows.c.value).label("units")).group_by(*keys)


def audience_of(shopper_key: Any) -> ColumnElement[str]:
    """Member or guest, by the key."""
    return case((shopper_key.startswith(MEMBER_PREFIX, autoescape=True), "member"), else_="guest")


def arm_of(meta: Any) -> ColumnElement[str]:
    """`experiment · variant` of an event shown under one, else empty."""
    experiment = func.coalesce(meta["experiment"].as_string(), "")
    return case((experiment == "", ""), else_=experiment + ARM_JOIN + func.coalesce(meta["ab_bucket"].as_string(), ""))


def spreads(period: Period) -> Subquery:
    """Per day and slot, sums over shopper-days of impressions x and clicks y, for clustered intervals."""
    rolled, spans = split(period)
    names = ("day", "surface", "widget", "shoppers", "sum_x", "sum_y", "sum_xx", "sum_yy", "sum_xy")
    stored = select(*(getattr(DaySpread, name) for name in names))
    return union_all(stored.where(DaySpread.day.in_(rolled)), raw_spreads(inside(spans))).subquery("spreads")


def raw_spreads(condition: ColumnElement[bool]) -> Select[Any]:
    """The same rows, counted from the log."""
    marks = (
        select(
            day_of(TrackedEvent.occurred_at).label("day"),
            TrackedEvent.surface.label("surface"),
            TrackedEvent.widget.label("widget"),
            TrackedEvent.shopper_key.label("shopper"),
            case((TrackedEvent.type == int(EventKind.VIEW), 1), else_=0).label("x"),
            case((TrackedEvent.type == int(EventKind.CLICK), 1), else_=0).label("y"),
        )
        .where(
            counted(),
            condition,
            TrackedEvent.type.in_([int(EventKind.VIEW), int(EventKind.CLICK)]),
            TrackedEvent.surface.is_not(None),
            TrackedEvent.widget.is_not(None),
        )
        .subquery()
    )
    keys = [marks.c.day, marks.c.surface, marks.c.widget]
    shoppers = (
        select(*keys, marks.c.shopper, func.sum(marks.c.x).label("x"), func.sum(marks.c.y).label("y"))
        .group_by(*keys, marks.c.shopper)
        .subquery()
    )
    x, y = shoppers.c.x, shoppers.c.y
    grouped = [shoppers.c.day, shoppers.c.surface, shoppers.c.widget]
    sums = [(x, "sum_x"), (y, "sum_y"), (x * x, "sum_xx"), (y * y, "sum_yy"), (x * y, "sum_xy")]
    return select(
        *grouped, func.count().label("shoppers"), *(func.sum(term).label(name) for term, name in sums)
    ).group_by(*grouped)


def split(period: Period) -> tuple[list[date], list[Period]]:
    """The days of `period` whose sums are complete, and the spans of days that must be counted from the log."""
    rolled = sorted(set(rolled_days(period)) - dirty_days())
    return rolled, _spans(sorted(set(period.each_day()) - set(rolled)))


def rolled_days(period: Period) -> list[date]:
    """The days of `period` with sums of every event up to the watermark, oldest first."""
    in_period = RolledDay.day.between(period.first, period.last)
    return list(db.session.scalars(select(RolledDay.day).where(in_period).order_by(RolledDay.day)))


def watermark() -> int:
    """The newest event that the sums hold; 0 without sums."""
    return db.session.scalar(select(func.max(RolledDay.upto_event_id))) or 0


def dirty_days() -> set[date]:
    """Days with an event newer than the newest sums."""
    upto = db.session.scalar(select(func.max(RolledDay.upto_event_id)))
    if upto is None:
        return set()
    days = select(day_of(TrackedEvent.occurred_at)).where(TrackedEvent.id > upto).distinct()
    return set(db.session.scalars(days))


def inside(spans: Sequence[Period]) -> ColumnElement[bool]:
    """Did the event happen in one of these spans?"""
    if not spans:
        return false()
    moment = TrackedEvent.occurred_at
    return or_(
        *(and_(moment >= literal(span.start, moment.type), moment < literal(span.end, moment.type)) for span in spans)
    )


def _spans(days: Sequence[date]) -> list[Period]:
    spans: list[Period] = []
    for day in days:
        if spans and spans[-1].last + timedelta(days=1) == day:
            spans[-1] = Period(spans[-1].first, day)
        else:
            spans.append(Period(day, day))
    return spans


def day_start(day: date) -> datetime:
    """The first moment of a UTC day."""
    return datetime.combine(day, time(), UTC)
