"""Slots of the surfaces: what they show, every version, one click back."""

from typing import Any

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin.queries.audit import staff_names
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.core.errors import Conflict, InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.site_settings import history
from shop_app.site_settings.defaults import SLOTS, SlotSettings
from shop_app.site_settings.forms import MAX_K, parse_slot, slot_key
from shop_app.site_settings.queries import all_slot_settings, slot_settings
from shop_app.site_settings.services import update

FIELDS = {
    "title": "Title",
    "k": "Cards",
    "is_on": "Shown",
    "brand_cap": "Most of one brand",
    "category_cap": "Most of one category",
    "has_fallback": "Best sellers when there is nothing better",
    "is_above_fold": "Loads at once",
    "experiment": "Experiment",
}


@bp.get("/slots")
def slots() -> str:
    """Every slot of the shop."""
    return page("admin/slots.html", slots=all_slot_settings())


@bp.get("/slots/<slot>")
def slot(slot: str) -> str:
    """One slot with its form and its history."""
    return _form(slot, _values(slot_settings(slot)), {})


@bp.post("/slots/<slot>")
def change_slot(slot: str) -> Response | tuple[str, int]:
    """Save the form, unless somebody else saved since it was opened."""
    key, seen = slot_key(slot), _version(request.form.get("version", ""))
    try:
        values = parse_slot(request.form)
    except InvalidInput as error:
        typed = {**{name: request.form.get(name, "") for name in FIELDS}, "version": seen}
        return _form(slot, typed, error.fields), 422
    return _save(slot, key, values, seen)


@bp.post("/slots/<slot>/versions/<int:number>/restoring")
def restore_slot(slot: str, number: int) -> Response | tuple[str, int]:
    """Make an earlier version the current one; it becomes the newest version."""
    key = slot_key(slot)
    values = history.version(key, number).values if number else _editable(SLOTS[slot])
    return _save(slot, key, values, _version(request.form.get("version", "")))


def _save(slot: str, key: str, values: dict[str, Any], seen: int) -> Response | tuple[str, int]:
    try:
        with unit_of_work(db.session):
            update(key, values, expected_version=seen, actor=actor(), now=now())
    except Conflict:
        current = slot_settings(slot)
        pairs = history.differences(_editable(current), values)
        return page("admin/conflict.html", slot=slot, current=current, pairs=pairs, fields=FIELDS, typed=values), 409
    flash("Saved. The next page shows it.", "good")
    return redirect(url_for("admin.slot", slot=slot), 303)


def _form(slot: str, values: dict[str, Any], errors: dict[str, list[str]]) -> str:
    past = history.versions(slot_key(slot), _editable(SLOTS[slot]))
    return page(
        "admin/slot.html",
        slot=slot,
        values=values,
        errors=errors,
        versions=past,
        names=staff_names(past),
        fields=FIELDS,
        max_k=MAX_K,
        live=slot_settings(slot),
    )


def _values(settings: SlotSettings) -> dict[str, Any]:
    return {**_editable(settings), "version": settings.version}


def _editable(settings: SlotSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in FIELDS}


def _version(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else -1
