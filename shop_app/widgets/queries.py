"""What a list needs to know that lies in other rooms."""

from sqlalchemy import select

from shop_app.cart.models import Cart, CartLine
from shop_app.catalog.models import Category, Product, Variant
from shop_app.extensions import db


def cart_item_ids(shopper_key: str) -> list[str]:
    """Item ids in the open basket, oldest first."""
    query = (
        select(Product.sku)
        .join(Variant, Variant.product_id == Product.id)
        .join(CartLine, CartLine.variant_id == Variant.id)
        .join(Cart, Cart.id == CartLine.cart_id)
        .where(Cart.shopper_key == shopper_key, Cart.status == "open")
        .order_by(CartLine.id)
    )
    return list(dict.fromkeys(db.session.scalars(query)))


def category_of(sku: str) -> str:
    """The department path of an item; empty for one we do not know."""
    query = select(Category.path).join(Product, Product.category_id == Category.id).where(Product.sku == sku)
    return db.session.scalars(query).first() or ""
