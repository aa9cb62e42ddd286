"""Marking what changed, in the transaction that changes it; leasing and settling it when it is delivered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from sqlalchemy import case, delete, select, tuple_, update
from sqlalchemy.sql import ColumnElement

from shop_app.extensions import db, insert_into
from shop_app.outbox.models import ChangedEntity

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

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
    """A leased row keeps its lease: two workers must never carry two versions of one entity at once."""
    statement = insert_into(ChangedEntity)
    table, new = ChangedEntity, statement.excluded
    is_leased = table.lease_until > new.changed_at
    return statement.on_conflict_do_update(
        index_elements=["kind", "entity_id"],
        set_={
            "version": table.version + 1,
            "changed_at": new.changed_at,
            "next_attempt_at": case((is_leased, table.next_attempt_at), else_=new.next_attempt_at),
        },
    )


@dataclass(frozen=True, slots=True)
class LeasedChange:
    """A change this worker may deliver until its lease lapses."""

    entity_id: int
    version: int
    attempts: int


def lease_changes(kind: Kind, *, limit: int, now: datetime, lease: timedelta) -> list[LeasedChange]:
    """Take up to `limit` due changes, oldest first. Nobody else gets them before `now + lease`.

    A lease is `next_attempt_at` moved into the future: one that lapses makes the row due again by itself.
    """
    due = (
        select(ChangedEntity.id)
        .where(ChangedEntity.kind == kind, ChangedEntity.next_attempt_at <= now)
        .order_by(ChangedEntity.next_attempt_at, ChangedEntity.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    taken = db.session.execute(
        update(ChangedEntity)
        .where(ChangedEntity.id.in_(select(due.c.id)))
        .values(next_attempt_at=now + lease, lease_until=now + lease, attempts=ChangedEntity.attempts + 1)
        .returning(ChangedEntity.entity_id, ChangedEntity.version, ChangedEntity.attempts),
        execution_options={"synchronize_session": False},
    )
    return sorted((LeasedChange(*row) for row in taken), key=lambda change: change.entity_id)


def settle_changes(kind: Kind, changes: Sequence[LeasedChange], now: datetime) -> int:
    """Forget what was delivered; what changed again meanwhile is due at once. Returns how many are gone."""
    result = db.session.execute(
        delete(ChangedEntity).where(ChangedEntity.kind == kind, _as_leased(changes)),
        execution_options={"synchronize_session": False},
    )
    _release(kind, changes, until=now, error=None)
    return int(result.rowcount)  # type: ignore[attr-defined]  # a DELETE gives a cursor result


def postpone_changes(kind: Kind, changes: Sequence[LeasedChange], *, until: datetime, error: str) -> None:
    """Not delivered: give the lease back and try again at `until`."""
    _release(kind, changes, until=until, error=error[:500])


def _as_leased(changes: Sequence[LeasedChange]) -> ColumnElement[bool]:
    pairs = [(change.entity_id, change.version) for change in changes]
    return tuple_(ChangedEntity.entity_id, ChangedEntity.version).in_(pairs)


def _release(kind: Kind, changes: Sequence[LeasedChange], *, until: datetime, error: str | None) -> None:
    db.session.execute(
        update(ChangedEntity)
        .where(ChangedEntity.kind == kind, ChangedEntity.entity_id.in_([change.entity_id for change in changes]))
        .values(next_attempt_at=until, lease_until=None, last_error=error),
        execution_options={"synchronize_session": False},
    )


def make_changes_due(now: datetime) -> None:
    """Forget waiting times and leases; for a drain that must not wait."""
    db.session.execute(
        update(ChangedEntity).where(ChangedEntity.next_attempt_at > now).values(next_attempt_at=now, lease_until=None),
        execution_options={"synchronize_session": False},
    )
