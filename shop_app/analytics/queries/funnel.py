"""What every surface brings in. This module is the definition of each metric; the console prints `DEFINITIONS`."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Subquery, case, func, select

from shop_app.analytics.intervals import NOTHING, Estimate, RatioSums, compound_rate, delta_ratio, wilson
from shop_app.analytics.models import OrderLineCredit
from shop_app.analytics.period import Period
from shop_app.analytics.queries.cells import EVERYWHERE, Place, audience_of, cells, spreads
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine

DIMENSIONS = ("surface", "widget", "rank", "device", "audience", "arm")
BY_AUDIENCE = frozenset({"audience", "arm"})
UNDONE = ("cancelled", "refunded")
"""Orders whose money did not stay."""
MAIN_CREDIT = "click_24h"

DEFINITIONS = {
    "Impressions": "Cards of a list that were at least half visible for one second, once per answer and item.",
    "Clicks": "Clicks on such a card.",
    "CTR": "Clicks ÷ impressions. Interval: delta method over shopper-days; Wilson's by rank, device, person or arm.",
    "Adds": "Times an item was put in the basket whose last place was this list.",
    "Add rate": "Adds ÷ clicks. Interval: Wilson's. Over 100 % when people add straight from the card.",
    "Purchases": "Order lines credited to this list: its recommended item was the last one clicked in the 24 h before.",
    "Conversion": "Purchases ÷ clicks. Interval: Wilson's.",
    "Revenue": "Price × quantity of those order lines, without cancelled and refunded orders.",
    "Revenue per 1,000": "Revenue ÷ impressions × 1,000. Interval: order lines as independent amounts.",
    "Revenue per user": "Revenue ÷ shopper-days with an impression (a shopper counts once a day and list).",
}


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """One place's way from being seen to being bought, in one period."""

    key: tuple[str, ...]
    impressions: int = 0
    clicks: int = 0
    adds: int = 0
    purchases: int = 0
    revenue_minor: int = 0
    revenue_squares: float = 0.0
    sums: RatioSums | None = field(default=None)

    @property
    def ctr(self) -> Estimate:
        return delta_ratio(self.sums) if self.sums else wilson(self.clicks, self.impressions)

    @property
    def add_rate(self) -> Estimate:
        return wilson(self.adds, self.clicks)

    @property
    def conversion(self) -> Estimate:
        return wilson(self.purchases, self.clicks)

    @property
    def revenue_per_thousand(self) -> Estimate:
        """In minor units."""
        return compound_rate(self.revenue_minor, self.revenue_squares, self.impressions / 1000)

    @property
    def revenue_per_user(self) -> Estimate:
        """In minor units per shopper-day."""
        return compound_rate(self.revenue_minor, self.revenue_squares, self.sums.n) if self.sums else NOTHING


def funnel(period: Period, by: tuple[str, ...] = ("surface",), place: Place = EVERYWHERE) -> list[FunnelRow]:
    """One row per value of the dimensions `by`, most impressions first. Only what a list showed counts.

    Clustered intervals and revenue per user are given when neither a rank, a device nor an audience is asked for. By
    audience or arm only surface and widget of `place` count.
    """
    steps = _steps(period, by, place)
    money = _money(period, by, place)
    sums = _sums(period, by, place) if _grain(by, place) == "place" and place.recommended is None else {}
    rows = [
        FunnelRow(key, *steps.get(key, (0, 0, 0)), *money.get(key, (0, 0, 0.0)), sums=sums.get(key))
        for key in steps.keys() | money.keys()
    ]
    return sorted(rows, key=lambda row: (-row.impressions, -row.clicks, row.key))


def added(rows: Sequence[FunnelRow]) -> FunnelRow:
    """The rows of different places as one."""
    sums = [row.sums for row in rows if row.sums]
    return FunnelRow(
        (),
        impressions=sum(row.impressions for row in rows),
        clicks=sum(row.clicks for row in rows),
        adds=sum(row.adds for row in rows),
        purchases=sum(row.purchases for row in rows),
        revenue_minor=sum(row.revenue_minor for row in rows),
        revenue_squares=sum(row.revenue_squares for row in rows),
        sums=RatioSums(*(sum(column) for column in zip(*map(astuple, sums), strict=True))) if sums else None,
    )


