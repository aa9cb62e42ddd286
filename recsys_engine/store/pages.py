"""Reading stored rows page by page and deleting by filter."""

import base64
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, or_, select

from recsys_engine.contract.entities import Event, Item, StoredItem, StoredUser, User
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.requests import DeleteFilter, PageQuery
from recsys_engine.contract.responses import Page
from recsys_engine.store import earlier
from recsys_engine.store.ingest import UNIX_EPOCH, to_us
from recsys_engine.store.tables import events, items, users


def item_page(connection: Connection, tenant: int, query: PageQuery) -> Page[StoredItem]:
    """Items, newest first, then by id."""
    rows, total, cursor = _page(connection, items, items.c.created_us, items.c.item_id, tenant, query)
    return _paged([stored_item(row) for row in rows], total, query, cursor)


def user_page(connection: Connection, tenant: int, query: PageQuery) -> Page[StoredUser]:
    """Users, newest first, then by id."""
    rows, total, cursor = _page(connection, users, users.c.created_us, users.c.user_id, tenant, query)
    stored = [
        StoredUser(User(row.user_id, json.loads(row.traits)), from_us(row.created_us), from_us(row.updated_us))
        for row in rows
    ]
    return _paged(stored, total, query, cursor)


def event_page(connection: Connection, tenant: int, query: PageQuery) -> Page[Event]:
    """Events, newest first, then by sequence number."""
    rows, total, cursor = _page(connection, events, events.c.ts_us, events.c.seq, tenant, query)
    return _paged([_event(row) for row in rows], total, query, cursor)


def stored_item(row: Any) -> StoredItem:
    """A row of the items table as the contract shows it, without the embedding."""
    item = Item(
        item_id=row.item_id,
        available=bool(row.available),
        price=row.price,
        tags=tuple(json.loads(row.tags)),
        props=json.loads(row.props),
        embedding=None,
        brand=row.brand,
        category=row.category,
        category_path=tuple(json.loads(row.category_path)),
        description=row.description,
        image_url=row.image_url,
        metadata_version=row.metadata_version,
    )
    return StoredItem(item, from_us(row.created_us), from_us(row.updated_us))


def _event(row: Any) -> Event:
    meta = json.loads(row.meta) if row.meta else {}
    return Event(row.user_id, row.item_id, row.type, row.value, from_us(row.ts_us), meta, row.source_event_id)


def from_us(microseconds: int) -> datetime:
    """An aware UTC moment from microseconds since 1970."""
    return UNIX_EPOCH + timedelta(microseconds=microseconds)


def _page(  # noqa: PLR0917 - one query for three tables
    connection: Connection,
    table: Table,
    time: ColumnElement[Any],
    id_: ColumnElement[Any],
    tenant: int,
    query: PageQuery,
) -> tuple[Sequence[Any], int, str | None]:
    where = [table.c.tenant == tenant, *_conditions(table, time, query)]
    total = connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()
    if query.cursor:
        at, last = _decoded(query.cursor)
        where.append(or_(time < at, and_(time == at, id_ < last)))
    page = select(table).where(*where).order_by(time.desc(), id_.desc()).limit(query.limit + 1)
    if not query.cursor:
        page = page.offset(query.offset)
    rows = connection.execute(page).all()
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    last_row = rows[-1] if more else None
    cursor = _encoded(getattr(last_row, time.key or ""), getattr(last_row, id_.key or "")) if last_row else None
    return rows, int(total), cursor


def _paged(rows: Sequence[Any], total: int, query: PageQuery, cursor: str | None) -> Page[Any]:
    more = cursor is not None
    next_offset = query.offset + len(rows) if more and not query.cursor else None
    return Page(tuple(rows), total, query.limit, query.offset, more, next_offset, cursor)


def _conditions(table: Table, time: ColumnElement[Any], which: PageQuery | DeleteFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    for name in ("user_id", "item_id"):
        wanted = getattr(which, name)
        if wanted and name in table.c:
            found.append(table.c[name] == wanted)
    if which.event_type is not None and "type" in table.c:
        found.append(table.c.type == which.event_type)
    if which.created_after is not None:
        found.append(time >= to_us(which.created_after))
    if which.created_before is not None:
        found.append(time <= to_us(which.created_before))
    return found


def delete_rows(
    connection: Connection, table: Table, tenant: int, which: DeleteFilter, *, key: str, seq: int
) -> tuple[int, list[str]]:
    """Delete what matches, as row ``seq`` of the log; returns the count and the distinct ids (column ``key``) touched.

    Raises:
        ContractError: ``empty_filter`` when nothing that applies to this table is set without ``confirm_all``.

    """
    time = table.c.ts_us if "ts_us" in table.c else table.c.created_us
    conditions = _conditions(table, time, which)
    if not conditions and not which.confirm_all:
        raise ContractError("empty_filter", "an empty filter deletes everything: send confirm_all", {"field": "filter"})
    where = [table.c.tenant == tenant, *conditions]
    touched = list(connection.execute(select(table.c[key]).where(*where).distinct()).scalars())
    if table is items:
        rows = earlier.stored_items(connection, tenant, touched)
        was = [(seq, earlier.item_was(item_id, row)) for item_id, row in rows.items()]
        earlier.keep(connection, tenant, earlier.ITEM, was)
    elif table is users:
        earlier.forget_earlier(connection, tenant, touched)
    count = connection.execute(delete(table).where(*where)).rowcount
    return int(count), touched


def _encoded(at: int, last: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, last]).encode()).decode().rstrip("=")


def _decoded(cursor: str) -> tuple[int, Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        at, last = json.loads(base64.urlsafe_b64decode(padded.encode()))
        return int(at), last
    except (ValueError, TypeError) as error:
        raise ContractError("invalid_cursor", "cursor was not issued by this server", {"field": "cursor"}) from error
