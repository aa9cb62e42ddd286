"""What a list needs to know that lies in other rooms. Every fragment asks, so the basket is read without the ORM."""

from sqlalchemy import bindparam, null, select, type_coerce, union_all

from shop_app.cart.models import Cart, CartLine
from shop_app.catalog.models import Category, Product, Variant
from shop_app.extensions import PlainRead, UtcDateTime, db
from shop_app.tracking.models import TrackedEvent
from shop_app.widgets.memory import Pulse

_product, _variant, _line, _cart, _event = (
    model.__table__ for model in (Product, Variant, CartLine, Cart, TrackedEvent)
)

_lines = (
    select(_product.c.sku)
    .join(_variant, _variant.c.product_id == _product.c.id)
    .join(_line, _line.c.variant_id == _variant.c.id)
    .join(_cart, _cart.c.id == _line.c.cart_id)
    .where(_cart.c.shopper_key == bindparam("shopper_key"), _cart.c.status == "open")
)
_newest_event = (
    select(_event.c.id, _event.c.sent_at)
    .where(_event.c.shopper_key == bindparam("shopper_key"))
    .order_by(_event.c.occurred_at.desc())
    .limit(1)
    .subquery()
)
_cart_lines = PlainRead(_lines.order_by(_line.c.id))
_cart_lines_and_newest_event = PlainRead(
    union_all(
        _lines.add_columns(
            _line.c.id.label("place"), null().label("event_id"), type_coerce(null(), UtcDateTime).label("sent_at")
        ),
        select(null().label("sku"), null().label("place"), _newest_event.c.id, _newest_event.c.sent_at),
    ).order_by("place")
)


def cart_item_ids(shopper_key: str) -> list[str]:
    """Item ids in the open basket, oldest first."""
    return list(dict.fromkeys(sku for (sku,) in _cart_lines(shopper_key=shopper_key)))


def cart_and_pulse(shopper_key: str) -> tuple[list[str], Pulse | None]:
    """Item ids in the open basket, and the newest event of the person, by when it happened: one question for both."""
    found = _cart_lines_and_newest_event(shopper_key=shopper_key)
    pulse = next((Pulse(event_id, sent_at) for _, _, event_id, sent_at in found if event_id is not None), None)
    return list(dict.fromkeys(sku for sku, _, event_id, _ in found if event_id is None)), pulse


def category_of(sku: str) -> str:
    """The department path of an item; empty for one we do not know."""
    query = select(Category.path).join(Product, Product.category_id == Category.id).where(Product.sku == sku)
    return db.session.scalars(query).first() or ""
