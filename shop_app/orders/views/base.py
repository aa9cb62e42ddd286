"""What the pages of orders share."""

from datetime import datetime

from flask import Blueprint, current_app, redirect, session, url_for
from werkzeug.wrappers import Response

from shop_app.orders.models import Order
from shop_app.orders.payment import PaymentProvider

bp = Blueprint("orders", __name__)

MOST_TOKENS = 10
"""Guest orders one browser keeps the keys to."""


def now() -> datetime:
    """The time, by the shop's clock."""
    moment: datetime = current_app.extensions["clock"].now()
    return moment


def provider() -> PaymentProvider:
    """Whoever moves the money."""
    found: PaymentProvider = current_app.extensions["payments"]
    return found


def access_tokens() -> list[str]:
    """The keys this browser holds to orders placed without an account."""
    kept = session.get("orders")
    return [token for token in kept if isinstance(token, str)] if isinstance(kept, list) else []


def show_placed(order: Order) -> Response:
    """Let this browser see the order, and go there."""
    others = [token for token in access_tokens() if token != order.access_token]
    session["orders"] = [order.access_token, *others][:MOST_TOKENS]
    return redirect(url_for("orders.show", number=order.number, placed="yes"), 303)
