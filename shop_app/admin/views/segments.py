"""Segments and the ranking profiles their members get: see, try for a shopper, store, delete."""

from typing import Any

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from recsys_engine.contract.control import Segment, SegmentMatch, SegmentProfile
from shop_app.admin import knob_forms as knobs
from shop_app.admin import segment_forms as forms
from shop_app.admin.queries.trials import Trial, try_knobs
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.core.errors import InvalidInput, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError, RecsysRejected
from shop_app.site_settings.defaults import SLOTS
from shop_app.site_settings.services import audit_engine

NEW = "new"
"""The address of a form for something that is not there yet; no id may be it."""


@bp.get("/segments")
def segments() -> str | tuple[str, int]:
    """Every segment and profile; with `shopper`, which segment that shopper falls into."""
    shopper, slot = request.args.get("shopper", "").strip()[:200], request.args.get("slot", "home.top_picks")
    try:
        found = _ordered(gateway().control.segments())
        profiles = gateway().control.profiles()
        match = gateway().control.dry_run_segment(shopper or None, {"surface": slot}, None) if request.args else None
    except RecsysError as error:
        return page("admin/unreachable.html", what="The segments", error=str(error)), 503
    return page(
        "admin/segments.html",
        segments=found,
        profiles=profiles,
        words={one.segment_id: forms.in_words(one) for one in found},
        said=knobs.said,
        shopper=shopper,
        slot=slot,
        slots=list(SLOTS),
        match=match,
        matched=_named(match, found),
    )


@bp.get("/segments/<segment_id>")
def segment(segment_id: str) -> str:
    """The form of one segment."""
    return _segment_form(segment_id, _segment(segment_id), {}, {})


@bp.post("/segments/<segment_id>")
def change_segment(segment_id: str) -> Response | tuple[str, int]:
    """Store it; the next list follows."""
    typed = request.form.to_dict()
    try:
        before = _segment(segment_id)
        wanted = forms.parse_segment({**typed, "segment_id": _id(segment_id, typed.get("segment_id", ""))})
        with unit_of_work(db.session):
            gateway().control.put_segment(wanted)
            _note("engine.segment", f"segment {wanted.segment_id}", _plain(before), _plain(wanted))
    except InvalidInput as error:
        return _segment_form(segment_id, None, typed, error.fields), 422
    except RecsysRejected as error:
        return _segment_form(segment_id, None, typed, {str(error.details.get("field", "json")): [error.message]}), 422
    flash("Saved. The next list of its members follows it.", "good")
    return redirect(url_for("admin.segments"), 303)


@bp.post("/segments/<segment_id>/deletion")
def delete_segment(segment_id: str) -> Response:
    """Its members are ranked like everybody else again."""
    gone = _segment(segment_id)
    if gone is None:
        raise NotFound("There is no such segment.")
    with unit_of_work(db.session):
        gateway().control.delete_segments([segment_id])
        _note("engine.segment_deleted", f"segment {segment_id}", _plain(gone), None)
    flash("The segment is gone; its members are ranked like everybody else.", "good")
    return redirect(url_for("admin.segments"), 303)


@bp.get("/profiles/<profile_id>")
def profile(profile_id: str) -> str:
    """The form of one profile."""
    return _profile_form(profile_id, _profile_typed(profile_id), {})


@bp.post("/profiles/<profile_id>")
def change_profile(profile_id: str) -> Response | tuple[str, int]:
    """Try the knobs on somebody's list, or store them."""
    typed = request.form.to_dict()
    try:
        before = _profile(profile_id)
        identified = {**typed, "profile_id": _id(profile_id, typed.get("profile_id", ""))}
        wanted = forms.parse_profile(identified, before.knobs if before else None)
        if typed.get("how") == "try":
            tried = try_knobs(gateway(), typed.get("slot", ""), typed.get("shopper", "").strip(), wanted.knobs)
            return _profile_form(profile_id, typed, {}, tried), 200
        with unit_of_work(db.session):
            gateway().control.put_profiles([wanted])
            after = dict(wanted.knobs)
            _note("engine.profile", f"profile {wanted.profile_id}", dict(before.knobs) if before else None, after)
    except InvalidInput as error:
        return _profile_form(profile_id, typed, error.fields), 422
    except RecsysRejected as error:
        return _profile_form(profile_id, typed, {str(error.details.get("field", "name")): [error.message]}), 422
    flash("Saved. Lists of its segments follow it.", "good")
    return redirect(url_for("admin.segments"), 303)


