"""Orders: the list, and one order down to the delivery of each line's event."""

from flask import current_app, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin.paging import page_number
from shop_app.admin.queries import orders as found
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.orders import checkout
from shop_app.site_settings.services import audit

STATUSES = ("placed", "shipped", "cancelled", "refunded")


@bp.get("/orders")
def orders() -> str:
    """The list; the address holds the filter."""
    text, status = request.args.get("q", ""), request.args.get("status", "")
    with unit_of_work(db.session):
        shown = len(found.orders(text, status, page_number(request.args)).rows)
        audit(actor=actor(), action="orders.listed", subject="orders", after={"shown": shown}, now=now())
    listing = found.orders(text, status, page_number(request.args))
    return page("admin/orders.html", listing=listing, text=text, status=status, statuses=STATUSES)


@bp.get("/orders/<number>")
def order(number: str) -> str:
    """One order. That somebody looked at a person's address is written down."""
    with unit_of_work(db.session):
        audit(actor=actor(), action="orders.opened", subject=found.order(number).number, now=now())
    one = found.order(number)
    return page("admin/order.html", order=one, stories=found.line_stories(one), others=found.other_events(one))


@bp.post("/orders/<number>/cancellation")
def cancel_order(number: str) -> Response:
    """Take a placed order back: stock, money and Recsys follow."""
    checkout.cancel(number, current_app.extensions["payments"], now())
    return _done("orders.cancelled", number, "The order is cancelled and the money is on its way back.")


@bp.post("/orders/<number>/refund")
def refund_order(number: str) -> Response:
    """A sent order came back: stock, money and Recsys follow."""
    checkout.refund(number, current_app.extensions["payments"], now())
    return _done("orders.refunded", number, "The money is on its way back.")


def _done(action: str, number: str, text: str) -> Response:
    with unit_of_work(db.session):
        audit(actor=actor(), action=action, subject=number, now=now())
    flash(text, "good")
    return redirect(url_for("admin.order", number=number), 303)
