"""Harm done to orders, their events and their credits, as the daily proof must name it."""

from sqlalchemy import select

from shop_app.analytics.models import OrderLineCredit
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.tracking.models import TrackedEvent
from tests.factories.analytics import an_event

FAULTS = ("event_missing", "event_differs", "event_extra", "credit_amount", "order_subtotal")


def damage(line: OrderLine, fault: str) -> tuple[str, str, int]:
    """Do one kind of harm; returns how the proof must name it."""
    order = db.session.get_one(Order, line.order_id)
    event = db.session.scalars(
        select(TrackedEvent).where(TrackedEvent.source_event_id == f"order:{order.number}:line:{line.position}")
    ).one()
    if fault == "event_missing":
        db.session.delete(event)
    elif fault == "event_differs":
        event.meta = {**event.meta, "currency": "EUR"}
    elif fault == "event_extra":
        an_event(EventKind.PURCHASE, order.placed_at, order_number=order.number, item_id=line.item_id)
        return fault, order.number, 0
    elif fault == "credit_amount":
        db.session.get_one(OrderLineCredit, line.id).revenue_minor += 1
    else:
        order.subtotal_minor += 5
        return fault, order.number, 0
    return fault, order.number, line.position
