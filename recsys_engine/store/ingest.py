"""Writing to the log: upserts and events, each batch one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Table, bindparam, insert, update

from recsys_engine.contract.checks import event_problem, meta_text
from recsys_engine.contract.entities import UNSET, Event, EventType, Item, Unset, User
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.responses import EventRejection, EventsResult
from recsys_engine.store import earlier
from recsys_engine.store.database import lock_head, move_head
from recsys_engine.store.log import EventRow
from recsys_engine.store.tables import events, items, users

_TEXT_FIELDS = ("brand", "category", "description", "image_url", "metadata_version")
VIEW = int(EventType.VIEW)
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
SPAN_HALF_LIVES = 24
REACH_BACK_HALF_LIVES = 8


@dataclass(frozen=True, slots=True)
class Appended:
    """What one call wrote: the first number, the event rows in order, and the verdict per event."""

    before_seq: int
    epoch_ms: int
    rows: tuple[EventRow, ...]
    result: EventsResult


class _Draft(NamedTuple):
    place: int
    event: Event
    ts_us: int
    meta: str
    digest: int


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    return (moment - UNIX_EPOCH) // _MICROSECOND


def append_events(
    connection: Connection, tenant: int, batch: Sequence[Event], now: datetime, shortest_half_life_ms: int
) -> Appended:
    """Judge every event alone, drop repeats, number and write the rest."""
    drafts, rejected = _judge(batch, now)
    seq, epoch_ms = lock_head(connection, tenant)
    fresh, duplicates, conflicts = _without_repeats(connection, tenant, drafts)
    rows = [_event_row(draft, seq + 1 + place) for place, draft in enumerate(fresh)]
    if fresh:
        _insert_events(connection, [_event_values(tenant, row, d) for row, d in zip(rows, fresh, strict=True)])
        epoch_ms = next_epoch_ms(epoch_ms, max(row.ts_ms for row in rows), shortest_half_life_ms)
        move_head(connection, tenant, seq + len(rows), epoch_ms)
    refusals = tuple(sorted((*rejected, *conflicts), key=lambda refusal: refusal.index))
    return Appended(seq, epoch_ms, tuple(rows), EventsResult(len(rows), duplicates, refusals))


def next_epoch_ms(epoch_ms: int, newest_ms: int, shortest_half_life_ms: int) -> int:
    """The epoch to count from once ``newest_ms`` is in the log: unchanged until 24 shortest half-lives have passed.

    Moving it keeps fixed-point cells far from overflow; everyone who sees a moved epoch rebuilds.
    """
    if epoch_ms and newest_ms <= epoch_ms + SPAN_HALF_LIVES * shortest_half_life_ms:
        return epoch_ms
    grid = REACH_BACK_HALF_LIVES * shortest_half_life_ms
    return (newest_ms // grid - 1) * grid


def _judge(batch: Sequence[Event], now: datetime) -> tuple[list[_Draft], list[EventRejection]]:
    drafts: list[_Draft] = []
    rejected: list[EventRejection] = []
    now_us = to_us(now)
    for index, event in enumerate(batch):
        problem = event_problem(event, now)
        if problem is not None:
            rejected.append(_refusal(index, event, *problem))
            continue
        try:
            meta = meta_text(event.meta) if event.meta else ""
        except ContractError as error:
            rejected.append(_refusal(index, event, error.code, error.message, "meta"))
            continue
        sent_us = None if event.ts is None else to_us(event.ts)
        ts_us = now_us if sent_us is None else min(sent_us, now_us)
        drafts.append(_Draft(index, event, ts_us, meta, _digest(event, sent_us, meta)))
    return drafts, rejected


def _digest(event: Event, sent_us: int | None, meta: str) -> int:
    body = f"{event.user_id}\n{event.item_id}\n{event.type}\n{float(event.value)!r}\n{sent_us}\n{meta}"
    return int.from_bytes(blake2b(body.encode(), digest_size=8).digest(), "big", signed=True)


def _without_repeats(
    connection: Connection, tenant: int, drafts: Sequence[_Draft]
) -> tuple[list[_Draft], int, list[EventRejection]]:
    known = _stored_digests(connection, tenant, [d.event.source_event_id for d in drafts if d.event.source_event_id])
    fresh: list[_Draft] = []
    conflicts: list[EventRejection] = []
    duplicates = 0
    for draft in drafts:
        source_id = draft.event.source_event_id
        seen = known.get(source_id) if source_id else None
        if seen is None:
            fresh.append(draft)
            if source_id:
                known[source_id] = draft.digest
        elif seen == draft.digest:
            duplicates += 1
        else:
            message = "another event was stored under this source_event_id"
            conflicts.append(_refusal(draft.place, draft.event, "id_conflict", message, "source_event_id"))
    return fresh, duplicates, conflicts


# Left to plan for itself, either database may read a tenant's whole log for a list of ids: SQLite from ten on,
# PostgreSQL whenever its statistics are older than the tenant, for every index begins with the tenant. Joined from the
# list, with a tenant that is no constant to the planner, each id is looked up.
_DIGESTS_ON_SQLITE = (
    "SELECT e.source_event_id, e.body_digest FROM json_each(?) AS wanted "
    "CROSS JOIN engine_events AS e WHERE e.tenant = ? AND e.source_event_id = wanted.value"
)
_DIGESTS_ON_POSTGRESQL = (
    "SELECT found.source_event_id, found.body_digest "
    "FROM (SELECT unnest(%s::text[]) AS id, %s::int AS tenant OFFSET 0) AS wanted CROSS JOIN LATERAL "
    "(SELECT e.source_event_id, e.body_digest FROM engine_events AS e "
    "WHERE e.tenant = wanted.tenant AND e.source_event_id = wanted.id OFFSET 0) AS found"
)


def _stored_digests(connection: Connection, tenant: int, source_ids: Sequence[str]) -> dict[str, int]:
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql(_DIGESTS_ON_SQLITE, (json.dumps(source_ids), tenant))
    else:
        found = connection.exec_driver_sql(_DIGESTS_ON_POSTGRESQL, (source_ids, tenant))
    return {source_id: int(digest) for source_id, digest in found}


def _refusal(index: int, event: Event, code: str, message: str, path: str) -> EventRejection:
    return EventRejection(index, code, message, event.source_event_id, path)


def _event_row(draft: _Draft, seq: int) -> EventRow:
    event = draft.event
    order_id = event.meta.get("order_id")
    return EventRow(
        seq,
        event.user_id,
        event.item_id,
        int(event.type),
        float(event.value),
        draft.ts_us // 1000,
        order_id[:200] if isinstance(order_id, str) and order_id else None,
        is_impression(event),
    )


def is_impression(event: Event) -> bool:
    """A view of a card, not of a product: it shows what was offered and says nothing about taste.

    Told by ``meta.kind`` = ``impression`` or, where ``kind`` is absent, by a widget and a rank on a view.
    """
    if event.type != VIEW:
        return False
    kind = event.meta.get("kind")
    return kind == "impression" or (kind is None and "widget" in event.meta and "rank" in event.meta)


def _event_values(tenant: int, row: EventRow, draft: _Draft) -> tuple[Any, ...]:
    """Values in the order of ``_EVENT_COLUMNS``."""
    return (
        tenant,
        row.seq,
        row.user_id,
        row.item_id,
        row.type,
        row.value,
        draft.ts_us,
        draft.meta or None,
        row.order_id,
        row.is_impression,
        draft.event.source_event_id,
        draft.digest,
    )


_EVENT_COLUMNS = (
    "tenant, seq, user_id, item_id, type, value, ts_us, meta, order_id, is_impression, source_event_id, body_digest"
)


def _insert_events(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Straight through the driver: events come in thousands, and the statement never varies."""
    if connection.dialect.name == "postgresql":
        with connection.connection.cursor().copy(f"COPY {events.name} ({_EVENT_COLUMNS}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(rows[0]))
    statement = f"INSERT INTO {events.name} ({_EVENT_COLUMNS}) VALUES ({marks})"  # noqa: S608 # nosec B608 - constants only
    connection.exec_driver_sql(statement, list(rows))


def upsert_items(connection: Connection, tenant: int, batch: Sequence[Item], now: datetime) -> int:
    """Insert or update items already checked; fields left out keep their value. Returns the first number before."""
    latest = {item.item_id: item for item in _merged(batch)}
    seq, _ = lock_head(connection, tenant)
    stored = earlier.stored_items(connection, tenant, list(latest))
    now_us = to_us(now)
    written: list[_Written] = []
    was: list[tuple[int, earlier.Was | None]] = []
    for place, item in enumerate(latest.values(), seq + 1):
        row = stored.get(item.item_id)
        values = _item_values(item, is_new=row is None)
        was.append((place, earlier.item_was(item.item_id, row, values)))
        stamped = {**values, "seq": place, "updated_us": now_us}
        written.append(_Written({"tenant": tenant, "item_id": item.item_id}, stamped, row is None))
    earlier.keep(connection, tenant, earlier.ITEM, was)
    _write(connection, items, written)
    move_head(connection, tenant, seq + len(latest))
    return seq


def _merged(batch: Sequence[Item]) -> list[Item]:
    merged: dict[str, Item] = {}
    for item in batch:
        earlier = merged.get(item.item_id)
        merged[item.item_id] = item if earlier is None else _overlay(earlier, item)
    return list(merged.values())


def _overlay(earlier: Item, later: Item) -> Item:
    changes = {name: getattr(later, name) for name in Item.__slots__ if getattr(later, name) is not UNSET}
    return Item(**{**{name: getattr(earlier, name) for name in Item.__slots__}, **changes})


def upsert_users(connection: Connection, tenant: int, batch: Sequence[User], now: datetime) -> int:
    """Insert or update users already checked. Returns the last number before."""
    latest = {user.user_id: user for user in batch}
    seq, _ = lock_head(connection, tenant)
    stored = earlier.stored_traits(connection, tenant, list(latest))
    now_us = to_us(now)
    written: list[_Written] = []
    was: list[tuple[int, earlier.Was | None]] = []
    for place, user in enumerate(latest.values(), seq + 1):
        traits = stored.get(user.user_id)
        stamped: dict[str, Any] = {"seq": place, "updated_us": now_us}
        if traits is None or not isinstance(user.traits, Unset):
            after = _plain(user.traits)
            stamped["traits"] = json.dumps(after)
            if traits != after:
                was.append((place, (user.user_id, None if traits is None else {"traits": traits}, None)))
        written.append(_Written({"tenant": tenant, "user_id": user.user_id}, stamped, traits is None))
    earlier.keep(connection, tenant, earlier.USER, was)
    _write(connection, users, written)
    move_head(connection, tenant, seq + len(latest))
    return seq


@dataclass(frozen=True, slots=True)
class _Written:
    """A row as it will be: its key, the columns that are set, and whether the table has none under that key."""

    key: Mapping[str, Any]
    stamped: Mapping[str, Any]
    is_new: bool


def _write(connection: Connection, table: Table, rows: Sequence[_Written]) -> None:
    """One statement for all rows that set the same columns: a statement a row takes ten times as long."""
    alike: dict[tuple[bool, tuple[str, ...]], list[_Written]] = {}
    for row in rows:
        alike.setdefault((row.is_new, tuple(row.stamped)), []).append(row)
    for (is_new, names), part in alike.items():
        if is_new:
            values = [{**row.key, "created_us": row.stamped["updated_us"], **row.stamped} for row in part]
            connection.execute(insert(table), values)
            continue
        where = [table.c[name] == bindparam(f"of_{name}") for name in part[0].key]
        statement = update(table).where(*where).values({name: bindparam(name) for name in names})
        values = [{**{f"of_{name}": value for name, value in row.key.items()}, **row.stamped} for row in part]
        connection.execute(statement, values)


def _plain(value: Mapping[str, Any] | Unset | None) -> dict[str, Any]:
    return {} if isinstance(value, Unset) or value is None else dict(value)


def _item_values(item: Item, *, is_new: bool) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if is_new or not isinstance(item.available, Unset):
        values["available"] = True if isinstance(item.available, Unset) else item.available
    if is_new or item.price is not UNSET:
        values["price"] = None if isinstance(item.price, Unset) else item.price
    for name in _TEXT_FIELDS:
        given = getattr(item, name)
        if is_new or given is not UNSET:
            values[name] = None if given is UNSET else given
    for name in ("tags", "category_path"):
        given = getattr(item, name)
        if is_new or given is not UNSET:
            values[name] = json.dumps(list(given or ()))
    if is_new or item.props is not UNSET:
        values["props"] = json.dumps(_plain(item.props))
    if not isinstance(item.embedding, Unset):
        values["embedding"] = _embedding_bytes(item.embedding)
        values["embedding_is_derived"] = False
    elif is_new:
        values["embedding_is_derived"] = False
    return values


def _embedding_bytes(embedding: Sequence[float] | None) -> bytes | None:
    return np.asarray(embedding, dtype="<f4").tobytes() if embedding else None
