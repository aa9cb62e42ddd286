"""Long questions to the recommender: asked from the console, answered in a process of their own, cancelled at a word.

Callers open the unit of work; each write here is a short one, so that the console sees how far a study is.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import or_, select

from recsys_engine.contract.operations import DraftAnswer, DraftQuestion, EvaluationRecord
from shop_app.core.errors import Conflict, NotFound
from shop_app.experiments.models import Study
from shop_app.extensions import db
from shop_app.site_settings.services import audit

EVALUATION, DRAFT = "evaluation", "draft"
OPEN = ("waiting", "running")
LOST_AFTER = timedelta(minutes=10)
"""A running study that said nothing for so long has died with its process."""
KEPT = 30

Tell = Callable[[int, int, str], None]


class Operations(Protocol):
    """What a recommender in this process can be asked to think about."""

    def evaluate(self, progress: Tell, is_cancelled: Callable[[], bool]) -> EvaluationRecord:
        """Evaluate the ranking on the recorded log and store the result."""

    def try_draft(self, question: DraftQuestion, progress: Tell, is_cancelled: Callable[[], bool]) -> DraftAnswer:
        """What the logged lists of a surface say of other settings."""


def ask_study(kind: str, question: Mapping[str, Any], *, actor: str, now: datetime) -> Study:
    """Put a question on the list. Raises Conflict while one of its kind is open: they would only slow each other."""
    if db.session.scalars(select(Study.id).where(Study.kind == kind, Study.status.in_(OPEN))).first() is not None:
        raise Conflict("one of these is running already: wait for it, or cancel it")
    study = Study(kind=kind, question=dict(question), asked_at=now, asked_by=actor)
    db.session.add(study)
    db.session.flush()  # the page about it needs its number
    audit(actor=actor, action=f"study.{kind}", subject=str(study.id), after=dict(question), now=now)
    return study


def cancel_study(study_id: int, *, actor: str, now: datetime) -> None:
    """Ask a study to stop; one that has not begun ends at once. Does nothing to one that is over."""
    study = one_study(study_id)
    if study.status == "waiting":
        study.status, study.ended_at = "cancelled", now
    elif study.status == "running":
        study.wants_cancel = True
    else:
        return
    audit(actor=actor, action="study.cancel", subject=str(study.id), now=now)


def take_study(now: datetime) -> Study | None:
    """The oldest question nobody works on, marked as running; those whose process died are marked as failed."""
    silent = or_(Study.told_at.is_(None), Study.told_at < now - LOST_AFTER)
    for lost in db.session.scalars(select(Study).where(Study.status == "running", silent).with_for_update()):
        end_study(lost.id, "failed", now=now, problem="Its process died. Ask again.")
    waiting = select(Study).where(Study.status == "waiting").order_by(Study.id).limit(1)
    study = db.session.scalars(waiting.with_for_update(skip_locked=True)).one_or_none()
    if study is not None:
        study.status, study.told_at = "running", now
    return study


def tell_progress(study_id: int, done: int, total: int, step: str, *, now: datetime) -> None:
    """Note how far a study is."""
    study = one_study(study_id)
    study.done, study.total, study.step, study.told_at = done, total, step[:80], now


def end_study(
    study_id: int, status: str, *, now: datetime, result: dict[str, Any] | None = None, problem: str = ""
) -> None:
    """Close a study as done, failed or cancelled."""
    study = one_study(study_id)
    study.status, study.ended_at, study.result, study.problem = status, now, result, problem[:500]


def answer(study: Study, operations: Operations, tell: Tell, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Do the thinking, minutes at worst; returns what the page shows. Writes nothing to the shop's tables."""
    if study.kind == EVALUATION:
        return {"evaluation_id": operations.evaluate(tell, is_cancelled).evaluation_id}
    asked = study.question
    question = DraftQuestion(
        surface=asked["slot"],
        from_=datetime.fromisoformat(asked["from"]),
        to=datetime.fromisoformat(asked["to"]),
        knobs=asked["knobs"],
    )
    return asdict(operations.try_draft(question, tell, is_cancelled))


def one_study(study_id: int) -> Study:
    """A study by its number, as stored now. Raises NotFound."""
    found = db.session.get(Study, study_id, populate_existing=True)
    if found is None:
        raise NotFound("There is no such study.")
    return found


def studies(kind: str, limit: int = KEPT) -> list[Study]:
    """The latest of a kind, newest first."""
    query = select(Study).where(Study.kind == kind).order_by(Study.id.desc()).limit(limit)
    return list(db.session.scalars(query))


def is_waiting() -> bool:
    """Is there a question nobody works on?"""
    return db.session.scalars(select(Study.id).where(Study.status == "waiting").limit(1)).first() is not None
