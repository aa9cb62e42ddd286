"""A small shop with habits, behind the embedded gateway."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from recsys_engine.contract import Event, EventType, Item
from shop_app.core.clock import FixedClock
from shop_app.recsys.embedded import EmbeddedGateway

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ORG = "11111111-1111-4111-8111-111111111111"


def open_gateway(folder, namespace, clock=None):
    """A gateway of its own over `folder`/engine.sqlite3; close it."""
    url = f"sqlite:///{folder}/engine.sqlite3"
    return EmbeddedGateway(url, ORG, namespace, (clock or FixedClock(NOW)).now, model_folder=folder / "models")


def fill(gateway, *, users=12, orders=12):
    """24 products in four groups; each shopper buys two of one group each time and a third that changes."""
    gateway.upsert_items([Item(f"p{i}", price=5.0 + i, brand=f"b{i % 3}", category=f"c{i // 6}") for i in range(24)])
    lines = [line for user in range(users) for line in _orders_of(user, orders)]
    for start in range(0, len(lines), 500):
        gateway.send_events(lines[start : start + 500])


def _orders_of(user, orders):
    group = 6 * (user % 4)
    for order in range(orders):
        at = NOW - timedelta(days=10 * order + user % 5 + 1)
        for item in (group, group + 1, group + 2 + (order + user) % 4):
            yield Event(f"u_{user}", f"p{item}", EventType.PURCHASE, 1.0, at, {"order_id": f"o{user}-{order}"})


def a_row(item_id, **columns):
    """A row of the engine's items table."""
    row = {
        "item_id": item_id,
        "available": True,
        "price": 5.0,
        "brand": None,
        "category": None,
        "tags": "[]",
        "props": "{}",
        "created_us": 0,
        "embedding": None,
    }
    return SimpleNamespace(**row | columns)
