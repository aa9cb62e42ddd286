"""The log: rows numbered in commit order, and what is new since a number."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, insert, select

from recsys_engine.store.tables import events, items, operations, users

TAIL_BATCH = 5_000


class EventRow(NamedTuple):
    """One event as the signals read it. ``ts_ms`` is milliseconds since 1970."""

    seq: int
    user_id: str
    item_id: str
    type: int
    value: float
    ts_ms: int
    order_id: str | None
    is_impression: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """Something other than an upsert or an event: a deletion, an erasure, a settings change."""

    seq: int
    kind: str
    payload: Mapping[str, Any]


_SIGNAL_COLUMNS = (
    events.c.seq,
    events.c.user_id,
    events.c.item_id,
    events.c.type,
    events.c.value,
    events.c.ts_us,
    events.c.order_id,
    events.c.is_impression,
)


def append_operation(connection: Connection, tenant: int, seq: int, kind: str, payload: Mapping[str, Any]) -> None:
    """Write one operation under a number already claimed."""
    connection.execute(insert(operations).values(tenant=tenant, seq=seq, kind=kind, payload=json.dumps(payload)))


def operations_after(connection: Connection, tenant: int, seq: int) -> list[Operation]:
    """Operations with a higher number, in order."""
    rows = connection.execute(
        select(operations.c.seq, operations.c.kind, operations.c.payload)
        .where(operations.c.tenant == tenant, operations.c.seq > seq)
        .order_by(operations.c.seq)
    )
    return [Operation(int(row.seq), row.kind, json.loads(row.payload)) for row in rows]


def items_after(connection: Connection, tenant: int, seq: int) -> Sequence[Row[Any]]:
    """Item rows written after a number, oldest first."""
    return connection.execute(
        select(items).where(items.c.tenant == tenant, items.c.seq > seq).order_by(items.c.seq)
    ).all()


def users_after(connection: Connection, tenant: int, seq: int) -> list[tuple[int, str, dict[str, Any]]]:
    """``(seq, user_id, traits)`` written after a number, oldest first."""
    rows = connection.execute(
        select(users.c.seq, users.c.user_id, users.c.traits)
        .where(users.c.tenant == tenant, users.c.seq > seq)
        .order_by(users.c.seq)
    )
    return [(int(seq_), user_id, json.loads(traits)) for seq_, user_id, traits in rows]


def events_after(connection: Connection, tenant: int, seq: int, limit: int = TAIL_BATCH) -> list[EventRow]:
    """Up to ``limit`` events written after a number, in order."""
    query = (
        select(*_SIGNAL_COLUMNS)
        .where(events.c.tenant == tenant, events.c.seq > seq)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return event_rows(connection, query)


def events_of_users(connection: Connection, tenant: int, user_ids: Iterable[str], up_to: int) -> list[EventRow]:
    """Every event of some users up to a number, in order."""
    query = (
        select(*_SIGNAL_COLUMNS)
        .where(events.c.tenant == tenant, events.c.user_id.in_(list(user_ids)), events.c.seq <= up_to)
        .order_by(events.c.seq)
    )
    return event_rows(connection, query)


def events_of_lists(connection: Connection, tenant: int, from_us: int, to_us: int) -> Sequence[Row[Any]]:
    """Events of a span of time that name the list they came from: ``item_id, type, value, meta, is_impression``."""
    columns = (events.c.item_id, events.c.type, events.c.value, events.c.meta, events.c.is_impression)
    query: Select[Any] = select(*columns).where(events.c.tenant == tenant)
    query = query.where(events.c.ts_us >= from_us, events.c.ts_us <= to_us, events.c.meta.like('%"request_id"%'))
    return connection.execute(query.order_by(events.c.seq)).all()


def all_events(connection: Connection, tenant: int, up_to: int) -> list[Any]:
    """The whole log up to a number as plain tuples in the order of ``EventRow`` (``ts`` in microseconds)."""
    query = select(*_SIGNAL_COLUMNS).where(events.c.tenant == tenant, events.c.seq <= up_to).order_by(events.c.seq)
    return list(connection.execute(query).cursor.fetchall())


def event_rows(connection: Connection, query: Select[Any]) -> list[EventRow]:
    """Run a query over the signal columns."""
    return [
        EventRow(seq, user, item, type_, value, ts_us // 1000, order, bool(impression))
        for seq, user, item, type_, value, ts_us, order, impression in connection.execute(query)
    ]
