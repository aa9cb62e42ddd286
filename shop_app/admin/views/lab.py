"""The counterfactual lab: what the log says of settings nobody has been shown."""

from datetime import timedelta

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from shop_app.admin import knob_forms as knobs
from shop_app.admin.views.base import actor, bp, now, page
from shop_app.analytics.period import parse_period
from shop_app.core.errors import Conflict
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments import studies
from shop_app.extensions import db
from shop_app.site_settings.defaults import SLOTS

REFRESH_S = 2
ESTIMATORS = {
    "ips": ("IPS", "Every impression counts as many times as the draft would have shown it. Unbiased, and restless."),
    "snips": ("SNIPS", "The same, divided by the sum of the weights: calmer, with a bias that vanishes."),
    "dr": ("Doubly robust", "A model of clicks, corrected by the weighted errors it makes. The one to look at first."),
}


@bp.get("/lab")
def lab() -> str:
    """The form, and what was asked before."""
    return _form(request.args.to_dict(), {})


@bp.post("/lab")
def ask_lab() -> Response | tuple[str, int]:
    """Put the question on the list of studies."""
    typed = request.form.to_dict()
    wanted, problems = knobs.read_knobs(typed)
    slot = typed.get("slot", "")
    if slot not in SLOTS:
        problems["slot"] = ["Choose a slot."]
    if not wanted:
        problems[knobs.KNOB_GROUPS[0][1][0].name] = [
            "Change at least one setting: without a draft there is no question."
        ]
    if problems:
        return _form(typed, problems), 422
    period = parse_period(typed, now().date(), default_days=7)
    until = min(period.end, now())
    question = {"slot": slot, "from": period.start.isoformat(), "to": until.isoformat(), "knobs": wanted}
    try:
        with unit_of_work(db.session):
            study_id = studies.ask_study(studies.DRAFT, question, actor=actor(), now=now()).id
    except Conflict as error:
        return _form(typed, {"slot": [str(error)]}), 409
    return redirect(url_for("admin.lab_study", study_id=study_id), 303)


@bp.get("/lab/<int:study_id>")
def lab_study(study_id: int) -> str:
    """How far it is, or the answer."""
    study = studies.one_study(study_id)
    return page(
        "admin/lab_study.html",
        study=study,
        said=knobs.said(study.question.get("knobs", {})),
        answer=study.result,
        estimators=ESTIMATORS,
        refresh_s=REFRESH_S,
    )


@bp.get("/studies/<int:study_id>/progress")
def study_progress(study_id: int) -> str:
    """The part of a study's page that changes while it runs."""
    return page("admin/_study.html", study=studies.one_study(study_id))


@bp.post("/studies/<int:study_id>/cancellation")
def cancel_study(study_id: int) -> Response:
    """Stop thinking about it."""
    with unit_of_work(db.session):
        studies.cancel_study(study_id, actor=actor(), now=now())
        kind = studies.one_study(study_id).kind
    flash("It stops at its next step.", "good")
    there = "admin.evaluations" if kind == studies.EVALUATION else "admin.lab"
    return redirect(url_for(there), 303)


def _form(typed: dict[str, str], errors: dict[str, list[str]]) -> str:
    today = now().date()
    defaults = {"slot": "home.top_picks", "from": (today - timedelta(days=6)).isoformat(), "to": today.isoformat()}
    return page(
        "admin/lab.html",
        typed={**defaults, **typed},
        errors=errors,
        groups=knobs.KNOB_GROUPS,
        slots=list(SLOTS),
        asked=[(study, knobs.said(study.question.get("knobs", {}))) for study in studies.studies(studies.DRAFT)],
    )
