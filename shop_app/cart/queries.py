"""Reading a basket the way its page shows it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import joinedload, selectinload

from shop_app.cart.models import OPEN, Cart, CartLine
from shop_app.catalog.models import Product, Variant
from shop_app.catalog.queries import card
from shop_app.core.money import Money
from shop_app.extensions import db
from shop_app.plain_sql import PlainRead

FREE_DELIVERY_FROM_MINOR = 50_00
"""Standard delivery costs nothing from this subtotal on, in minor units of the shop's currency."""


@dataclass(frozen=True, slots=True)
class LineView:
    """One row of the basket page. `available` is the variant's stock, 0 when it is not for sale any more."""

    line_id: int
    sku: str
    item_id: str
    slug: str
    title: str
    options: str
    picture_url: str
    quantity: int
    available: int
    unit_price: Money
    seen_price: Money

    @property
    def total(self) -> Money:
        return self.unit_price * self.quantity

    @property
    def is_short(self) -> bool:
        return self.quantity > self.available

    @property
    def has_moved(self) -> bool:
        """The price is not the one the shopper saw when they last touched the line."""
        return self.unit_price != self.seen_price


@dataclass(frozen=True, slots=True)
class CartView:
    """A basket ready to be shown. An empty one has no id."""

    cart_id: int | None
    lines: tuple[LineView, ...]
    currency: str

    @property
    def count(self) -> int:
        """Pieces, not lines."""
        return sum(line.quantity for line in self.lines)

    @property
    def subtotal(self) -> Money:
        return sum((line.total for line in self.lines), Money(0, self.currency))

    @property
    def free_delivery_gap(self) -> Money | None:
        """What is missing for free delivery; nothing for an empty basket or one that has reached it."""
        gap = FREE_DELIVERY_FROM_MINOR - self.subtotal.minor
        return Money(gap, self.currency) if self.lines and gap > 0 else None

    @property
    def has_moved_prices(self) -> bool:
        return any(line.has_moved for line in self.lines)

    @property
    def can_check_out(self) -> bool:
        return bool(self.lines) and not any(line.is_short for line in self.lines)

    @property
    def fingerprint(self) -> str:
        """Changes when a line, a quantity or a price does: what the shopper agreed to pay for."""
        return fingerprint((line.sku, line.quantity, line.unit_price.minor) for line in self.lines)


def fingerprint(lines: Iterable[tuple[str, int, int]]) -> str:
    """16 hex digits over (variant SKU, quantity, unit price in minor units), whatever their order."""
    text = ";".join(f"{sku}:{quantity}:{price}" for sku, quantity, price in sorted(lines))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cart_view(shopper_key: str, currency: str) -> CartView:
    """The shopper's open basket, lines in the order they were added; `currency` is for an empty one."""
    rows = db.session.scalars(
        select(CartLine)
        .join(Cart)
        .where(Cart.shopper_key == shopper_key, Cart.status == OPEN)
        .order_by(CartLine.id)
        .options(
            joinedload(CartLine.variant)
            .joinedload(Variant.product)
            .options(joinedload(Product.brand), selectinload(Product.variants))
        )
    ).all()
    lines = tuple(_line_view(row) for row in rows)
    return CartView(
        cart_id=rows[0].cart_id if rows else None,
        lines=lines,
        currency=lines[0].unit_price.currency if lines else currency,
    )


def count(shopper_key: str) -> int:
    """Pieces in the open basket."""
    return int(_pieces(shopper_key=shopper_key)[0][0])


_line, _cart = CartLine.__table__, Cart.__table__
_pieces = PlainRead(
    select(func.coalesce(func.sum(_line.c.quantity), 0))
    .join(_cart, _cart.c.id == _line.c.cart_id)
    .where(_cart.c.shopper_key == bindparam("shopper_key"), _cart.c.status == OPEN)
)
"""Every page asks."""


def options_text(variant: Variant) -> str:
    """`Black · M`; empty for a product without a choice."""
    return " · ".join(value[:1].upper() + value[1:] for value in variant.options.values())


def _line_view(line: CartLine) -> LineView:
    variant, product = line.variant, line.variant.product
    return LineView(
        line_id=line.id,
        sku=variant.sku,
        item_id=product.sku,
        slug=product.slug,
        title=product.title,
        options=options_text(variant),
        picture_url=card(product).picture_url,
        quantity=line.quantity,
        available=variant.stock if product.status == "active" else 0,
        unit_price=Money(variant.price_minor, product.currency),
        seen_price=Money(line.seen_price_minor, product.currency),
    )
