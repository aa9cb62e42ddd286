"""The basket: its page, its lines, and the small summary in the header."""

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from htmx_flask import request
from werkzeug.wrappers import Response

from shop_app.cart.forms import parse_add, parse_quantity
from shop_app.cart.queries import CartView, cart_view, count
from shop_app.cart.services import MAX_QUANTITY, accept_prices, add_line, set_quantity
from shop_app.core.errors import InvalidInput, NotFound, OutOfStock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, or_zero
from shop_app.tracking.identity import current_shopper, keep_person

bp = Blueprint("cart", __name__)


@bp.app_context_processor
def _header_values() -> dict[str, Any]:
    """What the page frame asks for; read only when called."""
    return {"cart_count": lambda: or_zero(lambda: count(current_shopper().key))}


@bp.get("/cart")
def show() -> str:
    """The basket page."""
    return render_template("cart/page.html", cart=_cart(), max_quantity=MAX_QUANTITY)


@bp.get("/cart/_summary")
def summary() -> str:
    """The mini-cart fragment."""
    return render_template("cart/_summary.html", cart=_cart())


@bp.post("/cart/lines")
def add() -> Response | str:
    """Put a variant into the basket. htmx gets the mini-cart back, everybody else the basket page."""
    shopper, now = current_shopper(), current_app.extensions["clock"].now()
    try:
        form = parse_add(request.form)
        with unit_of_work(db.session):
            added = add_line(shopper, form.sku, form.quantity, form.place, now)
            title, quantity, was_capped = added.line.variant.product.title, added.quantity, added.was_capped
        keep_person()
    except OutOfStock as error:
        return _answer(_nothing_left(error), "warn")
    except (InvalidInput, NotFound) as error:
        if not request.htmx:
            raise
        return _answer(_first_message(error), "bad")
    if was_capped:
        return _answer(f"{quantity} × {title} added: that is all we can put aside for you.", "warn")
    return _answer(f"{title} is in your basket.", "good")


@bp.post("/cart/lines/<int:line_id>")
def change(line_id: int) -> Response:
    """Set a line's quantity; 0 takes it out."""
    asked = parse_quantity(request.form.get("quantity", ""))
    with unit_of_work(db.session):
        held = set_quantity(current_shopper(), line_id, asked, current_app.extensions["clock"].now())
    if held < asked:
        flash(f"We have {held} of that for you." if held else "That has sold out, so it left your basket.", "warn")
    return redirect(url_for("cart.show"), 303)


@bp.post("/cart/prices")
def prices() -> Response:
    """The shopper has seen that prices moved."""
    with unit_of_work(db.session):
        accept_prices(current_shopper(), current_app.extensions["clock"].now())
    return redirect(url_for("cart.show"), 303)


def _cart() -> CartView:
    return cart_view(current_shopper().key, current_app.extensions["settings"].currency)


def _answer(message: str, category: str) -> Response | str:
    """One notice, as the mini-cart for htmx or as the page after a redirect. htmx swaps in no error pages."""
    if request.htmx:
        return render_template("cart/_summary.html", cart=_cart(), notice=message, kind=category)
    flash(message, category)
    return redirect(url_for("cart.show"), 303)


def _first_message(error: InvalidInput | NotFound) -> str:
    return next(iter(error.fields.values()))[0] if isinstance(error, InvalidInput) else str(error)


def _nothing_left(error: OutOfStock) -> str:
    if error.available == 0:
        return f"{error.title} has just sold out."
    return f"Your basket already holds all of {error.title} we can give you."
