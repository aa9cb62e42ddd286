"""Marking what changed, in the transaction that changes it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity

Kind = Literal["item", "user"]
MARK_BATCH = 500
"""Rows per statement: below SQLite's limit of bound variables."""


def mark_changed(kind: Kind, entity_ids: Iterable[int], now: datetime) -> int:
    """Ask for a sync of these entities; repeated marks raise the version of the one row.

    Rows are written in ascending id, so that concurrent marks cannot deadlock. Returns how many were marked.
    """
    ids = sorted(set(entity_ids))
    for start in range(0, len(ids), MARK_BATCH):
        rows = [
            {"kind": kind, "entity_id": i, "version": 1, "changed_at": now, "next_attempt_at": now, "attempts": 0}
            for i in ids[start : start + MARK_BATCH]
        ]
        db.session.execute(_upsert(), rows)
    return len(ids)


def _upsert() -> "postgresql.Insert | sqlite.Insert":
    dialect = db.engine.dialect.name
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    table = ChangedEntity.__table__
    assert isinstance(table, Table)
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=["kind", "entity_id"],
        set_={
            "version": table.c.version + 1,
            "changed_at": statement.excluded.changed_at,
            "next_attempt_at": statement.excluded.next_attempt_at,
        },
    )
