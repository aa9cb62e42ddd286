"""Answers → dataclasses, on the client's side. Accepts our server and the base server.

Raises ``ValueError``, ``KeyError`` or ``TypeError`` for a body that is not of the contract; the caller maps them.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from recsys_engine.contract.entities import Event, EventTypeConfig, Item, StoredItem, StoredUser, User
from recsys_engine.contract.responses import (
    EventRejection,
    EventsResult,
    Page,
    Recommendations,
    ScoredItem,
)

Json = Mapping[str, Any]


def recommendations_from(body: Json, request_id: str) -> Recommendations:
    """A list; ``request_id`` is the caller's own, used when the server sends none (the base server)."""
    return Recommendations(
        str(body.get("request_id") or request_id),
        str(body.get("model_version", "")),
        scored_from(body.get("items") or []),
        body.get("segment_id"),
        body.get("profile_id"),
        body.get("trace"),
    )


def scored_from(rows: list[Json]) -> tuple[ScoredItem, ...]:
    """Places in the order sent; rows without an item (a base server fault) are left out before ranking."""
    kept = [row for row in rows if row.get("item_id")]
    return tuple(
        ScoredItem(
            row["item_id"],
            float(row["score"]),
            int(row.get("rank") or place),
            tuple(row.get("reasons") or ()),
            row.get("explain"),
        )
        for place, row in enumerate(kept, 1)
    )


def events_result_from(body: Json, sent: int) -> EventsResult:
    """The verdict; a server that only says "accepted" (the base) accepted all that was sent."""
    if "accepted" not in body:
        return EventsResult(sent)
    rejected = tuple(
        EventRejection(
            int(one["index"]),
            str(one["code"]),
            str(one.get("message", "")),
            one.get("source_event_id"),
            one.get("path"),
        )
        for one in body.get("rejected") or []
    )
    return EventsResult(int(body["accepted"]), int(body.get("duplicates", 0)), rejected)


def page_from(body: Json, row_from: Any) -> Page[Any]:
    """A page of rows."""
    return Page(
        tuple(row_from(row) for row in body.get("items") or []),
        int(body["total"]),
        int(body["limit"]),
        int(body["offset"]),
        bool(body["has_more"]),
        body.get("next_offset"),
        body.get("next_cursor"),
    )


def stored_item_from(row: Json) -> StoredItem:
    """An item row."""
    item = Item(
        item_id=row["item_id"],
        available=bool(row["available"]),
        price=None if row.get("price") is None else float(row["price"]),
        tags=tuple(row.get("tags") or ()),
        props=_object(row.get("props")),
        embedding=None,
        brand=row.get("brand"),
        category=row.get("category"),
        category_path=tuple(row.get("category_path") or ()),
        description=row.get("description"),
        image_url=row.get("image_url"),
        metadata_version=row.get("metadata_version"),
    )
    return StoredItem(item, moment_from(row["created_at"]), moment_from(row["updated_at"]))


def stored_user_from(row: Json) -> StoredUser:
    """A user row."""
    user = User(row["user_id"], _object(row.get("traits")))
    return StoredUser(user, moment_from(row["created_at"]), moment_from(row["updated_at"]))


def event_from(row: Json) -> Event:
    """An event row."""
    return Event(
        row["user_id"],
        row.get("item_id") or "",
        int(row["type"]),
        float(row["value"]),
        moment_from(row["ts"]),
        _object(row.get("meta")),
        row.get("source_event_id"),
    )


def event_type_from(row: Json) -> EventTypeConfig:
    """An event type's settings."""
    return EventTypeConfig(
        int(row["type"]),
        float(row["weight"]),
        row.get("name"),
        row.get("half_life_days"),
        bool(row.get("is_active", True)),
        row.get("source", "tenant"),
    )


def moment_from(text: str) -> datetime:
    """An aware moment from RFC 3339."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return moment


def _object(value: Any) -> dict[str, Any]:
    """A JSON object, or JSON text holding one (the base server)."""
    if isinstance(value, str):
        value = json.loads(value) if value else {}
    return dict(value or {})