def total(period: Period, place: Place = EVERYWHERE) -> FunnelRow:
    """All of `place` as one row."""
    rows = funnel(period, (), place)
    return rows[0] if rows else FunnelRow(())


def daily(period: Period, place: Place = EVERYWHERE) -> dict[date, FunnelRow]:
    """The same for every day that has any: the trend."""
    steps = _steps(period, ("day",), place)
    money = _money(period, ("day",), place)
    return {
        key[0]: FunnelRow((key[0].isoformat(),), *steps.get(key, (0, 0, 0)), *money.get(key, (0, 0, 0.0)))
        for key in steps.keys() | money.keys()
    }


def clicks(period: Period, by: tuple[str, ...]) -> dict[tuple[Any, ...], int]:
    """Only the clicks of each value of the dimensions `by`, which may be `day`: one question instead of three."""
    return {key: number for key, (_, number, _) in _steps(period, by, EVERYWHERE).items()}


def _grain(by: tuple[str, ...], place: Place) -> str:
    if BY_AUDIENCE & set(by):
        return "audience"
    is_fine = bool({"rank", "device"} & set(by)) or place.rank is not None or bool(place.device)
    return "cell" if is_fine else "place"


def _steps(period: Period, by: tuple[str, ...], place: Place) -> dict[tuple[Any, ...], tuple[int, int, int]]:
    grain = _grain(by, place)
    table = cells(period, grain)
    place = Place(place.surface, place.widget, recommended=place.recommended) if grain == "audience" else place
    keys = [table.c[name] for name in by]
    counts = [_count(table, kind) for kind in (EventKind.VIEW, EventKind.CLICK, EventKind.ADD)]
    query = select(*keys, *counts).where(table.c.widget != "", *place.conditions(table.c))
    rows = db.session.execute(query.group_by(*keys) if keys else query)
    return {tuple(row[: len(by)]): (int(row[-3] or 0), int(row[-2] or 0), int(row[-1] or 0)) for row in rows}


def _count(table: Subquery, kind: EventKind) -> ColumnElement[Any]:
    return func.sum(case((table.c.type == int(kind), table.c.events), else_=0))


def _money(period: Period, by: tuple[str, ...], place: Place) -> dict[tuple[Any, ...], tuple[int, int, float]]:
    amount = OrderLineCredit.revenue_minor
    keys = [_credit_key(name) for name in by]
    place = Place(place.surface, place.widget) if BY_AUDIENCE & set(by) else place
    kept = case((Order.status.in_(UNDONE), 0), else_=amount)
    squares = case((Order.status.in_(UNDONE), 0.0), else_=1.0 * amount * amount)
    query = (
        select(*keys, func.count(), func.sum(kept), func.sum(squares))
        .join(OrderLine, OrderLine.id == OrderLineCredit.order_line_id)
        .join(Order, Order.id == OrderLine.order_id)
        .where(
            OrderLineCredit.credit == MAIN_CREDIT,
            OrderLineCredit.day.between(period.first, period.last),
            *Place(place.surface, place.widget, place.rank, place.device).conditions(OrderLineCredit),
        )
    )
    rows = db.session.execute(query.group_by(*keys) if keys else query)
    return {tuple(row[: len(by)]): (int(row[-3]), int(row[-2] or 0), float(row[-1] or 0)) for row in rows}


def _credit_key(name: str) -> ColumnElement[Any]:
    """What a credited line is grouped by. The arm is that of the answer it was bought from."""
    if name == "audience":
        return audience_of(Order.shopper_key).label(name)
    column: ColumnElement[Any] = getattr(OrderLineCredit, name)
    return column


def _sums(period: Period, by: tuple[str, ...], place: Place) -> dict[tuple[Any, ...], RatioSums]:
    table = spreads(period)
    keys = [table.c[name] for name in by]
    names = ("shoppers", "sum_x", "sum_y", "sum_xx", "sum_yy", "sum_xy")
    query = select(*keys, *(func.sum(table.c[name]) for name in names)).where(
        *Place(place.surface, place.widget).conditions(table.c)
    )
    rows = db.session.execute(query.group_by(*keys) if keys else query)
    return {tuple(row[: len(by)]): RatioSums(int(row[-6] or 0), *(float(v or 0) for v in row[-5:])) for row in rows}
