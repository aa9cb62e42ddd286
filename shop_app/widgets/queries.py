"""What a list needs to know that lies in other rooms. Every fragment asks, so the basket is read without the ORM."""

from sqlalchemy import bindparam, select

from shop_app.cart.models import Cart, CartLine
from shop_app.catalog.models import Category, Product, Variant
from shop_app.extensions import db

_product, _variant, _line, _cart = (model.__table__ for model in (Product, Variant, CartLine, Cart))

_CART = (
    select(_product.c.sku)
    .join(_variant, _variant.c.product_id == _product.c.id)
    .join(_line, _line.c.variant_id == _variant.c.id)
    .join(_cart, _cart.c.id == _line.c.cart_id)
    .where(_cart.c.shopper_key == bindparam("shopper_key"), _cart.c.status == "open")
    .order_by(_line.c.id)
)


def cart_item_ids(shopper_key: str) -> list[str]:
    """Item ids in the open basket, oldest first."""
    found = db.session.connection().execute(_CART, {"shopper_key": shopper_key}).scalars()
    return list(dict.fromkeys(found))


def category_of(sku: str) -> str:
    """The department path of an item; empty for one we do not know."""
    query = select(Category.path).join(Product, Product.category_id == Category.id).where(Product.sku == sku)
    return db.session.scalars(query).first() or ""
