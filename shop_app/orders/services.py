"""Placing an order, cancelling it, giving the money back. Callers open the unit of work."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from shop_app.accounts.services import note_spending
from shop_app.cart.models import Cart, CartLine
from shop_app.cart.queries import fingerprint, options_text
from shop_app.cart.services import close_cart
from shop_app.catalog.models import Product, ProductSales, Variant
from shop_app.core.errors import Conflict, NotFound, OutOfStock
from shop_app.core.ids import new_order_number, new_token
from shop_app.core.money import Money
from shop_app.core.shopper import Consent, Shopper
from shop_app.extensions import db, insert_into, rows_changed
from shop_app.orders.delivery import delivery_method
from shop_app.orders.errors import BasketChanged, BasketClosed
from shop_app.orders.models import Order, OrderLine, PaymentAttempt
from shop_app.orders.payloads import order_events, refund_event, return_events
from shop_app.outbox.services import mark_changed
from shop_app.tracking.services import record_business_events

ATTRIBUTION = ("request_id", "surface", "widget", "rank", "recommended", "clicked_at")
"""Copied from the cart line to the order line, name by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What a paid checkout asks for. `amount` was authorised; `fingerprint` is the basket the shopper saw."""

    key: str
    cart_id: int
    shopper: Shopper
    email: str
    address: dict[str, str]
    delivery: str
    fingerprint: str
    amount: Money


def place_order(request: OrderRequest, now: datetime) -> Order:
    """Turn the basket into an order, all of it or nothing, and tell of it (RS-023, RS-024).

    The basket's lock comes first, then stock rows by ascending variant id, so that no two checkouts can deadlock. A key
    that was used returns its order and writes nothing.

    Raises:
        OutOfStock: a line asks for more than there is.
        BasketChanged: lines or prices are not what was authorised.
        BasketClosed: the basket was checked out under another key.

    """
    cart = _lock_cart(request.cart_id)
    if (placed := order_by_key(request.key)) is not None:
        return placed
    if cart.status != "open":
        raise BasketClosed("This basket was checked out already.")
    lines = _take_stock(cart.id)
    order = _order(request, lines, now)
    db.session.add(order)
    db.session.flush()  # the number must be known to be unique before anything speaks of it
    _count_sales(lines, now, sign=1)
    record_business_events(order_events(order, cart.token), request.shopper, now)
    mark_changed("item", {line.variant.product_id for line in lines}, now)
    if request.shopper.user_id is not None:
        note_spending(request.shopper.user_id, spent_minor(request.shopper.user_id), now)
    close_cart(cart.id, now)
    return order


def order_by_key(key: str) -> Order | None:
    """The order that this idempotency key made."""
    return db.session.scalars(select(Order).where(Order.idempotency_key == key)).one_or_none()


def spent_minor(user_id: int) -> int:
    """Minor units a member has spent on orders that stand."""
    stands = Order.status.in_(("placed", "shipped"))
    return sum(db.session.scalars(select(Order.total_minor).where(Order.user_id == user_id, stands)))


def ship_order(number: str, now: datetime) -> Order:
    """The parcel is on its way; from here on the order can be refunded but not cancelled.

    Raises:
        Conflict: it is not waiting to be sent.

    """
    del now
    order = lock_order(number)
    _require(order, "placed")
    order.status = "shipped"
    return order


def cancel_order(number: str, now: datetime) -> Order:
    """Take a placed order back before it is sent: stock returns, Recsys hears of a refund. The money is the caller's.

    Raises:
        Conflict: it was sent, cancelled or refunded already.

    """
    order = lock_order(number)
    _require(order, "placed")
    return _undo(order, "cancelled", now)


def refund_order(number: str, now: datetime) -> Order:
    """A sent order came back: stock returns, Recsys hears of a refund and of each return. Money is the caller's.

    Raises:
        Conflict: it was not sent, or refunded already.

    """
    order = lock_order(number)
    _require(order, "shipped")
    record_business_events(return_events(order), _buyer(order), now)
    return _undo(order, "refunded", now)


def lock_order(number: str) -> Order:
    """The order of this number, locked until the transaction ends.

    Raises:
        NotFound: there is none.

    """
    locked = select(Order).where(Order.number == number).with_for_update().execution_options(populate_existing=True)
    order = db.session.scalars(locked).one_or_none()
    if order is None:
        raise NotFound(f"There is no order {number}.")
    return order


def _lock_cart(cart_id: int) -> Cart:
    locked = select(Cart).where(Cart.id == cart_id).with_for_update().execution_options(populate_existing=True)
    return db.session.scalars(locked).one()


def _lines_by_variant(cart_id: int) -> list[CartLine]:
    return list(
        db.session.scalars(
            select(CartLine)
            .where(CartLine.cart_id == cart_id)
            .order_by(CartLine.variant_id)
            .options(joinedload(CartLine.variant).joinedload(Variant.product))
            .execution_options(populate_existing=True)
        )
    )


def _take_stock(cart_id: int) -> list[CartLine]:
    """Take what the basket asks for, and read its lines again under the locks this leaves on variants and products.

    Conditional updates, never read-then-write: the check and the taking are one statement.
    """
    wanted = _lines_by_variant(cart_id)
    for line in wanted:
        enough = (Variant.id == line.variant_id, Variant.stock >= line.quantity)
        if rows_changed(update(Variant).where(*enough).values(stock=Variant.stock - line.quantity)) == 0:
            left = db.session.scalars(select(Variant.stock).where(Variant.id == line.variant_id)).one()
            raise OutOfStock(line.variant.sku, line.variant.product.title, left)
    _shift_product_stock(wanted, sign=-1)
    lines = _lines_by_variant(cart_id)
    for line in lines:
        if line.variant.product.status != "active":
            raise OutOfStock(line.variant.sku, line.variant.product.title, 0)
    return lines


def _shift_product_stock(lines: Sequence[CartLine] | Sequence[OrderLine], *, sign: int) -> None:
    """`product.stock` is the sum over its variants; products too go by ascending id."""
    for product_id, units in sorted(_units(lines).items()):
        db.session.execute(update(Product).where(Product.id == product_id).values(stock=Product.stock + sign * units))


def _units(lines: Sequence[CartLine] | Sequence[OrderLine]) -> Counter[int]:
    units: Counter[int] = Counter()
    for line in lines:
        units[line.product_id if isinstance(line, OrderLine) else line.variant.product_id] += line.quantity
    return units


def _order(request: OrderRequest, lines: Sequence[CartLine], now: datetime) -> Order:
    """The row, with prices read under the stock locks.

    Raises:
        BasketChanged: they, or the lines, are not what was authorised.

    """
    shown_order = sorted(lines, key=lambda line: line.id)
    currency = request.amount.currency
    subtotal = sum((_unit_price(line) * line.quantity for line in lines), Money(0, currency))
    delivery = delivery_method(request.delivery).price(subtotal)
    seen = fingerprint((line.variant.sku, line.quantity, line.variant.price_minor) for line in lines)
    if not lines or seen != request.fingerprint or subtotal + delivery != request.amount:
        raise BasketChanged("Your basket or a price changed meanwhile. Please look at it again; nothing was charged.")
    return Order(
        number=new_order_number(),
        idempotency_key=request.key,
        shopper_key=request.shopper.key,
        user_id=request.shopper.user_id,
        email=request.email,
        address=request.address,
        delivery_method=request.delivery,
        currency=currency,
        subtotal_minor=subtotal.minor,
        delivery_minor=delivery.minor,
        total_minor=request.amount.minor,
        status="placed",
        placed_at=now,
        access_token=new_token(32),
        lines=[_order_line(line, position) for position, line in enumerate(shown_order, start=1)],
    )


def _unit_price(line: CartLine) -> Money:
    return Money(line.variant.price_minor, line.variant.product.currency)


def _order_line(line: CartLine, position: int) -> OrderLine:
    variant, product = line.variant, line.variant.product
    options = options_text(variant)
    return OrderLine(
        position=position,
        product_id=product.id,
        variant_id=variant.id,
        item_id=product.sku,
        sku=variant.sku,
        title=f"{product.title} ({options})" if options else product.title,
        quantity=line.quantity,
        unit_price_minor=variant.price_minor,
        currency=product.currency,
        **{name: getattr(line, name) for name in ATTRIBUTION},
    )


def _count_sales(lines: Sequence[CartLine] | Sequence[OrderLine], day: datetime, *, sign: int) -> None:
    table = ProductSales.__table__.c
    insert = insert_into(ProductSales)
    upsert = insert.on_conflict_do_update(
        index_elements=["product_id", "day"], set_={"units": table.units + insert.excluded.units}
    )
    for product_id, units in sorted(_units(lines).items()):
        db.session.execute(upsert, {"product_id": product_id, "day": day.date(), "units": sign * units})


def _undo(order: Order, status: str, now: datetime) -> Order:
    order.status = status
    lines = sorted(order.lines, key=lambda line: line.variant_id or 0)
    for line in lines:
        db.session.execute(
            update(Variant).where(Variant.id == line.variant_id).values(stock=Variant.stock + line.quantity)
        )
    _shift_product_stock(lines, sign=1)
    _count_sales(lines, order.placed_at, sign=-1)
    mark_changed("item", {line.product_id for line in lines}, now)
    record_business_events([refund_event(order)], _buyer(order), now)
    if order.user_id is not None:
        note_spending(order.user_id, spent_minor(order.user_id), now)
    return order


def _buyer(order: Order) -> Shopper:
    """Who bought, as far as they agreed to be known when they did; their session is over."""
    attempt = db.session.scalars(
        select(PaymentAttempt).where(PaymentAttempt.key == order.idempotency_key)
    ).one_or_none()
    agreed = bool(attempt and attempt.checkout["shopper"]["consent"]["personalisation"])
    return Shopper(key=order.shopper_key, session_id="", user_id=order.user_id, consent=Consent(personalisation=agreed))


def _require(order: Order, status: str) -> None:
    if order.status != status:
        raise Conflict(f"Order {order.number} is {order.status}.")
