"""Events, orders and staff for the console: rows as the shop would have written them."""

import itertools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from shop_app.accounts.models import User
from shop_app.accounts.passwords import hash_password
from shop_app.catalog.models import Product
from shop_app.core.events import EventKind
from shop_app.core.ids import new_member_key, new_order_number, new_token
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.tracking.models import TrackedEvent

PASSWORD = "a long pass phrase 42"
_HASH = hash_password(PASSWORD)
_NUMBERS = itertools.count(1)
SLOTS = (("home", "top_picks"), ("home", "trending"), ("pdp", "similar"), ("cart", "also_like"))
DEVICES = ("phone", "tablet", "desktop")


def an_event(kind: EventKind, at: datetime, **overrides: Any) -> TrackedEvent:
    """An event of a real person, delivered, added to the session."""
    values = {
        "source_event_id": f"e-{next(_NUMBERS)}-{new_token(6)}",
        "type": int(kind),
        "shopper_key": "u_one",
        "session_id": "s_1",
        "item_id": "MUG-1",
        "value": 1.0,
        "occurred_at": at,
        "received_at": at,
        "device": "desktop",
        "meta": {},
        "delivery": "sent",
        "next_attempt_at": at,
    }
    event = TrackedEvent(**{**values, **overrides})
    db.session.add(event)
    return event


def a_member(now: datetime, *, role: str = "shopper", **overrides: Any) -> User:
    """A member whose password is `PASSWORD`."""
    values = {
        "key": new_member_key(),
        "email": f"{role}-{next(_NUMBERS)}@example.org",
        "name": role.title(),
        "password_hash": _HASH,
        "role": role,
        "created_at": now,
        "last_seen_at": now,
    }
    user = User(**{**values, **overrides})
    db.session.add(user)
    db.session.flush()
    return user


def an_order(at: datetime, products: Sequence[Product], *, shopper: str = "u_one", **overrides: Any) -> Order:
    """A placed order of one of each product, with its purchase events."""
    number = new_order_number()
    lines = [
        OrderLine(
            position=position,
            product_id=product.id,
            item_id=product.sku,
            sku=product.sku,
            title=product.title,
            quantity=1 + position % 2,
            unit_price_minor=product.price_minor,
            currency="GBP",
        )
        for position, product in enumerate(products, start=1)
    ]
    total = sum(line.quantity * line.unit_price_minor for line in lines)
    values = {
        "number": number,
        "idempotency_key": number,
        "shopper_key": shopper,
        "email": "ada@example.org",
        "address": {"full_name": "Ada Byron", "line1": "12 St James's Square", "city": "London"},
        "delivery_method": "collect",
        "currency": "GBP",
        "subtotal_minor": total,
        "delivery_minor": 0,
        "total_minor": total,
        "placed_at": at,
        "access_token": new_token(),
        "lines": lines,
    }
    order = Order(**{**values, **overrides})
    db.session.add(order)
    for line in lines:
        an_event(
            EventKind.PURCHASE,
            at,
            source_event_id=f"order:{number}:line:{line.position}",
            shopper_key=shopper,
            item_id=line.item_id,
            value=float(line.quantity),
            order_number=number,
            meta={"unit_price": line.unit_price_minor, "currency": "GBP"},
        )
    db.session.flush()
    return order


def random_days(now: datetime, products: Sequence[Product], *, days: int, visits: int, seed: int) -> None:
    """Visits with impressions, clicks, adds and orders at random places; some by bots and QA runs."""
    rng = random.Random(seed)
    for _ in range(visits):
        at = now - timedelta(seconds=rng.uniform(0, days * 86_400))
        shopper, device = f"{'au'[rng.random() < 0.7]}_{rng.randrange(visits // 4 + 1)}", rng.choice(DEVICES)
        meta = rng.choice(({}, {}, {"experiment": "cards", "ab_bucket": rng.choice(("control", "four"))}))
        flags = {"is_bot": rng.random() < 0.05, "is_qa": rng.random() < 0.05}
        surface, widget = rng.choice(SLOTS)
        request_id = f"r_{next(_NUMBERS)}"
        for rank, product in enumerate(rng.sample(products, min(4, len(products))), start=1):
            place = {
                "shopper_key": shopper,
                "device": device,
                "surface": surface,
                "widget": widget,
                "rank": rank,
                "request_id": request_id,
                "recommended": rng.random() < 0.8,
                "item_id": product.sku,
                "meta": meta,
                **flags,
            }
            an_event(EventKind.VIEW, at, **place)
            if rng.random() < 0.3:
                an_event(EventKind.CLICK, at + timedelta(seconds=20), **place)
                if rng.random() < 0.5:
                    an_event(EventKind.ADD, at + timedelta(seconds=60), value=2.0, **place)
                if rng.random() < 0.4:
                    later = timedelta(hours=rng.choice((0.1, 5, 23, 30, 100, 200)))
                    an_order(min(at + later, now), [product], shopper=shopper)
            elif rng.random() < 0.1:
                an_order(min(at + timedelta(hours=rng.choice((1, 30))), now), [product], shopper=shopper)
        an_event(EventKind.VIEW, at, shopper_key=shopper, surface="pdp", device=device, **flags)