@bp.post("/profiles/<profile_id>/deletion")
def delete_profile(profile_id: str) -> Response:
    """Only when no segment uses it."""
    gone = _profile(profile_id)
    if gone is None:
        raise NotFound("There is no such profile.")
    try:
        with unit_of_work(db.session):
            gateway().control.delete_profiles([profile_id])
            _note("engine.profile_deleted", f"profile {profile_id}", dict(gone.knobs), None)
    except RecsysRejected as error:
        flash(f"It stays: {error.message} ({error.details.get('segment_id', '')}).", "bad")
    else:
        flash("The profile is gone.", "good")
    return redirect(url_for("admin.segments"), 303)


def _ordered(found: list[Segment]) -> list[Segment]:
    """As the engine tries them."""
    return sorted(found, key=lambda one: (-one.priority, one.segment_id))


def _named(match: SegmentMatch | None, found: list[Segment]) -> str:
    return next((one.name for one in found if match and one.segment_id == match.segment_id), "")


def _segment(segment_id: str) -> Segment | None:
    return next((one for one in gateway().control.segments() if one.segment_id == segment_id), None)


def _profile(profile_id: str) -> SegmentProfile | None:
    return next((one for one in gateway().control.profiles() if one.profile_id == profile_id), None)


def _id(address: str, typed: str) -> str:
    """An id is chosen once; `new` is nobody's."""
    if address != NEW:
        return address
    return "" if typed.strip() == NEW else typed


def _segment_form(segment_id: str, stored: Segment | None, typed: dict[str, str], errors: dict[str, list[str]]) -> str:
    if not typed and stored is None and segment_id != NEW:
        raise NotFound("There is no such segment.")
    return page(
        "admin/segment.html",
        segment_id=segment_id,
        is_new=segment_id == NEW,
        typed=typed or _segment_typed(stored),
        errors=errors,
        rows=range(forms.ROWS),
        paths=forms.PATHS,
        operators=forms.OPERATORS,
        profiles=[one.profile_id for one in gateway().control.profiles()],
    )


def _segment_typed(stored: Segment | None) -> dict[str, str]:
    if stored is None:
        return {"active": "on"}
    rows, joined, text = forms.conditions_of(stored)
    cells = {f"{name}_{n}": getattr(row, name) for n, row in enumerate(rows) for name in ("path", "operator", "value")}
    return {
        "name": stored.name,
        "profile_id": stored.profile_id,
        "priority": str(stored.priority),
        "active": "on" if stored.active else "",
        "joined": joined,
        "json": text,
        **cells,
    }


def _profile_typed(profile_id: str) -> dict[str, str]:
    stored = _profile(profile_id)
    if stored is None and profile_id != NEW:
        raise NotFound("There is no such profile.")
    return {"name": stored.description or stored.profile_id, **knobs.typed_knobs(stored.knobs)} if stored else {}


def _profile_form(
    profile_id: str, typed: dict[str, str], errors: dict[str, list[str]], tried: Trial | None = None
) -> str:
    return page(
        "admin/profile.html",
        profile_id=profile_id,
        is_new=profile_id == NEW,
        typed=typed,
        errors=errors,
        groups=knobs.KNOB_GROUPS,
        slots=list(SLOTS),
        tried=tried,
    )


def _plain(one: Segment | None) -> dict[str, Any] | None:
    if one is None:
        return None
    shown = {"name": one.name, "profile": one.profile_id, "priority": one.priority, "active": one.active}
    return {**shown, "members": forms.in_words(one)}


def _note(action: str, subject: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    audit_engine(actor=actor(), action=action, subject=subject[:200], before=before, after=after, now=now())
