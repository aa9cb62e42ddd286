"""What is on its way to Recsys, what was refused, and sending everything again; who did what."""

from flask import flash, redirect, request, url_for
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from recsys_engine.contract import EVENT_SCHEMA_VERSION, Health
from shop_app.accounts.models import User
from shop_app.admin import services
from shop_app.admin.forms import parse_ids, parse_mending
from shop_app.admin.paging import page_number
from shop_app.admin.queries import audit as trail
from shop_app.admin.queries import events as found
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.catalog.models import Product
from shop_app.core.errors import InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError


@bp.get("/delivery")
def delivery() -> str:
    """The state of the pipeline, and the form to send everything again."""
    items = db.session.scalar(select(func.count(Product.id))) or 0
    users = db.session.scalar(select(func.count(User.id))) or 0
    return page("admin/delivery.html", state=found.delivery_state(now()), items=items, users=users, health=_health())


def _health() -> Health:
    try:
        return gateway().ready()
    except RecsysError as error:
        return Health("unreachable", (str(error),))


@bp.post("/resyncs")
def resync() -> Response:
    """Mark all items and/or members; the workers send them in batches."""
    what = [name for name in ("items", "users") if request.form.get(name) == "on"]
    if not what:
        flash("Tick what to send again.", "bad")
        return redirect(url_for("admin.delivery"), 303)
    with unit_of_work(db.session):
        marked = services.resync_all(what, actor(), now())
    flash("Marked to be sent again: " + ", ".join(f"{number:,} {name}" for name, number in marked.items()), "good")
    return redirect(url_for("admin.delivery"), 303)


@bp.get("/dead-letters")
def dead_letters() -> str:
    """Events that Recsys refused, with the reason and the field at fault."""
    before = request.args.get("before", "")
    wanted = {"delivery": "dead"}
    shown = found.events(wanted, int(before) if before.isascii() and before.isdigit() else None)
    reasons = found.dead_reasons()
    return page("admin/dead_letters.html", shown=shown, reasons=reasons, newest_schema=EVENT_SCHEMA_VERSION)


@bp.post("/dead-letters/requeueing")
def requeue_dead_letters() -> Response:
    """Send the ticked ones again, or all."""
    ids = None if request.form.get("which") == "all" else parse_ids(request.form.getlist("ids"))
    with unit_of_work(db.session):
        number = services.requeue_dead_events(ids, actor(), now())
    flash(f"{number:,} events are in the queue again.", "good" if number else "warn")
    return redirect(url_for("admin.dead_letters"), 303)


@bp.post("/dead-letters/<int:event_id>/mending")
def mend_dead_letter(event_id: int) -> Response | tuple[str, int]:
    """Put a refused event's item and value right, and send it again."""
    try:
        item_id, value = parse_mending(request.form)
    except InvalidInput as error:
        typed = request.form.get("value", "")
        return page("admin/event.html", event=found.event(event_id), errors=error.fields, typed_value=typed), 422
    with unit_of_work(db.session):
        services.mend_dead_event(event_id, item_id, value, actor(), now())
    flash("Mended, and in the queue again.", "good")
    return redirect(url_for("admin.event", event_id=event_id), 303)


@bp.get("/audit")
def audit_trail() -> str:
    """Who did what, when; and whether the chain of hashes is whole."""
    subject, action = request.args.get("subject", ""), request.args.get("action", "")
    listing = trail.entries(subject, action, page_number(request.args))
    return page(
        "admin/audit.html",
        listing=listing,
        subject=subject,
        action=action,
        actions=trail.actions(),
        broken=trail.first_broken(),
        is_cut=trail.is_cut(),
        names=trail.staff_names(listing.rows),
    )
