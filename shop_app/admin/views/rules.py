"""Merchandising rules of the recommender: see, try, store, switch on and off."""

from dataclasses import replace

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from recsys_engine.contract.control import Rule
from shop_app.admin.queries import lists
from shop_app.admin.queries.products import by_skus
from shop_app.admin.rule_forms import ACTIONS, TARGETS, after_rule, parse_rule, rivals, state_of
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.catalog.tags import tags
from shop_app.core.errors import InvalidInput, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError, RecsysRejected
from shop_app.site_settings.defaults import SLOTS
from shop_app.site_settings.queries import slot_settings
from shop_app.site_settings.services import audit_engine

LOOK_AHEAD = 24
"""Places of the list that a rule is tried on."""

Tried = tuple[list[str], list[str]]


@bp.get("/rules")
def rules() -> tuple[str, int]:
    """Every rule, and the form for one more."""
    return _page({"surface": request.args.get("slot", "home.top_picks")}, {})


@bp.post("/rules")
def create_rule() -> Response | tuple[str, int]:
    """Try the rule on the list a stranger sees, or store it."""
    typed = request.form.to_dict()
    try:
        rule = parse_rule(typed)
        if request.form.get("how") == "try":
            return _page(typed, {}, tried=_try(rule))
        against = rivals(rule, gateway().control.rules())
        with unit_of_work(db.session):
            stored = gateway().control.create_rule(rule)
            _note("rules.create", stored)
    except InvalidInput as error:
        return _page(typed, error.fields, status=422)
    except RecsysRejected as error:
        return _page(typed, {"name": [error.message]}, status=422)
    flash("Stored. The next list follows it.", "good")
    if against:
        flash(
            f"Mind: {', '.join(other.name for other in against)} wants something else with the same. "
            "Never showing beats showing first, which beats higher or lower.",
            "warn",
        )
    return redirect(url_for("admin.rules", slot=rule.surface), 303)


@bp.post("/rules/<rule_id>/switch")
def switch_rule(rule_id: str) -> Response:
    """Turn a rule on or off; nothing is deleted, so that the past stays explained."""
    known = next((rule for rule in gateway().control.rules() if rule.rule_id == rule_id), None)
    if known is None:
        raise NotFound("There is no such rule.")
    with unit_of_work(db.session):
        changed = gateway().control.replace_rule(rule_id, replace(known, enabled=request.form.get("to") == "on"))
        _note("rules.switch", changed)
    flash("The rule is on." if changed.enabled else "The rule is off.", "good")
    return redirect(url_for("admin.rules"), 303)


def _page(
    typed: dict[str, str], errors: dict[str, list[str]], *, tried: Tried | None = None, status: int = 200
) -> tuple[str, int]:
    try:
        known = gateway().control.rules()
        segments = [(one.segment_id, one.name) for one in gateway().control.segments()]
    except RecsysError as error:
        return page("admin/unreachable.html", what="The rules", error=str(error)), 503
    titles = {product.sku: product.title for product in by_skus([sku for side in tried or () for sku in side])}
    shown = page(
        "admin/rules.html",
        rules=known,
        states={rule.rule_id: state_of(rule, now()) for rule in known},
        segments=segments,
        typed=typed,
        errors=errors,
        tried=tried,
        titles=titles,
        actions=ACTIONS,
        targets=TARGETS,
        slots=list(SLOTS),
    )
    return shown, status


def _try(rule: Rule) -> Tried:
    """The list of a stranger before and after."""
    settings = slot_settings(rule.surface)
    story = lists.list_story(gateway(), replace(settings, k=LOOK_AHEAD), lists.Asked())
    ranked = [(place.item_id, place.score) for place in story.places]
    products = by_skus([item for item, _ in ranked])
    traits = {product.sku: frozenset(tag.lower() for tag in tags(product)) for product in products}
    return [item for item, _ in ranked][: settings.k], after_rule(rule, ranked, traits)[: settings.k]


def _note(action: str, rule: Rule) -> None:
    after = {"name": rule.name, "surface": rule.surface, "action": rule.action, "enabled": rule.enabled}
    audit_engine(actor=actor(), action=action, subject=f"rule {rule.rule_id}"[:200], after=after, now=now())
