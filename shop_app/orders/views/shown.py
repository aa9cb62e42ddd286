"""Orders as their owner sees them."""

from flask import render_template, request

from shop_app.accounts.forms import COUNTRIES
from shop_app.orders.queries import order_for, order_view, orders_of
from shop_app.orders.views.base import access_tokens, bp
from shop_app.tracking.identity import current_shopper


@bp.get("/orders")
def index() -> str:
    """A member's orders, or a guest's of this browser."""
    return render_template("orders/index.html", orders=orders_of(current_shopper().user_id, access_tokens()))


@bp.get("/orders/<number>")
def show(number: str) -> str:
    """One order; `?placed=yes` thanks for it."""
    order = order_for(number, current_shopper().user_id, access_tokens())
    return render_template(
        "orders/show.html",
        order=order_view(order),
        is_new=request.args.get("placed") == "yes",
        country_names=dict(COUNTRIES),
    )
