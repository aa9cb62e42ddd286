"""What items and users were before: enough to see the catalogue as a served list saw it.

Tables of items and users hold the newest version. Each change that ranking can notice leaves a row here with what was
there until then, or with nothing when there was none. What stood at row n of the log is the row with the smallest
``until_seq`` above n; without one, what stands now.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from recsys_engine.store.tables import earlier, items, users

ITEM, USER = "item", "user"
LOOKUP_CHUNK = 500
_FACTS = ("available", "price", "brand", "category", "tags", "created_us")
Was = tuple[str, Mapping[str, Any] | None, bytes | None]
"""Key, facts until then (None: did not exist), embedding."""


def stored_items(connection: Connection, tenant: int, ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Item rows as they are now, by id."""
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(ids), LOOKUP_CHUNK):
        chunk = items.c.item_id.in_(ids[start : start + LOOKUP_CHUNK])
        found.update({row.item_id: row for row in connection.execute(select(items).where(_of(items, tenant), chunk))})
    return found


def item_was(item_id: str, row: Row[Any] | None, changes: Mapping[str, Any] | None = None) -> Was | None:
    """What to keep of an item before ``changes`` (None: it goes away); None when ranking notices no difference."""
    if row is None:
        return item_id, None, None
    facts, embedding = _facts(row._mapping), row.embedding  # noqa: SLF001 - SQLAlchemy's public name for it
    if changes is not None:
        after = {**row._mapping, **changes}  # noqa: SLF001
        if _facts(after) == facts and after["embedding"] == embedding:
            return None
    return item_id, facts, embedding


def _facts(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in _FACTS}, "parent_id": json.loads(row["props"]).get("parent_id")}


def keep(connection: Connection, tenant: int, kind: str, gone: Iterable[tuple[int, Was | None]]) -> None:
    """Store what stood until each number."""
    rows = [
        {
            "tenant": tenant,
            "kind": kind,
            "key": was[0],
            "until_seq": until,
            "body": None if was[1] is None else json.dumps(was[1]),
            "embedding": was[2],
        }
        for until, was in gone
        if was is not None
    ]
    if rows:
        connection.execute(insert(earlier), rows)


def items_at(connection: Connection, tenant: int, seq: int) -> dict[str, SimpleNamespace | None]:
    """Items that differed at a row of the log: rows as the catalogue takes them, None for those that were not there."""
    found = _at(connection, tenant, ITEM, seq)
    return {key: None if body is None else _item(key, body, blob) for key, body, blob in found}


def traits_at(connection: Connection, tenant: int, seq: int) -> dict[str, dict[str, Any] | None]:
    """Users whose traits differed at a row of the log; None for those without a row."""
    return {key: None if body is None else body["traits"] for key, body, _ in _at(connection, tenant, USER, seq)}


def forget_earlier(connection: Connection, tenant: int, user_ids: Sequence[str]) -> None:
    """Delete what users were."""
    where = (_of(earlier, tenant), earlier.c.kind == USER, earlier.c.key.in_(list(user_ids)))
    connection.execute(delete(earlier).where(*where))


def delete_earlier_until(connection: Connection, tenant: int, seq: int, limit: int) -> int:
    """Delete about ``limit`` of what stood only until ``seq`` or before: nothing computed from that row on needs it."""
    gone = 0
    for kind in (ITEM, USER):
        where = (_of(earlier, tenant), earlier.c.kind == kind, earlier.c.until_seq <= seq)
        some = select(earlier.c.until_seq).where(*where).order_by(earlier.c.until_seq).offset(limit - 1).limit(1)
        last = connection.execute(some).scalar() or seq
        gone += int(connection.execute(delete(earlier).where(*where, earlier.c.until_seq <= last)).rowcount)
    return gone


def stored_traits(connection: Connection, tenant: int, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Traits as they are now, by user."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), LOOKUP_CHUNK):
        where = (_of(users, tenant), users.c.user_id.in_(ids[start : start + LOOKUP_CHUNK]))
        rows = connection.execute(select(users.c.user_id, users.c.traits).where(*where))
        found.update({user_id: json.loads(traits) for user_id, traits in rows})
    return found


def _at(connection: Connection, tenant: int, kind: str, seq: int) -> list[Was]:
    where = (_of(earlier, tenant), earlier.c.kind == kind, earlier.c.until_seq > seq)
    rows = connection.execute(select(earlier).where(*where).order_by(earlier.c.until_seq.desc()))
    nearest = {row.key: row for row in rows}
    return [(key, json.loads(row.body) if row.body else None, row.embedding) for key, row in nearest.items()]


def _item(item_id: str, facts: Mapping[str, Any], embedding: bytes | None) -> SimpleNamespace:
    props = json.dumps({"parent_id": facts["parent_id"]})
    return SimpleNamespace(item_id=item_id, props=props, embedding=embedding, **{name: facts[name] for name in _FACTS})


def _of(table: Any, tenant: int) -> Any:
    return table.c.tenant == tenant
