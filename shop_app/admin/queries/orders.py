"""Orders as support looks at them: each line with its attribution, its credit and its event's delivery."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import selectinload

from shop_app.admin.paging import PAGE_SIZE, Listing
from shop_app.analytics.models import OrderLineCredit
from shop_app.core.errors import NotFound
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.tracking.models import TrackedEvent


@dataclass(frozen=True, slots=True)
class LineStory:
    """An order line, who got its credit, and the purchase event that told Recsys."""

    line: OrderLine
    credit: OrderLineCredit | None
    event: TrackedEvent | None


def orders(text: str, status: str, page: int) -> Listing[Order]:
    """Newest first; `text` is part of an order number or an e-mail address."""
    total = db.session.scalar(_filtered(select(func.count(Order.id)), text, status)) or 0
    query = _filtered(select(Order), text, status).order_by(Order.placed_at.desc(), Order.id.desc())
    rows = db.session.scalars(
        query.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE).options(selectinload(Order.lines))
    ).all()
    return Listing(rows, total, page)


def order(number: str) -> Order:
    """One order.

    Raises:
        NotFound: there is none.

    """
    found = db.session.scalars(select(Order).where(Order.number == number)).one_or_none()
    if found is None:
        raise NotFound("There is no such order.")
    return found


def line_stories(found: Order) -> list[LineStory]:
    """Every line of the order, in its order."""
    ids = [line.id for line in found.lines]
    credits_of = {
        credit.order_line_id: credit
        for credit in db.session.scalars(select(OrderLineCredit).where(OrderLineCredit.order_line_id.in_(ids)))
    }
    events = db.session.scalars(
        select(TrackedEvent).where(
            TrackedEvent.order_number == found.number, TrackedEvent.type == int(EventKind.PURCHASE)
        )
    ).all()
    by_id = {event.source_event_id: event for event in events}
    return [
        LineStory(line, credits_of.get(line.id), by_id.get(f"order:{found.number}:line:{line.position}"))
        for line in found.lines
    ]


def other_events(found: Order) -> list[TrackedEvent]:
    """The order's events that belong to no line: its summary, a refund."""
    query = select(TrackedEvent).where(
        TrackedEvent.order_number == found.number, TrackedEvent.type != int(EventKind.PURCHASE)
    )
    return list(db.session.scalars(query.order_by(TrackedEvent.id)))


def _filtered(query: Select[Any], text: str, status: str) -> Select[Any]:
    if text:
        query = query.where(
            or_(
                Order.number.icontains(text.strip(), autoescape=True),
                Order.email.icontains(text.strip(), autoescape=True),
            )
        )
    return query.where(Order.status == status) if status else query
