"""How much is sent to Recsys at once: the bounds, where each stream is between them, every version one click away."""

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from shop_app.admin.views.base import actor, bp, now, page
from shop_app.core.errors import Conflict, InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.site_settings import delivery, history
from shop_app.site_settings.services import update
from shop_app.sync.models import SinkState
from shop_app.sync.sinks import SINKS

FIELDS = {
    "events_smallest": "Events a call, at least",
    "events_largest": "Events a call, at most",
    "events_at_once": "Calls of events at a time",
    "items_largest": "Items a call, at most",
    "users_largest": "Members a call, at most",
}


@bp.get("/delivery/bounds")
def delivery_bounds() -> str:
    """The form, what the workers make of it now, and the history."""
    settings, version = delivery.delivery_settings_now()
    return _page(delivery.as_values(settings), {}, version)


@bp.post("/delivery/bounds")
def change_delivery_bounds() -> Response | tuple[str, int]:
    """Save the bounds, unless somebody else saved since the form was opened."""
    try:
        values = delivery.parse_delivery(request.form)
    except InvalidInput as error:
        typed = {name: request.form.get(name, "") for name in FIELDS}
        return _page(typed, error.fields, _seen()), 422
    return _save(values)


@bp.post("/delivery/bounds/versions/<int:number>/restoring")
def restore_delivery_bounds(number: int) -> Response | tuple[str, int]:
    """Make an earlier version the current one; 0 is what the shop was delivered with."""
    values = history.version(delivery.KEY, number).values if number else delivery.as_values(delivery.DEFAULTS)
    return _save(values)


def _save(values: dict[str, Any]) -> Response | tuple[str, int]:
    try:
        with unit_of_work(db.session):
            update(delivery.KEY, values, expected_version=_seen(), actor=actor(), now=now())
    except Conflict:
        flash("Somebody else saved meanwhile. Below is what holds now; nothing of yours was saved.", "bad")
        settings, version = delivery.delivery_settings_now()
        return _page(delivery.as_values(settings), {}, version), 409
    flash("Saved. The workers keep to it within a second.", "good")
    return redirect(url_for("admin.delivery_bounds"), 303)


def _page(values: Mapping[str, Any], errors: dict[str, list[str]], version: int) -> str:
    known = {row.name: row for row in db.session.scalars(select(SinkState))}
    return page(
        "admin/delivery_bounds.html",
        values=values,
        errors=errors,
        version=version,
        versions=history.versions(delivery.KEY, delivery.as_values(delivery.DEFAULTS)),
        fields=FIELDS,
        limits=delivery.LIMITS,
        streams=[known[name] for name in SINKS if name in known],
    )


def _seen() -> int:
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdigit() else -1
