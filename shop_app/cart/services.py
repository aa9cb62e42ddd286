"""Putting things into a basket and taking them out. Every write holds the cart's row lock, so writes queue up."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from shop_app.cart.models import OPEN, Cart, CartLine
from shop_app.catalog.models import Variant
from shop_app.core.attribution import Attribution
from shop_app.core.errors import InvalidInput, NotFound, OutOfStock
from shop_app.core.events import EventKind
from shop_app.core.ids import new_token
from shop_app.core.shopper import Shopper
from shop_app.extensions import db, insert_into, rows_changed
from shop_app.tracking.services import BusinessEvent, record_business_events

MAX_QUANTITY = 20
"""Pieces of one variant in one basket."""
MAX_LINES = 60
"""Lines in one basket: more is a script, not a shopper."""


@dataclass(frozen=True, slots=True)
class Added:
    """What an add did. `quantity` is what went in: less than asked for when stock or the limit said so."""

    line: CartLine
    quantity: int
    asked: int

    @property
    def was_capped(self) -> bool:
        return self.quantity < self.asked


def add_line(shopper: Shopper, sku: str, quantity: int, place: Attribution | None, now: datetime) -> Added:
    """Put `quantity` of the variant `sku` into the shopper's basket and tell of it (RS-022).

    The last recommended place that led to the item gets the credit; a plain one never replaces it.

    Raises:
        NotFound: no such variant, or not for sale.
        OutOfStock: nothing more can be added.
        InvalidInput: the basket is full, or holds another currency.

    """
    variant = _variant_for_sale(sku)
    cart = lock_open_cart(shopper.key, now)
    line = _line_of(cart, variant) or _new_line(cart, variant, now)
    added = min(quantity, room_for(variant, line.quantity))
    if added <= 0:
        raise OutOfStock(variant.sku, variant.product.title, variant.stock)
    line.quantity += added
    line.seen_price_minor = variant.price_minor
    _credit(line, place, now)
    cart.updated_at = now
    _tell_added(line, added, shopper, now)
    return Added(line, added, quantity)


def set_quantity(shopper: Shopper, line_id: int, quantity: int, now: datetime) -> int:
    """Make the line hold `quantity` pieces, or what stock allows; 0 takes it out. Returns what it holds now.

    More than before is an add of the difference.

    Raises:
        NotFound: the line is not in this shopper's open basket.

    """
    cart = lock_open_cart(shopper.key, now)
    line = next((line for line in cart.lines if line.id == line_id), None)
    if line is None:
        raise NotFound("That line is not in your basket any more.")
    variant = line.variant
    is_for_sale = variant.product.status == "active"
    wanted = min(quantity, MAX_QUANTITY, variant.stock if is_for_sale else 0)
    cart.updated_at = now
    if wanted <= 0:
        cart.lines.remove(line)
        return 0
    grown = wanted - line.quantity
    line.quantity, line.seen_price_minor = wanted, variant.price_minor
    if grown > 0:
        _tell_added(line, grown, shopper, now)
    return wanted


def accept_prices(shopper: Shopper, now: datetime) -> None:
    """The shopper has read that prices moved: from here on today's are the ones they saw."""
    for line in lock_open_cart(shopper.key, now).lines:
        line.seen_price_minor = line.variant.price_minor


def lock_open_cart(shopper_key: str, now: datetime) -> Cart:
    """The shopper's one open cart, made when there is none, locked until the transaction ends."""
    insert = insert_into(Cart).on_conflict_do_nothing()
    row = {"token": new_token(), "shopper_key": shopper_key, "status": "open", "created_at": now, "updated_at": now}
    is_open = (Cart.shopper_key == shopper_key, Cart.status == OPEN)
    locked = select(Cart).where(*is_open).with_for_update().execution_options(populate_existing=True)
    while (cart := db.session.scalars(locked).one_or_none()) is None:
        db.session.execute(insert, row)  # a checkout may close the cart while we wait for its lock: then look again
    _fresh_lines(cart)
    return cart


