"""Evaluations that are kept: made in a background job, stored in the engine's database, compared with one another."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from time import monotonic
from uuid import uuid4

from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.operations import EvaluationDrop, EvaluationRecord
from recsys_engine.evaluation.runner import OURS, Report, evaluate
from recsys_engine.service import Engine
from recsys_engine.signals.ranking.learner import ROUNDS, TREES
from recsys_engine.signals.ranking.model import PAST_WINDOWS, SELF_INFORMATION, Told, tell_nobody
from recsys_engine.signals.ranking.world import Tuning
from recsys_engine.store.evaluations import StoredEvaluation, newest_evaluations, one_evaluation, write_evaluation
from recsys_engine.store.ingest import to_us
from recsys_engine.store.pages import from_us

LISTED = 50
MAX_DROP = 0.01  # of ndcg@10


def evaluate_and_store(
    engine: Engine,
    *,
    cut: datetime | None = None,
    progress: Told = tell_nobody,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> EvaluationRecord:
    """Evaluate the ranking on the engine's own log and keep the result.

    For a background job: minutes of one core on a large log, in the calling process. `progress(done, 100, what)` may
    write `done` to a row the console reads; `is_cancelled()` may read a flag from it. Nothing is stored until the end.

    Raises:
        ContractError: ``too_little_history`` when there is nothing to evaluate on.
        EvaluationCancelledError: `is_cancelled` said so.
    """
    started = monotonic()
    lessons = engine.lessons()
    if not len(lessons.orders.item):
        raise ContractError("too_little_history", "no purchase is recorded yet", {})
    at = None if cut is None else round(cut.timestamp())
    try:
        report = evaluate(lessons.orders, lessons.facts, cut=at, progress=progress, is_cancelled=is_cancelled)
    except ValueError as error:
        raise ContractError("too_little_history", str(error), {}) from error
    made = StoredEvaluation(
        evaluation_id=str(uuid4()),
        made_us=to_us(engine.now()),
        cut_s=report.cut,
        seconds=monotonic() - started,
        config_digest=config_digest(engine),
        body=_plain(report),
    )
    with engine.writing() as (connection, tenant):
        write_evaluation(connection, tenant, made)
    return _record(made)


def evaluations(engine: Engine, limit: int = LISTED) -> list[EvaluationRecord]:
    """Stored evaluations, newest first."""
    with engine.reading() as (connection, tenant):
        return [_record(made) for made in newest_evaluations(connection, tenant, limit)]


def evaluation(engine: Engine, evaluation_id: str) -> EvaluationRecord:
    """One stored evaluation; raises ``evaluation_not_found``."""
    with engine.reading() as (connection, tenant):
        made = one_evaluation(connection, tenant, evaluation_id)
    if made is None:
        raise ContractError("evaluation_not_found", "no such evaluation", {"evaluation_id": evaluation_id[:200]})
    return _record(made)


def drops(now: EvaluationRecord, before: EvaluationRecord, most: float = MAX_DROP) -> list[EvaluationDrop]:
    """Tasks in which our NDCG@10 fell by more than `most`; empty = the gate is passed."""
    was, is_ = (record.report["engines"].get(OURS, {}) for record in (before, now))
    shared = [(task, was[task]["ndcg"], is_[task]["ndcg"]) for task in was if task in is_]
    return [EvaluationDrop(task, then, today) for task, then, today in shared if then - today > most]


def config_digest(engine: Engine) -> str:
    """Names everything that shapes a ranking besides the log: stored settings, half-lives, trees, windows, novelty."""
    recipe = [asdict(Tuning()), TREES, ROUNDS, PAST_WINDOWS, SELF_INFORMATION, engine.settings_now().digest]
    return blake2b(json.dumps(recipe, sort_keys=True).encode(), digest_size=8).hexdigest()


def _plain(report: Report) -> dict[str, object]:
    body: dict[str, object] = json.loads(json.dumps(report.as_json()))
    return body


def _record(made: StoredEvaluation) -> EvaluationRecord:
    cut = datetime.fromtimestamp(made.cut_s, UTC)
    return EvaluationRecord(made.evaluation_id, from_us(made.made_us), cut, made.seconds, made.config_digest, made.body)
