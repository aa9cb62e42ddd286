"""Reading orders the way a shopper sees them: without where each line came from."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload, selectinload

from shop_app.catalog.models import Product, Variant
from shop_app.catalog.queries import card
from shop_app.core.errors import NotFound
from shop_app.core.money import Money
from shop_app.extensions import db
from shop_app.orders.delivery import METHODS
from shop_app.orders.models import Order, OrderLine, PaymentAttempt, SandboxPayment

MOST_SHOWN = 100
STATUS_TEXT = {"placed": "Being packed", "shipped": "On its way", "cancelled": "Cancelled", "refunded": "Refunded"}


@dataclass(frozen=True, slots=True)
class OrderLineView:
    """One row of an order. `can_buy_again` is whether the very same variant is for sale now."""

    position: int
    sku: str
    title: str
    slug: str
    picture_url: str
    quantity: int
    unit_price: Money
    is_shown: bool
    can_buy_again: bool

    @property
    def total(self) -> Money:
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order ready to be shown to the person it belongs to."""

    number: str
    placed_at: datetime
    status: str
    email: str
    address: dict[str, str]
    delivery_title: str
    lines: tuple[OrderLineView, ...]
    subtotal: Money
    delivery: Money
    total: Money

    @property
    def status_text(self) -> str:
        return STATUS_TEXT.get(self.status, self.status.capitalize())

    @property
    def count(self) -> int:
        """Pieces."""
        return sum(line.quantity for line in self.lines)


def order_for(number: str, user_id: int | None, tokens: Sequence[str]) -> Order:
    """The order, for the member it belongs to or a guest who holds its access token.

    Raises:
        NotFound: it is somebody else's, or there is none: the answer is the same.

    """
    order = db.session.scalars(select(Order).where(Order.number == number)).one_or_none()
    if order is None or not _may_see(order, user_id, tokens):
        raise NotFound("We can’t find that order. If it is yours, sign in to see it.")
    return order


def orders_of(user_id: int | None, tokens: Sequence[str]) -> list[OrderView]:
    """A member's orders and those placed in this browser without an account; newest first, the latest hundred."""
    of_browser = Order.access_token.in_(tokens)
    mine = of_browser if user_id is None else or_(of_browser, Order.user_id == user_id)
    rows = select(Order).where(mine).order_by(Order.placed_at.desc(), Order.id.desc()).limit(MOST_SHOWN)
    return [order_view(order) for order in db.session.scalars(rows.options(selectinload(Order.lines)))]


def order_view(order: Order) -> OrderView:
    """What the order's page shows."""
    products = _products(order.lines)
    return OrderView(
        number=order.number,
        placed_at=order.placed_at,
        status=order.status,
        email=order.email,
        address=order.address,
        delivery_title=next((m.title for m in METHODS if m.code == order.delivery_method), order.delivery_method),
        lines=tuple(_line_view(line, products[line.product_id]) for line in order.lines),
        subtotal=Money(order.subtotal_minor, order.currency),
        delivery=Money(order.delivery_minor, order.currency),
        total=Money(order.total_minor, order.currency),
    )


def attempt_of(key: str, shopper_key: str) -> PaymentAttempt | None:
    """The shopper's own payment attempt under this key."""
    mine = select(PaymentAttempt).where(PaymentAttempt.key == key, PaymentAttempt.shopper_key == shopper_key)
    return db.session.scalars(mine).one_or_none()


def typed_before(cart_id: int | None, shopper_key: str) -> dict[str, str]:
    """What the shopper typed at the last try to pay for this basket, as the checkout's fields; empty: no try yet."""
    mine = select(PaymentAttempt.checkout).where(
        PaymentAttempt.cart_id == cart_id, PaymentAttempt.shopper_key == shopper_key
    )
    last = db.session.scalars(mine.order_by(PaymentAttempt.id.desc()).limit(1)).first()
    return {} if last is None else {"email": last["email"], "delivery": last["delivery"], **last["address"]}


def sandbox_payment(ref: str) -> SandboxPayment:
    """A payment at the sandbox.

    Raises:
        NotFound: there is none.

    """
    found = db.session.scalars(select(SandboxPayment).where(SandboxPayment.ref == ref)).one_or_none()
    if found is None:
        raise NotFound("There is no such payment.")
    return found


def _may_see(order: Order, user_id: int | None, tokens: Sequence[str]) -> bool:
    if order.user_id is not None and order.user_id == user_id:
        return True
    return any(hmac.compare_digest(order.access_token.encode(), token.encode()) for token in tokens)


def _products(lines: Sequence[OrderLine]) -> dict[int, Product]:
    ids = {line.product_id for line in lines}
    rows = select(Product).where(Product.id.in_(ids)).options(joinedload(Product.brand), selectinload(Product.variants))
    return {product.id: product for product in db.session.scalars(rows)}


def _line_view(line: OrderLine, product: Product) -> OrderLineView:
    variant: Variant | None = next((v for v in product.variants if v.id == line.variant_id), None)
    is_sold = product.status == "active"
    return OrderLineView(
        position=line.position,
        sku=line.sku,
        title=line.title,
        slug=product.slug,
        picture_url=card(product).picture_url,
        quantity=line.quantity,
        unit_price=Money(line.unit_price_minor, line.currency),
        is_shown=product.status != "hidden",
        can_buy_again=is_sold and variant is not None and variant.stock > 0,
    )
