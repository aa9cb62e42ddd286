"""Offline evaluation from the console: start, watch, compare, and hold the ranking to what it was (RS-049)."""

from typing import Any

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from recsys_engine.contract.operations import EvaluationDrop, EvaluationRecord
from shop_app.admin.views.base import actor, bp, gateway, now, page
from shop_app.admin.views.lab import REFRESH_S
from shop_app.core.errors import Conflict, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments import studies
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysError

MAX_DROP = 0.01
TASKS = {"next_basket": "The next basket", "repeats": "Bought again", "new_items": "New to them"}
ENGINES = {
    "ranking": "Our ranking",
    "popularity": "Best sellers",
    "personal_frequency": "Own favourites",
    "item_knn": "Item neighbours",
}


@bp.get("/evaluations")
def evaluations() -> str | tuple[str, int]:
    """Stored evaluations, the one under way, and two of them side by side with the gate."""
    operations = _operations()
    if operations is None:
        return _form([], None, "", is_remote=True)
    try:
        stored: list[EvaluationRecord] = operations.evaluations()
    except RecsysError as error:
        return page("admin/unreachable.html", what="Evaluations", error=str(error)), 503
    return _form(stored, operations, "")


@bp.post("/evaluations")
def start_evaluation() -> Response:
    """Ask for a new one; a second while one runs leads to the one that runs."""
    try:
        with unit_of_work(db.session):
            studies.ask_study(studies.EVALUATION, {}, actor=actor(), now=now())
    except Conflict:
        pass
    return redirect(url_for("admin.evaluations"), 303)


@bp.get("/evaluations/<evaluation_id>")
def evaluation(evaluation_id: str) -> str:
    """One of them, every engine and task."""
    operations = _operations()
    if operations is None:
        raise NotFound("The recommender runs elsewhere, and so do its evaluations.")
    try:
        record = operations.evaluation(evaluation_id)
    except RecsysError as error:
        raise NotFound("There is no such evaluation.") from error
    return page("admin/evaluation.html", record=record, tasks=TASKS, engines=ENGINES)


def _form(stored: list[EvaluationRecord], operations: Any, problem: str, *, is_remote: bool = False) -> str:
    latest = studies.studies(studies.EVALUATION, limit=1)
    after, before = _chosen(stored)
    most = _max_drop()
    drops: list[EvaluationDrop] = []
    if operations is not None and after and before:
        drops = operations.evaluation_drops(after.evaluation_id, before.evaluation_id, most)
    return page(
        "admin/evaluations.html",
        stored=stored,
        study=latest[0] if latest else None,
        after=after,
        before=before,
        drops=drops,
        most=most,
        tasks=TASKS,
        engines=ENGINES,
        problem=problem,
        is_remote=is_remote,
        refresh_s=REFRESH_S,
    )


def _chosen(stored: list[EvaluationRecord]) -> tuple[EvaluationRecord | None, EvaluationRecord | None]:
    """The two to compare: those asked for, else the newest and the one before."""
    by_id = {record.evaluation_id: record for record in stored}
    after = by_id.get(request.args.get("after", "")) or (stored[0] if stored else None)
    before = by_id.get(request.args.get("before", "")) or (stored[1] if len(stored) > 1 else None)
    return after, before


def _max_drop() -> float:
    text = request.args.get("most", "")
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return MAX_DROP


def _operations() -> Any:
    return getattr(gateway(), "operations", None)
