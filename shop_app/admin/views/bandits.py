"""Bandits on slots: what each policy earned, start one, end one, and which were ended by a guardrail (RS-056)."""

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from recsys_engine.contract.control import Policy
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.analytics.intervals import wilson
from shop_app.core.errors import Conflict, InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments import bandits as service
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError
from shop_app.site_settings.defaults import SLOTS

DEFAULTS = {"slot": "home.trending", "margin_percent": "5", "planned_units": "20000"}
MOST_UNITS = 10_000_000


@bp.get("/bandits")
def bandits() -> tuple[str, int]:
    """Running ones first, and the form for one more."""
    return _page({}, [], {})


@bp.post("/bandits")
def start_bandit() -> Response | tuple[str, int]:
    """Let it choose from now on."""
    typed, chosen = request.form.to_dict(), request.form.getlist("policies")
    try:
        margin, units = _numbers(typed)
        policies = _checked(typed.get("incumbent", ""), chosen, gateway().control.policies())
        with unit_of_work(db.session):
            service.start_bandit(
                typed.get("slot", ""), policies, margin=margin, planned_units=units, actor=actor(), now=now()
            )
    except InvalidInput as error:
        return _page(typed, chosen, error.fields, 422)
    except Conflict as error:
        return _page(typed, chosen, {"slot": [str(error)]}, 409)
    flash("It chooses from the next list on. A policy that does harm ends it by itself.", "good")
    return redirect(url_for("admin.bandits"), 303)


@bp.post("/bandits/<int:run_id>/end")
def end_bandit(run_id: int) -> Response:
    """Back to the incumbent."""
    with unit_of_work(db.session):
        because = request.form.get("because", "").strip() or "by hand"
        service.end_bandit(run_id, because=because, actor=actor(), now=now())
    flash("It has ended. The slot is ranked by its incumbent again.", "good")
    return redirect(url_for("admin.bandits"), 303)


def _checked(incumbent: str, chosen: list[str], known: list[Policy]) -> list[str]:
    by_id = {one.policy_id: one for one in known}
    if incumbent not in by_id or by_id[incumbent].knobs:
        raise InvalidInput({"incumbent": ["A policy that sets nothing: the slot as it is ranked without a bandit."]})
    others = [name for name in chosen if name != incumbent]
    if not others or any(name not in by_id for name in others):
        raise InvalidInput({"policies": ["Tick at least one other policy."]})
    return [incumbent, *others]


def _numbers(typed: dict[str, str]) -> tuple[float, int]:
    problems: dict[str, list[str]] = {}
    margin, units = typed.get("margin_percent", "").strip(), typed.get("planned_units", "").strip()
    if not (margin.replace(".", "", 1).isdigit() and margin.isascii() and float(margin) <= 50):
        problems["margin_percent"] = ["A number from 0 to 50."]
    if not (units.isascii() and units.isdigit() and 1000 <= int(units) <= MOST_UNITS):
        problems["planned_units"] = [f"A whole number from 1,000 to {MOST_UNITS:,}."]
    if problems:
        raise InvalidInput(problems)
    return float(margin) / 100, int(units)


def _page(typed: dict[str, str], chosen: list[str], errors: dict[str, list[str]], status: int = 200) -> tuple[str, int]:
    try:
        known = gateway().control.policies()
    except RecsysError as error:
        return page("admin/unreachable.html", what="The policies", error=str(error)), 503
    runs = service.bandit_runs()
    shown = page(
        "admin/bandits.html",
        runs=[(run, [_row(one) for one in service.results_of(run)]) for run in runs],
        plain=[(one.policy_id, one.name) for one in known if not one.knobs],
        others=[one for one in known if one.knobs],
        names={one.policy_id: one.name for one in known},
        typed={**DEFAULTS, **typed},
        chosen=chosen,
        errors=errors,
        slots=[(slot, slot) for slot in SLOTS],
    )
    return shown, status


def _row(one: service.PolicyResult) -> dict[str, object]:
    return {"result": one, "clicked": wilson(one.clicked, one.seen), "bought": wilson(one.bought, one.seen)}
