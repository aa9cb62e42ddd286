"""Manual overrides: one item shown higher or not at all, until it expires or somebody ends it."""

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from recsys_engine.contract.control import ManualOverride
from shop_app.admin.override_forms import ACTIONS, EVERYWHERE, parse_override
from shop_app.admin.queries.products import by_skus
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.core.errors import InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError, RecsysRejected
from shop_app.site_settings.defaults import SLOTS
from shop_app.site_settings.services import audit_engine

STATES = ("active", "expired", "cancelled")
PLACES = (EVERYWHERE, *SLOTS)


@bp.get("/overrides")
def overrides() -> tuple[str, int]:
    """What is overridden now, with the form for one more; ended ones on request."""
    return _page({"item_id": request.args.get("item", ""), "surface": request.args.get("slot", EVERYWHERE)}, {})


@bp.post("/overrides")
def create_override() -> Response | tuple[str, int]:
    """Store it; the next list follows."""
    typed = request.form.to_dict()
    try:
        wanted = parse_override(typed, created_by=actor(), now=now())
        _require_product(wanted.item_id)
        conflict = _opposite(wanted)
        with unit_of_work(db.session):
            stored = gateway().control.create_override(wanted)
            after = {"action": stored.action, "surface": stored.surface, "notes": stored.notes}
            audit_engine(actor=actor(), action="engine.override", subject=stored.item_id[:200], after=after, now=now())
    except InvalidInput as error:
        return _page(typed, error.fields, 422)
    except RecsysRejected as error:
        return _page(typed, {str(error.details.get("field", "item_id")): [error.message]}, 422)
    flash("Stored. The next list follows it.", "good")
    if conflict:
        flash(f"Mind: another override does the opposite there ({conflict.notes}). Never showing wins.", "warn")
    return redirect(url_for("admin.overrides"), 303)


@bp.post("/overrides/<override_id>/cancellation")
def cancel_override(override_id: str) -> Response:
    """End it now."""
    try:
        with unit_of_work(db.session):
            ended = gateway().control.cancel_override(override_id, actor())
            after = {"override": override_id, "surface": ended.surface}
            audit_engine(
                actor=actor(), action="engine.override_ended", subject=ended.item_id[:200], after=after, now=now()
            )
    except RecsysRejected:
        flash("It had ended already.", "warn")
    else:
        flash("It has ended. The next list is without it.", "good")
    return redirect(url_for("admin.overrides"), 303)


def _require_product(sku: str) -> None:
    if not by_skus([sku]):
        raise InvalidInput({"item_id": ["The shop sells nothing with this SKU."]})


def _opposite(wanted: ManualOverride) -> ManualOverride | None:
    """An active override that wants the contrary at the same place."""
    for one in gateway().control.overrides():
        is_same_place = EVERYWHERE in {one.surface, wanted.surface} or one.surface == wanted.surface
        if one.status == "active" and one.item_id == wanted.item_id and one.action != wanted.action and is_same_place:
            return one
    return None


def _page(typed: dict[str, str], errors: dict[str, list[str]], status: int = 200) -> tuple[str, int]:
    state = request.args.get("state", "active")
    try:
        known = gateway().control.overrides()
    except RecsysError as error:
        return page("admin/unreachable.html", what="The overrides", error=str(error)), 503
    shown = page(
        "admin/overrides.html",
        overrides=[one for one in known if state not in STATES or one.status == state],
        counts={name: sum(one.status == name for one in known) for name in STATES},
        state=state,
        titles={product.sku: product.title for product in by_skus([one.item_id for one in known])},
        typed=typed,
        errors=errors,
        actions=ACTIONS,
        places=PLACES,
    )
    return shown, status
