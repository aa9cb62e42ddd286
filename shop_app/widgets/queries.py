"""What a list needs to know that lies in other rooms. Every fragment asks, so the basket is read without the ORM."""

from typing import Any

from sqlalchemy import bindparam, select

from shop_app.cart.models import OPEN, Cart, CartLine
from shop_app.catalog.models import Category, Product, Variant
from shop_app.extensions import db
from shop_app.plain_sql import PlainRead
from shop_app.tracking.models import TrackedEvent
from shop_app.widgets.memory import Pulse

_product, _variant, _line, _cart, _event = (
    model.__table__ for model in (Product, Variant, CartLine, Cart, TrackedEvent)
)

_open_cart = select(_cart.c.id).where(_cart.c.shopper_key == bindparam("shopper_key"), _cart.c.status == OPEN)
_find_cart = PlainRead(_open_cart)


def _of_newest_event(column: Any) -> Any:
    newest = select(column).where(_event.c.shopper_key == bindparam("shopper_key"))
    return newest.order_by(_event.c.occurred_at.desc(), _event.c.id.desc()).limit(1).scalar_subquery()


_find_cart_and_newest_event = PlainRead(
    select(_open_cart.scalar_subquery(), _of_newest_event(_event.c.id), _of_newest_event(_event.c.sent_at))
)
"""Three small questions in one: a join of them has SQLite make a table in memory, four times as slow."""
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


def cart_and_pulse(shopper_key: str) -> tuple[list[str], Pulse | None]:
    """Item ids in the open basket, and the newest event of the person, by when it happened.

    Most people have no basket: one statement for both, and another for those who have one.
    """
    cart_id, event_id, sent_at = _find_cart_and_newest_event(shopper_key=shopper_key)[0]
    return _items(cart_id), None if event_id is None else Pulse(event_id, sent_at)


def _items(cart_id: int | None) -> list[str]:
    return [] if cart_id is None else list(dict.fromkeys(sku for (sku,) in _items_of_cart(cart_id=cart_id)))


def category_of(sku: str) -> str:
    """The department path of an item; empty for one we do not know."""
    query = select(Category.path).join(Product, Product.category_id == Category.id).where(Product.sku == sku)
    return db.session.scalars(query).first() or ""
