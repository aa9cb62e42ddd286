"""What an order tells Recsys (RS-023, RS-024, RS-058): one place builds it."""

from shop_app.core.events import EventKind, Regret
from shop_app.orders.models import Order, OrderLine
from shop_app.tracking.services import BusinessEvent


def order_events(order: Order, cart_token: str) -> list[BusinessEvent]:
    """One purchase per line, then the summary."""
    return [*(_purchase(order, line, cart_token) for line in order.lines), _summary(order, "order", cart_token)]


def refund_event(order: Order) -> BusinessEvent:
    """The order was taken back, whole."""
    return _summary(order, "refund", "")


def return_events(order: Order) -> list[BusinessEvent]:
    """The goods came back: one event a line, so that what often comes back is recommended less."""
    return [
        BusinessEvent(
            kind=EventKind.CUSTOM,
            source_event_id=f"order:{order.number}:return:{line.position}",
            item_id=line.item_id,
            value=float(line.quantity),
            order_number=order.number,
            meta={"kind": Regret.RETURN.value, "order_id": order.number},
        )
        for line in order.lines
    ]


def _purchase(order: Order, line: OrderLine, cart_token: str) -> BusinessEvent:
    return BusinessEvent(
        kind=EventKind.PURCHASE,
        source_event_id=f"order:{order.number}:line:{line.position}",
        item_id=line.item_id,
        value=float(line.quantity),
        attribution=line.place,
        order_number=order.number,
        meta={
            "order_id": order.number,
            "cart_id": cart_token,
            "unit_price": line.unit_price_minor,
            "currency": line.currency,
            "sku": line.sku,
        },
    )


def _summary(order: Order, kind: str, cart_token: str) -> BusinessEvent:
    """The order as one event without an item: `kind` is order or refund."""
    items = [
        {"item_id": line.item_id, "sku": line.sku, "quantity": line.quantity, "unit_price": line.unit_price_minor}
        for line in order.lines
    ]
    meta = {"kind": kind, "order_id": order.number, "total": order.total_minor, "currency": order.currency}
    return BusinessEvent(
        kind=EventKind.CUSTOM,
        source_event_id=f"order:{order.number}:{kind}",
        item_id=None,
        order_number=order.number,
        meta={**meta, "items": items, **({"cart_id": cart_token} if cart_token else {})},
    )
