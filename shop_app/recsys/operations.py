"""Looking after a recommender that runs in this process: evaluations, guardrails, the pace of categories.

A remote one is looked after where it runs.

``gateway.operations`` of the embedded gateway; the remote gateway has none, so ask with
``getattr(gateway, "operations", None)``.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime

from recsys_engine.contract.operations import (
    DraftAnswer,
    DraftQuestion,
    EmbeddingHealth,
    EvaluationDrop,
    EvaluationRecord,
    FalsePair,
    FeatureAudit,
    GuardrailSetting,
    RefitStatus,
    RegrettedItem,
    TextNeighbour,
)
from recsys_engine.evaluation import counterfactual, records
from recsys_engine.evaluation.runner import EvaluationCancelledError
from recsys_engine.service import Engine
from recsys_engine.service.feature_audit import audit_features
from recsys_engine.service.refits import Refits
from recsys_engine.service.upkeep import Upkeep
from recsys_engine.service.vectors import Vectors

__all__ = ["EmbeddedOperations", "EvaluationCancelledError", "Progress"]

Progress = Callable[[int, int, str], None]
"""(steps done, steps in all, what was done last)."""


class EmbeddedOperations:
    """Slow verbs are for background jobs; none is for a request unless it says so. Errors as in ``RecsysGateway``."""

    def __init__(self, open_engine: Callable[[], AbstractContextManager[Engine]]) -> None:
        self._open = open_engine

    def evaluate(
        self, progress: Progress, is_cancelled: Callable[[], bool], *, cut: datetime | None = None
    ) -> EvaluationRecord:
        """Evaluate the ranking on the recorded log and store the result; minutes, in a job.

        Raises ``EvaluationCancelledError`` when ``is_cancelled`` says so, and nothing is stored.
        """
        with self._open() as engine:
            return records.evaluate_and_store(engine, cut=cut, progress=progress, is_cancelled=is_cancelled)

    def evaluations(self, limit: int = records.LISTED) -> list[EvaluationRecord]:
        """Stored evaluations, newest first; quick."""
        with self._open() as engine:
            return records.evaluations(engine, limit)

    def evaluation(self, evaluation_id: str) -> EvaluationRecord:
        """One stored evaluation; quick."""
        with self._open() as engine:
            return records.evaluation(engine, evaluation_id)

    def evaluation_drops(self, now_id: str, before_id: str, most: float = records.MAX_DROP) -> list[EvaluationDrop]:
        """Tasks of our ranking that fell by more than ``most`` between two stored evaluations; quick."""
        with self._open() as engine:
            return records.drops(records.evaluation(engine, now_id), records.evaluation(engine, before_id), most)

    def try_draft(self, question: DraftQuestion, progress: Progress, is_cancelled: Callable[[], bool]) -> DraftAnswer:
        """What the logged lists of a surface say of other settings; seconds to minutes, in a job. Changes nothing.

        Raises ``EvaluationCancelledError`` when ``is_cancelled`` says so; rejected with ``nothing_logged``.
        """
        with self._open() as engine:
            return counterfactual.try_draft(engine, question, progress=progress, is_cancelled=is_cancelled)

    def category_pace(self) -> dict[str, float]:
        """Factor on every half-life of a category's popularity, by folded name; quick."""
        with self._open() as engine:
            return Upkeep(engine).category_pace()

    def put_category_pace(self, factors: Mapping[str, float]) -> None:
        """Set factors of 0.1–10 (1 takes a category off the list); every process counts anew from the log."""
        with self._open() as engine:
            Upkeep(engine).put_category_pace(factors)

    def guardrails(self) -> list[GuardrailSetting]:
        """All guardrails by name; quick."""
        with self._open() as engine:
            return Upkeep(engine).guardrails()

    def put_guardrail(self, setting: GuardrailSetting) -> None:
        """Store a guardrail; quick."""
        with self._open() as engine:
            Upkeep(engine).put_guardrail(setting)

    def regretted_items(self, limit: int = 50) -> list[RegrettedItem]:
        """What guardrails hold down now, the lowest multiplier first; quick."""
        with self._open() as engine:
            return Upkeep(engine).regretted_items(limit)

    def refresh_vectors(self, limit: int) -> int:
        """Make the vectors of up to ``limit`` products whose text changed; how many were settled. For jobs."""
        with self._open() as engine:
            return Vectors(engine).refresh(limit)

    def backfill_vectors(self, progress: Progress) -> int:
        """Make every vector that is due; goes on where it was when killed. For jobs and commands."""
        with self._open() as engine:
            return Vectors(engine).backfill(progress)

    def vector_health(self) -> EmbeddingHealth:
        """Missing, zero and stale vectors; opens the sentence model once in a process, then quick."""
        with self._open() as engine:
            return Vectors(engine).health()

    def text_neighbours(self, item_id: str, k: int = 10, *, is_exact: bool | None = None) -> list[TextNeighbour]:
        """The nearest products by text, blacklisted ones marked: for a spot check."""
        with self._open() as engine:
            return Vectors(engine).neighbours(item_id, k, is_exact=is_exact)

    def false_pairs(self) -> list[FalsePair]:
        """Products people said are not alike; quick."""
        with self._open() as engine:
            return Vectors(engine).false_pairs()

    def mark_false(self, item_id: str, other_id: str, noted_by: str | None = None) -> None:
        """Never show one beside the other as alike; quick."""
        with self._open() as engine:
            Vectors(engine).mark_false(item_id, other_id, noted_by)

    def unmark_false(self, item_id: str, other_id: str) -> None:
        """Take a pair off the list; quick."""
        with self._open() as engine:
            Vectors(engine).unmark_false(item_id, other_id)

    def refit_status(self) -> RefitStatus:
        """How the learned ranking stands, how far a run is and whether one is due; quick."""
        with self._open() as engine:
            if engine.model_folder is None:
                return RefitStatus("never", is_due=False)
            return Refits(engine, engine.model_folder).status()

    def refit(self, progress: Progress) -> bool:
        """Learn the ranking anew in this process; minutes. False when another is at it or nothing was bought."""
        with self._open() as engine:
            return engine.model_folder is not None and Refits(engine, engine.model_folder).run(progress)

    def feature_audit(self) -> FeatureAudit:
        """Which inputs reach the ranking, counted on lists made for it and not logged; seconds."""
        with self._open() as engine:
            return audit_features(engine)
