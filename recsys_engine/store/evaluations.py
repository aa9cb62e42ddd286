"""Stored evaluations: aggregates only, nothing of a person."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from recsys_engine.store.tables import evaluations


@dataclass(frozen=True, slots=True)
class StoredEvaluation:
    """One evaluation as stored; ``body`` is the report."""

    evaluation_id: str
    made_us: int
    cut_s: int
    seconds: float
    config_digest: str
    body: Mapping[str, Any]


def write_evaluation(connection: Connection, tenant: int, made: StoredEvaluation) -> None:
    """Store one evaluation."""
    connection.execute(
        insert(evaluations).values(
            tenant=tenant,
            evaluation_id=made.evaluation_id,
            made_us=made.made_us,
            cut_s=made.cut_s,
            seconds=made.seconds,
            config_digest=made.config_digest,
            body=json.dumps(made.body),
        )
    )


def newest_evaluations(connection: Connection, tenant: int, limit: int) -> list[StoredEvaluation]:
    """Up to ``limit`` evaluations, newest first."""
    query = (
        select(evaluations)
        .where(evaluations.c.tenant == tenant)
        .order_by(evaluations.c.made_us.desc(), evaluations.c.evaluation_id)
        .limit(limit)
    )
    return [_stored(row) for row in connection.execute(query)]


def one_evaluation(connection: Connection, tenant: int, evaluation_id: str) -> StoredEvaluation | None:
    """The evaluation of that id."""
    where = (evaluations.c.tenant == tenant, evaluations.c.evaluation_id == evaluation_id)
    row = connection.execute(select(evaluations).where(*where)).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: Row[Any]) -> StoredEvaluation:
    return StoredEvaluation(
        row.evaluation_id, int(row.made_us), int(row.cut_s), row.seconds, row.config_digest, json.loads(row.body)
    )
