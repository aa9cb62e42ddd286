"""Orders: the list, and one order down to the delivery of each line's event."""

from flask import request

from shop_app.admin.paging import page_number
from shop_app.admin.queries import orders as found
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.site_settings.services import audit

STATUSES = ("placed", "shipped", "cancelled", "refunded")


@bp.get("/orders")
def orders() -> str:
    """The list; the address holds the filter."""
    text, status = request.args.get("q", ""), request.args.get("status", "")
    listing = found.orders(text, status, page_number(request.args))
    return page("admin/orders.html", listing=listing, text=text, status=status, statuses=STATUSES)


@bp.get("/orders/<number>")
def order(number: str) -> str:
    """One order. That somebody looked at a person's address is written down."""
    with unit_of_work(db.session):
        audit(actor=actor(), action="orders.opened", subject=found.order(number).number, now=now())
    one = found.order(number)
    return page("admin/order.html", order=one, stories=found.line_stories(one), others=found.other_events(one))
