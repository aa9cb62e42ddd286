"""What a list needs to know that lies in other rooms. Every fragment asks, so the basket is read without the ORM."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from sqlalchemy import bindparam, func, select

from shop_app.cart.models import OPEN, Cart, CartLine
from shop_app.catalog.models import Category, Product, Variant
from shop_app.extensions import db
from shop_app.plain_sql import PlainRead
from shop_app.tracking.models import LEFT_OUT_FOR, Complaint, TrackedEvent
from shop_app.widgets.memory import Pulse

MOST_TURNED_AWAY = 200
"""Items a list leaves out because they were turned away, the newest: a question to the recommender stays small."""
MOST_COMPLAINTS = 100
"""Complaints of a person that are looked at for those."""

_product, _variant, _line, _cart, _event, _complaint = (
    model.__table__ for model in (Product, Variant, CartLine, Cart, TrackedEvent, Complaint)
)

_open_cart = select(_cart.c.id).where(_cart.c.shopper_key == bindparam("shopper_key"), _cart.c.status == OPEN)
_find_cart = PlainRead(_open_cart)


def _of_newest_event(column: Any) -> Any:
    newest = select(column).where(_event.c.shopper_key == bindparam("shopper_key"))
    return newest.order_by(_event.c.occurred_at.desc(), _event.c.id.desc()).limit(1).scalar_subquery()


_turned_away_here = (
    _complaint.c.shopper_key == bindparam("shopper_key"),
    _complaint.c.surface == bindparam("surface"),
    _complaint.c.widget == bindparam("widget"),
    _complaint.c.turned_away.is_not(None),
)
_find_moment = PlainRead(
    select(
        _open_cart.scalar_subquery(),
        _of_newest_event(_event.c.id),
        _of_newest_event(_event.c.sent_at),
        select(func.max(_complaint.c.id)).where(*_turned_away_here).scalar_subquery(),
    )
)
"""Four small questions in one: a join of them has SQLite make a table in memory, four times as slow."""
_find_turned_away = PlainRead(
    select(_complaint.c.at, _complaint.c.turned_away)
    .where(*_turned_away_here)
    .order_by(_complaint.c.at.desc(), _complaint.c.id.desc())
    .limit(MOST_COMPLAINTS)
)
_items_of_cart = PlainRead(
    select(_product.c.sku)
    .join(_variant, _variant.c.product_id == _product.c.id)
    .join(_line, _line.c.variant_id == _variant.c.id)
    .where(_line.c.cart_id == bindparam("cart_id"))
    .order_by(_line.c.id)
)


def cart_item_ids(shopper_key: str) -> list[str]:
    """Item ids in the open basket, oldest first."""
    return _items(next((cart_id for (cart_id,) in _find_cart(shopper_key=shopper_key)), None))


def cart_pulse_and_turned_away(
    shopper_key: str, place: tuple[str, str], now: datetime
) -> tuple[list[str], Pulse | None, tuple[str, ...]]:
    """Item ids in the open basket, the newest event of the person, by when it happened, and what they turned away from
    the lists of this place (surface, widget) lately, the newest first.

    Most people have no basket and turned nothing away: one statement for all, and another for each that there is.
    """
    where = {"shopper_key": shopper_key, "surface": place[0], "widget": place[1]}
    cart_id, event_id, sent_at, complaint_id = _find_moment(**where)[0]
    turned_away = () if complaint_id is None else _newest_items(_find_turned_away(**where), now - LEFT_OUT_FOR)
    return _items(cart_id), None if event_id is None else Pulse(event_id, sent_at), turned_away


def _newest_items(rows: Iterable[tuple[datetime, Sequence[str]]], since: datetime) -> tuple[str, ...]:
    items = chain.from_iterable(items for at, items in rows if at > since)
    return tuple(islice(dict.fromkeys(items), MOST_TURNED_AWAY))


def _items(cart_id: int | None) -> list[str]:
    return [] if cart_id is None else list(dict.fromkeys(sku for (sku,) in _items_of_cart(cart_id=cart_id)))


def known_items(skus: Sequence[str]) -> list[str]:
    """Those of `skus` that are products of the shop, in the same order."""
    known = set(db.session.scalars(select(Product.sku).where(Product.sku.in_(skus))))
    return [sku for sku in skus if sku in known]


def category_of(sku: str) -> str:
    """The department path of an item; empty for one we do not know."""
    query = select(Category.path).join(Product, Product.category_id == Category.id).where(Product.sku == sku)
    return db.session.scalars(query).first() or ""
