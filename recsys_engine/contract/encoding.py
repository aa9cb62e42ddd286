"""Dataclasses → JSON objects: requests on the client's side, answers on the server's."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

from recsys_engine.contract.entities import UNSET, Event, EventTypeConfig, Item, StoredItem, StoredUser, User
from recsys_engine.contract.requests import (
    NO_CONSTRAINTS,
    NO_OVERRIDES,
    DeleteFilter,
    RecommendRequest,
    RerankCandidate,
)
from recsys_engine.contract.responses import EventsResult, Page, Recommendations, ScoredItem

Json = dict[str, Any]
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def item_json(item: Item) -> Json:
    """An item without the fields left out."""
    body = {name: getattr(item, name) for name in Item.__slots__ if getattr(item, name) is not UNSET}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in body.items()}


def user_json(user: User) -> Json:
    """A user without the fields left out."""
    return {"user_id": user.user_id} if user.traits is UNSET else {"user_id": user.user_id, "traits": user.traits}


def event_json(event: Event) -> Json:
    """An event; absent fields stay away."""
    body: Json = {"user_id": event.user_id, "type": int(event.type), "value": event.value}
    if event.item_id:
        body["item_id"] = event.item_id
    if event.ts is not None:
        body["ts"] = moment_text(event.ts)
    if event.meta:
        body["meta"] = event.meta
    if event.source_event_id is not None:
        body["source_event_id"] = event.source_event_id
    return body


def request_json(request: RecommendRequest) -> Json:
    """A recommendation request; defaults stay away."""
    body: Json = {"k": request.k, "context": _context_json(request)}
    if request.user_id:
        body["user_id"] = request.user_id
    constraints = _constraints_json(request)
    if constraints:
        body["constraints"] = constraints
    if request.blend is not None:
        body["blend"] = {"pop": request.blend.pop, "cooc": request.blend.cooc, "als": request.blend.als}
    overrides = {} if request.overrides is NO_OVERRIDES else _given(request.overrides)
    if overrides:
        body["overrides"] = overrides
    if request.include_reasons:
        body["include_reasons"] = True
    if request.explain_level != "tags":
        body["explain_level"] = request.explain_level
    return body


def _context_json(request: RecommendRequest) -> Json:
    context = request.context
    body: Json = {**context.extra, "surface": context.surface}
    for name in ("item_id", "session_id"):
        if getattr(context, name):
            body[name] = getattr(context, name)
    for name in ("cart_item_ids", "session_item_ids"):
        if getattr(context, name):
            body[name] = list(getattr(context, name))
    return body


def _constraints_json(request: RecommendRequest) -> Json:
    constraints = request.constraints
    if constraints is NO_CONSTRAINTS:
        return {}
    body: Json = {
        name: list(getattr(constraints, name))
        for name in ("include_tags_any", "exclude_tags_any", "exclude_item_ids")
        if getattr(constraints, name)
    }
    if constraints.price_between is not None:
        body["price_between"] = list(constraints.price_between)
    if constraints.created_after is not None:
        body["created_after"] = moment_text(constraints.created_after)
    return body


def _given(values: Any) -> Json:
    return {
        field.name: getattr(values, field.name) for field in fields(values) if getattr(values, field.name) is not None
    }


def candidates_json(candidates: Iterable[RerankCandidate]) -> list[Json]:
    """Items to rerank."""
    return [{"item_id": candidate.item_id, "score": candidate.score} for candidate in candidates]


def filter_json(which: DeleteFilter) -> Json:
    """A deletion filter without what is absent."""
    body = {name: value for name, value in _given(which).items() if value not in {"", False}}
    return {name: moment_text(value) if isinstance(value, datetime) else value for name, value in body.items()}


def event_type_json(config: EventTypeConfig) -> Json:
    """An event type's settings."""
    return _given(config)


def scored_json(item: ScoredItem) -> Json:
    """One place of a list."""
    body: Json = {"item_id": item.item_id, "score": item.score, "rank": item.rank}
    if item.reasons:
        body["reasons"] = list(item.reasons)
    if item.explain is not None:
        body["explain"] = item.explain
    return body


def recommendations_json(answer: Recommendations) -> Json:
    """A list."""
    body: Json = {
        "request_id": answer.request_id,
        "model_version": answer.model_version,
        "items": [scored_json(item) for item in answer.items],
    }
    for name in ("segment_id", "profile_id", "trace"):
        if getattr(answer, name) is not None:
            body[name] = getattr(answer, name)
    return body


def json_text(body: Any) -> str:
    """Compact JSON. Raises ``ValueError`` for numbers that JSON does not know."""
    return _ENCODER.encode(body)


def recommendations_text(answer: Recommendations) -> str:
    """``recommendations_json`` as text, letter for letter; written by hand because lists leave in thousands."""
    items = ",".join(
        [
            f'{{"item_id":{encode_basestring(item_id)},"score":{score!r},"rank":{rank}}}'
            if explain is None and not reasons and isfinite(score)
            else _ENCODER.encode(scored_json(ScoredItem(item_id, score, rank, reasons, explain)))
            for item_id, score, rank, reasons, explain in answer.items
        ]
    )
    request_id, version = encode_basestring(answer.request_id), encode_basestring(answer.model_version)
    rest = [
        f',"{name}":{_ENCODER.encode(value)}'
        for name in ("segment_id", "profile_id", "trace")
        if (value := getattr(answer, name)) is not None
    ]
    return f'{{"request_id":{request_id},"model_version":{version},"items":[{items}]{"".join(rest)}}}'


def events_result_json(result: EventsResult) -> Json:
    """The verdict on a batch of events."""
    return {
        "status": "accepted",
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "rejected": [_given(refusal) for refusal in result.rejected],
    }


def page_json(page: Page[Any], row_json: Any) -> Json:
    """A page of rows."""
    body: Json = {
        "items": [row_json(row) for row in page.rows],
        "total": page.total,
        "limit": page.limit,
        "offset": page.offset,
        "has_more": page.has_more,
    }
    if page.next_offset is not None:
        body["next_offset"] = page.next_offset
    if page.next_cursor is not None:
        body["next_cursor"] = page.next_cursor
    return body


def stored_item_json(row: StoredItem) -> Json:
    """An item row; texts never set stay away."""
    body = {name: value for name, value in item_json(row.item).items() if value is not None and name != "embedding"}
    return {"price": row.item.price, **body, **_stamps(row)}


def stored_user_json(row: StoredUser) -> Json:
    """A user row."""
    return {"user_id": row.user.user_id, "traits": row.user.traits or {}, **_stamps(row)}


def stored_event_json(row: Event) -> Json:
    """An event row."""
    body: Mapping[str, Any] = {"item_id": "", "meta": {}, "source_event_id": None}
    return {**body, **event_json(row)}


def _stamps(row: StoredItem | StoredUser) -> Json:
    return {"created_at": moment_text(row.created_at), "updated_at": moment_text(row.updated_at)}
