"""The statement that writes a beacon into the log: one for all its events, straight through the driver.

Twenty rows through the statement layer cost more than the database does: every value of every row is named, converted
and bound, most of them equal in all rows. Here what a beacon's events share is said once, SQLite takes the rest as one
flat list and PostgreSQL as one JSON document.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from shop_app.extensions import db

ROWS_AT_ONCE = 100
"""Rows a statement: below SQLite's limit of variables, and few enough shapes to keep them prepared."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What is the same for every event of one beacon."""

    shopper_key: str
    session_id: str | None
    device: str
    is_bot: bool
    is_qa: bool
    received_at: datetime
    client_sent_at: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """What one event adds. Times are aware UTC."""

    source_event_id: str
    type: int
    item_id: str
    occurred_at: datetime
    client_created_at: datetime
    surface: str
    widget: str | None
    rank: int | None
    request_id: str | None
    recommended: bool
    meta: dict[str, Any]


OWN = {
    "source_event_id": "text", "type": "integer", "item_id": "text", "occurred_at": "timestamptz",
    "client_created_at": "timestamptz", "surface": "text", "widget": "text", "rank": "integer", "request_id": "text",
    "recommended": "boolean", "meta": "json",
}  # fmt: skip
"""The columns of `Row` in its order, with their types on PostgreSQL."""
SHARED = ("shopper_key", "session_id", "device", "is_bot", "is_qa", "received_at", "client_sent_at", "next_attempt_at")
CONSTANT = {"value": "1.0", "delivery": "'pending'", "attempts": "0"}
COLUMNS = ", ".join([*SHARED, *CONSTANT, *OWN])
ENDING = "ON CONFLICT (source_event_id) DO NOTHING RETURNING source_event_id"


def insert_new(rows: Sequence[Row], shared: Shared) -> set[str]:
    """Add `rows` to the log inside the caller's transaction; returns the ids that were new."""
    connection = db.session.connection()
    insert = _on_sqlite if connection.dialect.name == "sqlite" else _on_postgresql
    new: set[str] = set()
    for start in range(0, len(rows), ROWS_AT_ONCE):
        statement, values = insert(rows[start : start + ROWS_AT_ONCE], shared)
        new.update(connection.exec_driver_sql(statement, values).scalars())
    return new


def _on_sqlite(rows: Sequence[Row], shared: Shared) -> tuple[str, tuple[Any, ...]]:
    values = _shared_values(shared, _sqlite_moment)
    for row in rows:
        values += (
            row.source_event_id, row.type, row.item_id, _sqlite_moment(row.occurred_at),
            _sqlite_moment(row.client_created_at), row.surface, row.widget, row.rank, row.request_id, row.recommended,
            json.dumps(row.meta),
        )  # fmt: skip
    return _sqlite_statement(len(rows)), tuple(values)


@cache
def _sqlite_statement(count: int) -> str:
    shared = ", ".join(f"?{place}" for place in range(1, len(SHARED) + 1))
    first = len(SHARED) + 1
    width = len(OWN)
    groups = [
        f"({shared}, {', '.join(CONSTANT.values())}, {', '.join(f'?{first + n * width + i}' for i in range(width))})"
        for n in range(count)
    ]
    return f"INSERT INTO tracked_event ({COLUMNS}) VALUES {', '.join(groups)} {ENDING}"  # noqa: S608 # nosec B608 - our own names


def _on_postgresql(rows: Sequence[Row], shared: Shared) -> tuple[str, tuple[Any, ...]]:
    documents = [
        {
            "source_event_id": row.source_event_id, "type": row.type, "item_id": row.item_id,
            "occurred_at": row.occurred_at.isoformat(), "client_created_at": row.client_created_at.isoformat(),
            "surface": row.surface, "widget": row.widget, "rank": row.rank, "request_id": row.request_id,
            "recommended": row.recommended, "meta": row.meta,
        }
        for row in rows
    ]  # fmt: skip
    return _postgresql_statement(), (*_shared_values(shared, lambda moment: moment), json.dumps(documents))


@cache
def _postgresql_statement() -> str:
    shared = ", ".join("%s" for _ in SHARED)
    own = ", ".join(f"r.{name}" for name in OWN)
    typed = ", ".join(f"{name} {kind}" for name, kind in OWN.items())
    return (
        f"INSERT INTO tracked_event ({COLUMNS}) SELECT {shared}, {', '.join(CONSTANT.values())}, {own} "  # noqa: S608 # nosec B608 - our own names
        f"FROM json_to_recordset(%s) AS r({typed}) {ENDING}"
    )


def _shared_values(shared: Shared, moment: Callable[[datetime], Any]) -> list[Any]:
    """In the order of `SHARED`. A new event is due when it was received."""
    received = moment(shared.received_at)
    return [
        shared.shopper_key, shared.session_id, shared.device, shared.is_bot, shared.is_qa, received,
        moment(shared.client_sent_at), received,
    ]  # fmt: skip


def _sqlite_moment(moment: datetime) -> str:
    """As `UtcDateTime` stores it there: UTC without a zone, always with microseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
