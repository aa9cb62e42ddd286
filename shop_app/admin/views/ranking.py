"""The recommender's own configuration: everywhere and slot by slot; every version one click away."""

from collections.abc import Mapping
from typing import Any

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from recsys_engine.contract.control import NamespaceConfig
from shop_app.admin import knob_forms as knobs
from shop_app.admin.queries.audit import staff_names
from shop_app.admin.queries.trials import Trial, try_knobs
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.core.errors import InvalidInput, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError, RecsysRejected
from shop_app.site_settings import history
from shop_app.site_settings.defaults import SLOTS
from shop_app.site_settings.services import audit_engine

EVERYWHERE = "everywhere"
SUBJECT = "engine config"
SURFACES = "surface_profiles"

Change = tuple[str, str, str]


@bp.get("/ranking")
def ranking() -> tuple[str, int]:
    """What is set where, the form of one place, and the history."""
    return _page(_scope(request.args.get("scope", EVERYWHERE)), None, {})


@bp.post("/ranking")
def change_ranking() -> Response | tuple[str, int]:
    """Try the settings of one place on a list, or store them unless somebody else did meanwhile."""
    scope, typed = _scope(request.form.get("scope", "")), request.form.to_dict()
    current = gateway().control.config()
    found, problems = knobs.read_knobs(typed, _at(current.config, scope))
    if problems:
        return _page(scope, typed, problems, 422)
    if typed.get("how") == "try":
        return _try(scope, typed, found)
    return _store(scope, typed, _with(current.config, scope, found), current)


@bp.post("/ranking/versions/<int:number>/restoring")
def restore_ranking(number: int) -> Response | tuple[str, int]:
    """Make an earlier version the current one; 0 takes everything off."""
    wanted = history.version(SUBJECT, number).values if number else {}
    return _store(EVERYWHERE, request.form.to_dict(), wanted, gateway().control.config())


def _try(scope: str, typed: dict[str, str], found: Mapping[str, Any]) -> tuple[str, int]:
    slot = scope if scope != EVERYWHERE else typed.get("slot", "home.top_picks")
    try:
        return _page(scope, typed, {}, tried=try_knobs(gateway(), slot, typed.get("shopper", "").strip(), found))
    except InvalidInput as error:
        return _page(scope, typed, error.fields, 422)


def _store(
    scope: str, typed: dict[str, str], wanted: Mapping[str, Any], current: NamespaceConfig
) -> Response | tuple[str, int]:
    seen = typed.get("version", "")
    if seen != str(current.version):
        return _conflict(scope, wanted, current)
    try:
        with unit_of_work(db.session):
            gateway().control.put_config(wanted, expected_version=current.version, author=actor())
            before, after = dict(current.config), dict(wanted)
            audit_engine(
                actor=actor(), action=history.ENGINE_ACTION, subject=SUBJECT, before=before, after=after, now=now()
            )
    except RecsysRejected as error:
        if error.code == "version_conflict":
            return _conflict(scope, wanted, gateway().control.config())
        return _page(scope, typed, {str(error.details.get("field", "version")): [error.message]}, 422)
    flash("Saved. The next list is ranked this way.", "good")
    return redirect(url_for("admin.ranking", scope=None if scope == EVERYWHERE else scope), 303)


def _conflict(scope: str, wanted: Mapping[str, Any], current: NamespaceConfig) -> tuple[str, int]:
    pairs = differences(current.config, wanted)
    shown = page("admin/ranking_conflict.html", scope=scope, current=current, pairs=pairs, typed=_typed(wanted, scope))
    return shown, 409


def _page(
    scope: str,
    typed: dict[str, str] | None,
    errors: dict[str, list[str]],
    status: int = 200,
    *,
    tried: Trial | None = None,
) -> tuple[str, int]:
    try:
        current, presets = gateway().control.config(), gateway().control.presets()
    except RecsysError as error:
        return page("admin/unreachable.html", what="The ranking settings", error=str(error)), 503
    versions = _history(current)
    shown = page(
        "admin/ranking.html",
        scope=scope,
        scopes=[EVERYWHERE, *SLOTS],
        current=current,
        places=[(place, knobs.said(_at(current.config, place))) for place in [EVERYWHERE, *SLOTS]],
        typed={**_typed(current.config, scope), "version": str(current.version)} if typed is None else typed,
        below=_below(current.config, scope, presets),
        errors=errors,
        groups=knobs.KNOB_GROUPS,
        slots=list(SLOTS) if scope == EVERYWHERE else [scope],
        versions=versions,
        names=staff_names([one for one, _, _ in versions]),
        tried=tried,
    )
    return shown, status


def _history(current: NamespaceConfig) -> list[tuple[history.Version, tuple[Change, ...], bool]]:
    """(version, changes, is it live), newest first. Changes made past the console are not in it."""
    found, before = [], {}  # type: ignore[var-annotated]
    live = _flat(current.config)
    for one in reversed(history.versions(SUBJECT)):
        found.append((one, differences(before, one.values), _flat(one.values) == live))
        before = one.values
    return found[::-1]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """(what, before, after) in words of every setting that is not the same."""
    pairs = history.differences(_flat(before), _flat(after))
    return tuple((name, knobs.said_value(old), knobs.said_value(new)) for name, old, new in pairs)


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """`home.trending: Share of places tried out` → value."""
    return {
        f"{place}: {knobs.KNOBS[name].label if name in knobs.KNOBS else name}": value
        for place in [EVERYWHERE, *(config.get(SURFACES) or {})]
        for name, value in _at(config, place).items()
    }


def _scope(text: str) -> str:
    if text != EVERYWHERE and text not in SLOTS:
        raise NotFound("There is no such slot.")
    return text


def _at(config: Mapping[str, Any], scope: str) -> dict[str, Any]:
    """The settings of one place."""
    if scope == EVERYWHERE:
        return {name: value for name, value in config.items() if name != SURFACES}
    return dict((config.get(SURFACES) or {}).get(scope, {}))


def _with(config: Mapping[str, Any], scope: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration with the settings of one place replaced; a place without any is left out."""
    surfaces = dict(config.get(SURFACES) or {})
    if scope == EVERYWHERE:
        return {**found, SURFACES: surfaces}
    surfaces[scope] = dict(found)
    return {**_at(config, EVERYWHERE), SURFACES: {name: knobs_ for name, knobs_ in surfaces.items() if knobs_}}


def _typed(config: Mapping[str, Any], scope: str) -> dict[str, str]:
    return knobs.typed_knobs(_at(config, scope))


def _below(config: Mapping[str, Any], scope: str, presets: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """What holds where a field is left empty, as far as it is known."""
    diversity = presets.get("mmr_presets", {})
    preset = next((diversity[name] for name in (scope, scope.partition(".")[0], "default") if name in diversity), None)
    known = {"mmr_lambda": preset} if preset is not None else {}
    if scope != EVERYWHERE:
        known |= _at(config, EVERYWHERE)
    return knobs.typed_knobs(known)
