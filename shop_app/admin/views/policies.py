"""Bandit policies: named sets of ranking settings among which the bandit chooses (RS-056)."""

import re
from typing import Any

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from recsys_engine.contract.control import Policy
from shop_app.admin import knob_forms as knobs
from shop_app.admin.queries.trials import Trial, try_knobs
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.core.errors import InvalidInput, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError, RecsysRejected
from shop_app.site_settings.defaults import SLOTS
from shop_app.site_settings.services import audit_engine

NEW = "new"
MAX_NAME_CHARS = 80
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@bp.get("/policies")
def policies() -> str | tuple[str, int]:
    """Every policy, active ones first."""
    try:
        found = gateway().control.policies()
    except RecsysError as error:
        return page("admin/unreachable.html", what="The policies", error=str(error)), 503
    return page("admin/policies.html", policies=found, said=knobs.said)


@bp.get("/policies/<policy_id>")
def policy(policy_id: str) -> str:
    """The form of one policy."""
    stored = _policy(policy_id)
    if stored is None and policy_id != NEW:
        raise NotFound("There is no such policy.")
    return _form(policy_id, _typed(stored), {})


@bp.post("/policies/<policy_id>")
def change_policy(policy_id: str) -> Response | tuple[str, int]:
    """Try the settings on somebody's list, or store them."""
    typed = request.form.to_dict()
    try:
        before = _policy(policy_id)
        wanted = _parse(policy_id, typed, before)
        if typed.get("how") == "try":
            tried = try_knobs(gateway(), typed.get("slot", ""), typed.get("shopper", "").strip(), wanted.knobs)
            return _form(policy_id, typed, {}, tried), 200
        with unit_of_work(db.session):
            gateway().control.put_policies([wanted])
            subject = f"policy {wanted.policy_id}"
            audit_engine(
                actor=actor(),
                action="engine.policy",
                subject=subject,
                before=_plain(before),
                after=_plain(wanted),
                now=now(),
            )
    except InvalidInput as error:
        return _form(policy_id, typed, error.fields), 422
    except RecsysRejected as error:
        return _form(policy_id, typed, {str(error.details.get("field", "name")): [error.message]}), 422
    flash("Saved. The bandit chooses by it from the next list on.", "good")
    return redirect(url_for("admin.policies"), 303)


def _parse(policy_id: str, typed: dict[str, str], before: Policy | None) -> Policy:
    found, problems = knobs.read_knobs(typed, before.knobs if before else None)
    key = typed.get("policy_id", "").strip() if policy_id == NEW else policy_id
    name = " ".join(typed.get("name", "").split())
    if not _ID.fullmatch(key) or key == NEW:
        problems["policy_id"] = ["Small letters, digits, - and _ only, 40 at most."]
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        problems["name"] = [f"Between 1 and {MAX_NAME_CHARS} characters."]
    if problems:
        raise InvalidInput(problems)
    return Policy(key, name, typed.get("active") == "on", found, typed.get("notes", "").strip()[:1000] or None)


def _policy(policy_id: str) -> Policy | None:
    return next((one for one in gateway().control.policies() if one.policy_id == policy_id), None)


def _typed(stored: Policy | None) -> dict[str, str]:
    if stored is None:
        return {"active": "on"}
    told = {"name": stored.name, "active": "on" if stored.active else "", "notes": stored.notes or ""}
    return {**told, **knobs.typed_knobs(stored.knobs)}


def _form(policy_id: str, typed: dict[str, str], errors: dict[str, list[str]], tried: Trial | None = None) -> str:
    return page(
        "admin/policy.html",
        policy_id=policy_id,
        is_new=policy_id == NEW,
        typed=typed,
        errors=errors,
        groups=knobs.KNOB_GROUPS,
        slots=list(SLOTS),
        tried=tried,
    )


def _plain(one: Policy | None) -> dict[str, Any] | None:
    return {"name": one.name, "active": one.active, **one.knobs} if one else None
