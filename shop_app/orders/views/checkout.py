"""The checkout form: who, where to, how, and with what."""

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from shop_app.accounts.forms import COUNTRIES
from shop_app.accounts.models import User
from shop_app.accounts.queries import addresses
from shop_app.accounts.services import save_address
from shop_app.cart.queries import CartView, cart_view
from shop_app.core.errors import InvalidInput, OutOfStock
from shop_app.core.ids import new_token
from shop_app.core.shopper import Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle, limiter
from shop_app.orders.checkout import OPEN_STATES, Outcome, pay, resume
from shop_app.orders.delivery import METHODS as DELIVERY_METHODS
from shop_app.orders.delivery import delivery_method
from shop_app.orders.forms import NEW_ADDRESS, CheckoutForm, parse_checkout, parse_key
from shop_app.orders.queries import attempt_of, typed_before
from shop_app.orders.sandbox import METHODS as PAYMENT_METHODS
from shop_app.orders.services import OrderRequest, order_by_key
from shop_app.orders.views.base import bp, now, provider, show_placed
from shop_app.tracking.identity import current_shopper

CHECKOUTS = "30 per minute"
"""Checkouts from one network address."""
CHANGED = "Your basket or a price changed since you saw it. Nothing was charged; please look at it again."


@bp.get("/checkout")
def checkout() -> str | Response:
    """The form, with a fresh idempotency key in it."""
    cart = _cart()
    if not cart.can_check_out:
        return redirect(url_for("cart.show"))
    return _page(cart)


@bp.post("/checkout")
@limiter.limit(CHECKOUTS)
def submit() -> Response | tuple[str, int]:
    """Pay and place the order. The same form sent again leads to the same order."""
    shopper, cart = current_shopper(), _cart()
    attempt = attempt_of(parse_key(request.form.get("key", "")), shopper.key)
    if attempt is not None and attempt.status not in OPEN_STATES:
        return _answer(attempt.key, resume(attempt.key, provider(), now()), cart)
    if not cart.can_check_out:
        flash("Something in your basket needs your attention first.", "warn")
        return redirect(url_for("cart.show"), 303)
    try:
        form = parse_checkout(request.form, _saved_addresses(shopper), _member_email())
    except InvalidInput as error:
        return _page(cart, errors=error.fields), 400
    if form.fingerprint != cart.fingerprint:
        return _page(cart, problem=CHANGED), 409
    _keep_address(form)
    outcome = pay(
        _order_request(form, cart, shopper), form.method, url_for("orders.payment", key=form.key), provider(), now()
    )
    return _answer(form.key, outcome, cart)


def _answer(key: str, outcome: Outcome, cart: CartView) -> Response | tuple[str, int]:
    match outcome.status:
        case "placed":
            order = order_by_key(key)
            assert order is not None
            return show_placed(order)
        case "action_required" if outcome.action_url:
            return redirect(outcome.action_url, 303)
        case "action_required" | "pending":
            return redirect(url_for("orders.payment", key=key), 303)
        case "declined":
            return _page(cart, problem=outcome.message, is_new_key=True), 402
    if isinstance(outcome.problem, OutOfStock):
        flash(_too_few(outcome.problem), "bad")
        return redirect(url_for("cart.show"), 303)
    if not cart.can_check_out:
        flash(outcome.message, "bad")
        return redirect(url_for("cart.show"), 303)
    return _page(_cart(), problem=outcome.message, is_new_key=True), 409


def _too_few(problem: OutOfStock) -> str:
    left = f"only {problem.available} left" if problem.available else "none left"
    return f"{problem.title}: there are {left}. Nothing was charged."


def _cart() -> CartView:
    return cart_view(current_shopper().key, handle("settings").currency)


def _order_request(form: CheckoutForm, cart: CartView, shopper: Shopper) -> OrderRequest:
    assert cart.cart_id is not None
    return OrderRequest(
        key=form.key,
        cart_id=cart.cart_id,
        shopper=shopper,
        email=form.email,
        address=form.address,
        delivery=form.delivery,
        fingerprint=cart.fingerprint,
        amount=cart.subtotal + delivery_method(form.delivery).price(cart.subtotal),
    )


def _keep_address(form: CheckoutForm) -> None:
    user_id = current_shopper().user_id
    if not form.wants_saved or user_id is None:
        return
    try:
        with unit_of_work(db.session):
            save_address(db.session.get_one(User, user_id), form.address, is_default=False)
    except InvalidInput:
        flash("Your address book is full, so this address was not kept.", "warn")


def _saved_addresses(shopper: Shopper) -> list[Any]:
    return list(addresses(shopper.user_id)) if shopper.user_id is not None else []


def _member_email() -> str:
    return str(current_user.email) if current_user.is_authenticated else ""


def _page(
    cart: CartView,
    *,
    errors: Mapping[str, list[str]] | None = None,
    problem: str = "",
    is_new_key: bool = False,
) -> str:
    """The form with what was typed, now or at a try that came to nothing.

    A key that led to a refusal is spent, so the next try gets a new one.
    """
    shopper, typed = current_shopper(), request.form
    saved = _saved_addresses(shopper)
    key = typed.get("key", "") if typed and not is_new_key else new_token()
    return render_template(
        "orders/checkout.html",
        cart=cart,
        key=key,
        values=typed or typed_before(cart.cart_id, shopper.key),
        errors=errors or {},
        problem=problem,
        saved=saved,
        chosen_address=typed.get("address") or (str(saved[0].id) if saved else NEW_ADDRESS),
        new_address=NEW_ADDRESS,
        deliveries=[(method, method.price(cart.subtotal)) for method in DELIVERY_METHODS],
        payments=PAYMENT_METHODS,
        countries=COUNTRIES,
        country_names=dict(COUNTRIES),
        member_email=_member_email(),
    )
