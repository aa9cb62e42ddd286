"""Derived sentence vectors: which items are due, and writing what was made."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, insert, or_, select, update

from recsys_engine.store.database import lock_head, move_head
from recsys_engine.store.tables import items, vectors


@dataclass(frozen=True, slots=True)
class ItemText:
    """What the text of an item is made of, and the vector on record. ``is_own``: the shop sent the vector itself."""

    item_id: str
    seq: int
    title: str
    description: str
    brand: str
    category: str
    blob: bytes | None
    is_own: bool
    digest: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class MadeVector:
    """A vector for an item as read at ``item_seq``; no ``blob`` means that the one on record still holds."""

    item_id: str
    item_seq: int
    digest: str
    model: str
    blob: bytes | None


def due_texts(connection: Connection, tenant: int, model: str, limit: int) -> list[ItemText]:
    """Items whose text was never looked at, changed since, or belongs to another model; longest waiting first."""
    looked_at = and_(vectors.c.item_seq >= items.c.seq, vectors.c.model == model)
    query = _texts(tenant).where(_is_derivable(), or_(vectors.c.item_id.is_(None), ~looked_at))
    return [_text(row) for row in connection.execute(query.order_by(items.c.seq).limit(limit))]


def all_texts(connection: Connection, tenant: int) -> Iterator[ItemText]:
    """Every item."""
    return (_text(row) for row in connection.execute(_texts(tenant).order_by(items.c.item_id)))


def write_vectors(connection: Connection, tenant: int, made: Sequence[MadeVector]) -> int:
    """Put derived vectors in place of older derived ones; an item that changed meanwhile is left for the next look.

    Returns how many items were settled.
    """
    seq, _ = lock_head(connection, tenant)
    settled: list[MadeVector] = []
    for one in made:
        where = (items.c.tenant == tenant, items.c.item_id == one.item_id, items.c.seq == one.item_seq)
        if one.blob is None:
            settled.append(one)
            continue
        values = {"embedding": one.blob, "embedding_is_derived": True, "seq": seq + 1}
        if connection.execute(update(items).where(*where, _is_derivable()).values(**values)).rowcount:
            seq += 1
            settled.append(MadeVector(one.item_id, seq, one.digest, one.model, one.blob))
    ids = [one.item_id for one in settled]
    connection.execute(delete(vectors).where(vectors.c.tenant == tenant, vectors.c.item_id.in_(ids)))
    rows = [
        {"tenant": tenant, "item_id": o.item_id, "item_seq": o.item_seq, "digest": o.digest, "model": o.model}
        for o in settled
    ]
    if rows:
        connection.execute(insert(vectors), rows)
    move_head(connection, tenant, seq)
    return len(settled)


def _is_derivable() -> ColumnElement[bool]:
    """A vector the shop sent is never replaced by a derived one."""
    return or_(items.c.embedding.is_(None), items.c.embedding_is_derived)


def _texts(tenant: int) -> Select[Any]:
    same = and_(vectors.c.tenant == items.c.tenant, vectors.c.item_id == items.c.item_id)
    columns = ("item_id", "seq", "description", "brand", "category", "props", "embedding", "embedding_is_derived")
    return (
        select(*(items.c[name] for name in columns), vectors.c.digest, vectors.c.model)
        .select_from(items.outerjoin(vectors, same))
        .where(items.c.tenant == tenant)
    )


def _text(row: Any) -> ItemText:
    props = json.loads(row.props)
    title = next((props[name] for name in ("title", "name") if isinstance(props.get(name), str)), "")
    return ItemText(
        row.item_id,
        int(row.seq),
        title,
        row.description or "",
        row.brand or "",
        row.category or "",
        row.embedding,
        row.embedding is not None and not row.embedding_is_derived,
        row.digest,
        row.model,
    )
