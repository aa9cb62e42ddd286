"""The daily proof: credits + organic = orders, and purchase events = order lines, each difference by name (RS-053)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, union

from shop_app.analytics.models import OrderLineCredit
from shop_app.analytics.period import Period
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.orders.models import ERASED_EMAIL, Order, OrderLine
from shop_app.tracking.models import TrackedEvent

CREDITS = ("click_24h", "click_7d", "view", "organic")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not add up. `minor` is how much money it is about."""

    kind: str
    order_number: str
    position: int
    text: str
    minor: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """The sums of a period, in minor units, and every difference. `credited` maps each kind of credit to its sum."""

    orders: int
    lines: int
    ordered_minor: int
    credited: dict[str, int]
    waiting_lines: int
    differences: tuple[Difference, ...]

    @property
    def credited_minor(self) -> int:
        return sum(self.credited.values())

    @property
    def holds(self) -> bool:
        return not self.differences and self.waiting_lines == 0 and self.credited_minor == self.ordered_minor


def proof(period: Period) -> Proof:
    """Compare orders, credits and purchase events of every order placed in `period`. Imported orders are left out."""
    rows = _lines(period)
    events = _purchase_events(period)
    return Proof(
        orders=len({row.number for row in rows}),
        lines=len(rows),
        ordered_minor=sum(row.quantity * row.unit_price_minor for row in rows),
        credited={kind: sum(row.revenue_minor or 0 for row in rows if row.credit == kind) for kind in CREDITS},
        waiting_lines=sum(row.credit is None for row in rows),
        differences=(*_against_credits(rows), *_against_totals(period), *_against_events(rows, events)),
    )


def _lines(period: Period) -> Sequence[Any]:
    query = (
        select(
            Order.number,
            Order.email,
            OrderLine.position,
            OrderLine.item_id,
            OrderLine.quantity,
            OrderLine.unit_price_minor,
            OrderLine.currency,
            OrderLineCredit.credit,
            OrderLineCredit.revenue_minor,
            OrderLineCredit.currency.label("credit_currency"),
        )
        .join(Order, Order.id == OrderLine.order_id)
        .outerjoin(OrderLineCredit, OrderLineCredit.order_line_id == OrderLine.id)
        .where(Order.placed_at >= period.start, Order.placed_at < period.end, Order.is_imported.is_(False))
        .order_by(Order.number, OrderLine.position)
    )
    return db.session.execute(query).all()


def _purchase_events(period: Period) -> dict[tuple[str, str], list[Any]]:
    """Order number and item id → its purchase events, of orders placed in the period or events told in it."""
    numbers = select(Order.number).where(
        Order.placed_at >= period.start, Order.placed_at < period.end, Order.is_imported.is_(False)
    )
    imported = select(Order.number).where(Order.is_imported.is_(True))
    is_purchase = TrackedEvent.type == int(EventKind.PURCHASE)
    of_orders = select(TrackedEvent.id).where(is_purchase, TrackedEvent.order_number.in_(numbers))
    in_time = select(TrackedEvent.id).where(
        is_purchase,
        TrackedEvent.occurred_at.between(period.start, period.end),
        TrackedEvent.order_number.is_not(None),
        TrackedEvent.order_number.not_in(imported),
    )
    # Each half has an index of its own; one condition of both would read the whole log.
    ids = union(of_orders, in_time).subquery()
    query = select(
        TrackedEvent.order_number,
        TrackedEvent.item_id,
        TrackedEvent.source_event_id,
        TrackedEvent.value,
        TrackedEvent.meta,
    ).join(ids, ids.c.id == TrackedEvent.id)
    found: dict[tuple[str, str], list[Any]] = {}
    for event in db.session.execute(query.order_by(TrackedEvent.id)):
        found.setdefault((event.order_number or "", event.item_id or ""), []).append(event)
    return found


def _against_credits(rows: Sequence[Any]) -> Iterator[Difference]:
    for row in rows:
        amount = row.quantity * row.unit_price_minor
        if row.credit is None:
            continue
        if row.revenue_minor != amount or row.credit_currency != row.currency:
            text = f"credited {row.revenue_minor} {row.credit_currency}, the line says {amount} {row.currency}"
            yield Difference("credit_amount", row.number, row.position, text, amount - row.revenue_minor)


def _against_totals(period: Period) -> Iterator[Difference]:
    """An order's own subtotal must be the sum of its lines."""
    amount = func.coalesce(func.sum(OrderLine.quantity * OrderLine.unit_price_minor), 0)
    query = (
        select(Order.number, Order.subtotal_minor, amount)
        .outerjoin(OrderLine)
        .where(Order.placed_at >= period.start, Order.placed_at < period.end, Order.is_imported.is_(False))
        .group_by(Order.number, Order.subtotal_minor)
        .having(amount != Order.subtotal_minor)
        .order_by(Order.number)
    )
    for number, subtotal, lines in db.session.execute(query):
        text = f"subtotal {subtotal}, its lines sum to {lines}"
        yield Difference("order_subtotal", number, 0, text, int(subtotal - lines))


def _against_events(rows: Sequence[Any], events: dict[tuple[str, str], list[Any]]) -> Iterator[Difference]:
    """Lines of one order may share an item (two sizes of a shirt): each event is matched to one line."""
    left = {key: list(found) for key, found in events.items()}
    for row in rows:
        event = _take(left.get((row.number, row.item_id), []), row)
        amount = row.quantity * row.unit_price_minor
        if event is None and row.email == ERASED_EMAIL:
            continue
        if event is None:
            text = f"no purchase event for {row.item_id}"
            yield Difference("event_missing", row.number, row.position, text, amount)
        elif wrong := _mistakes(event, row):
            yield Difference("event_differs", row.number, row.position, wrong, amount)
    for (number, item), extra in left.items():
        for event in extra:
            text = f"purchase event {event.source_event_id} for {item} has no order line of its own"
            yield Difference("event_extra", number, 0, text)


def _take(candidates: list[Any], row: Any) -> Any:
    """The event of this line: by its id `order:<number>:line:<position>`, else the first left for the item."""
    own = f"order:{row.number}:line:{row.position}"
    for index, event in enumerate(candidates):
        if event.source_event_id == own:
            return candidates.pop(index)
    others = [e for e in candidates if not e.source_event_id.startswith(f"order:{row.number}:")]
    if not others:
        return None
    candidates.remove(others[0])
    return others[0]


def _mistakes(event: Any, row: Any) -> str:
    pairs = (
        ("quantity", event.value, row.quantity),
        ("unit price", event.meta.get("unit_price"), row.unit_price_minor),
        ("currency", event.meta.get("currency"), row.currency),
    )
    return "; ".join(
        f"{name} {said!r} in the event, {meant!r} in the order" for name, said, meant in pairs if said != meant
    )
