"""Reading what belongs to a member."""

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select

from shop_app.accounts.models import Address, WishlistItem
from shop_app.catalog.models import Category, Product
from shop_app.catalog.queries import ProductCard, cards
from shop_app.core.errors import NotFound
from shop_app.extensions import db
from shop_app.plain_sql import PlainRead


def addresses(user_id: int) -> Sequence[Address]:
    """The member's addresses, the usual one first."""
    rows = select(Address).where(Address.user_id == user_id)
    return db.session.scalars(rows.order_by(Address.is_default.desc(), Address.id)).all()


def address(user_id: int, address_id: int) -> Address:
    """One of the member's own addresses.

    Raises:
        NotFound: it is not theirs, or not there.

    """
    row = select(Address).where(Address.id == address_id, Address.user_id == user_id)
    found = db.session.scalars(row).one_or_none()
    if found is None:
        raise NotFound("That address is not in your book.")
    return found


def wishlist_skus(shopper_key: str) -> list[str]:
    """Item ids on somebody's wishlist, newest first."""
    rows = (
        select(Product.sku)
        .join(WishlistItem, WishlistItem.product_id == Product.id)
        .where(WishlistItem.shopper_key == shopper_key)
        .order_by(WishlistItem.added_at.desc(), WishlistItem.id.desc())
    )
    return list(db.session.scalars(rows))


def wishlist(shopper_key: str) -> list[ProductCard]:
    """Cards of the wishlist; what is not for sale just now is left out, and comes back when it is."""
    return cards(wishlist_skus(shopper_key))


def wishlist_count(shopper_key: str) -> int:
    """How many products are on it."""
    return int(_wishes(shopper_key=shopper_key)[0][0])


_wish = WishlistItem.__table__
_wishes = PlainRead(select(func.count(_wish.c.id)).where(_wish.c.shopper_key == bindparam("shopper_key")))
"""Every page asks."""


def department_names() -> dict[str, str]:
    """Path to name of the top departments, in their order."""
    rows = select(Category.path, Category.name).where(Category.parent_id.is_(None))
    return {row.path: row.name for row in db.session.execute(rows.order_by(Category.position, Category.id))}