def merge_carts(anonymous_key: str, member_key: str, now: datetime) -> int:
    """Move the anonymous basket's lines into the member's: quantities add up to the limit, credit goes to the later
    recommended click. Done twice it changes nothing. Returns the lines moved.
    """
    mine = lock_open_cart(member_key, now)
    theirs = db.session.scalars(
        select(Cart)
        .where(Cart.shopper_key == anonymous_key, Cart.status == OPEN)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if theirs is None:
        return 0
    lines = list(_fresh_lines(theirs))
    for line in lines:
        _merge_line(line, mine)
    theirs.status, theirs.updated_at, mine.updated_at = "merged", now, now
    return len(lines)


def close_cart(cart_id: int, now: datetime) -> bool:
    """End an open cart; `False` when it was not open."""
    closing = update(Cart).where(Cart.id == cart_id, Cart.status == OPEN).values(status="closed", updated_at=now)
    return rows_changed(closing) == 1


def room_for(variant: Variant, held: int) -> int:
    """How many more pieces fit, by stock and by the limit."""
    return max(0, min(MAX_QUANTITY, variant.stock) - held)


def _variant_for_sale(sku: str) -> Variant:
    query = select(Variant).where(Variant.sku == sku).options(joinedload(Variant.product))
    variant = db.session.scalars(query).one_or_none()
    if variant is None or variant.product.status != "active":
        raise NotFound("We don’t sell that any more.")
    return variant


def _fresh_lines(cart: Cart) -> list[CartLine]:
    """The lines as they are under the lock, not as an earlier read of this session saw them."""
    db.session.refresh(cart, ["lines"])
    return cart.lines


def _line_of(cart: Cart, variant: Variant) -> CartLine | None:
    return next((line for line in cart.lines if line.variant_id == variant.id), None)


def _new_line(cart: Cart, variant: Variant, now: datetime) -> CartLine:
    if len(cart.lines) >= MAX_LINES:
        raise InvalidInput({"cart": [f"A basket holds {MAX_LINES} different things at most."]})
    if any(line.variant.product.currency != variant.product.currency for line in cart.lines[:1]):
        raise InvalidInput({"cart": ["One basket holds one currency. Please check out first."]})
    line = CartLine(
        variant=variant, variant_id=variant.id, quantity=0, seen_price_minor=variant.price_minor, added_at=now
    )
    line.recommended = False
    cart.lines.append(line)
    return line


def _credit(line: CartLine, place: Attribution | None, now: datetime) -> None:
    if place is None or (line.recommended and not place.is_recommended):
        return
    line.surface, line.widget, line.rank = place.surface, place.widget, place.rank
    line.request_id, line.recommended, line.clicked_at = place.request_id or None, place.is_recommended, now


def _tell_added(line: CartLine, added: int, shopper: Shopper, now: datetime) -> None:
    variant = line.variant
    event = BusinessEvent(
        kind=EventKind.ADD,
        source_event_id=f"add:{new_token()}",
        item_id=variant.product.sku,
        value=float(added),
        attribution=line.place,
        meta={
            "cart_id": line.cart.token,
            "unit_price": variant.price_minor,
            "currency": variant.product.currency,
            "sku": variant.sku,
        },
    )
    record_business_events([event], shopper, now)


def _merge_line(line: CartLine, mine: Cart) -> None:
    kept = next((held for held in mine.lines if held.variant_id == line.variant_id), None)
    if kept is None:
        line.cart = mine
        return
    kept.quantity = min(MAX_QUANTITY, kept.quantity + line.quantity)
    if line.recommended and (not kept.recommended or _clicked(line) > _clicked(kept)):
        for name in ("surface", "widget", "rank", "request_id", "recommended", "clicked_at"):
            setattr(kept, name, getattr(line, name))
    db.session.delete(line)


def _clicked(line: CartLine) -> datetime:
    return line.clicked_at or line.added_at
