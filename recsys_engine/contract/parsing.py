"""Request bodies → dataclasses, on the server's side. Every refusal names the field."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from marshmallow import Schema, ValidationError

from recsys_engine.contract.checks import Problem, is_valid_id
from recsys_engine.contract.entities import Event, EventTypeConfig, Item, User
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.limits import (
    DEFAULT_K,
    EMBEDDING_DIM,
    MAX_CONTEXT_ITEMS,
    MAX_ID_CHARS,
    MAX_ITEMS_PER_CALL,
    MAX_K,
    MAX_USERS_PER_CALL,
)
from recsys_engine.contract.requests import (
    NO_CONSTRAINTS,
    NO_OVERRIDES,
    Blend,
    Constraints,
    Context,
    DeleteFilter,
    Overrides,
    RecommendRequest,
    RerankCandidate,
)
from recsys_engine.contract.responses import EventRejection
from recsys_engine.contract.schemas import (
    DeleteSchema,
    EventTypesBodySchema,
    ForgetSchema,
    ItemSchema,
    RecommendSchema,
    RerankSchema,
    UserSchema,
    first_problem,
)

Body = Mapping[str, Any]
_INTEGER_OVERRIDES = ("popularity_fanout", "brand_cap", "category_cap", "profile_top_n")
_CONTEXT_LISTS = ("cart_item_ids", "session_item_ids")
_PLAIN_TEXTS = ("namespace", "user_id", "surface")
_PLAIN_NAMES = frozenset({*_PLAIN_TEXTS, "k", "context"})
_WHOLE_OR_NONE = frozenset({int, type(None)})
_OBJECT_OR_NONE = frozenset({dict, type(None)})


def load(schema: type[Schema], body: Any, index: int | None = None) -> dict[str, Any]:
    """Load a body; raises ``ContractError`` naming the first bad field (and the element of a batch)."""
    try:
        return dict(_schema(schema).load(body))
    except ValidationError as error:
        path, message = first_problem(error)
        details: dict[str, Any] = {"field": path, "expected": message}
        if index is not None:
            details["index"] = index
        raise ContractError("invalid_json_type", f"{path or 'body'}: {message}", details) from error


@cache
def _schema(schema: type[Schema]) -> Schema:
    return schema()


def parse_items(body: Body) -> list[Item]:
    """The items of an upsert."""
    found = _elements(body, "items", MAX_ITEMS_PER_CALL)
    return [_item(element, index) for index, element in enumerate(found)]


def _item(element: Any, index: int) -> Item:
    if isinstance(element, Mapping) and isinstance(element.get("embedding"), list):
        _check_dimension(element["embedding"], index)
        if not element["embedding"]:
            element = {name: value for name, value in element.items() if name != "embedding"}
    values = load(ItemSchema, element, index)
    for name in ("tags", "category_path", "embedding"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    return Item(**values)


def _check_dimension(embedding: list[Any], index: int) -> None:
    if embedding and len(embedding) != EMBEDDING_DIM:
        details = {"index": index, "got": len(embedding), "expected": EMBEDDING_DIM}
        raise ContractError("embedding_dim_mismatch", f"embedding must hold {EMBEDDING_DIM} numbers", details)


def parse_users(body: Body) -> list[User]:
    """The users of an upsert."""
    found = _elements(body, "users", MAX_USERS_PER_CALL)
    return [User(**load(UserSchema, element, index)) for index, element in enumerate(found)]


def parse_events(elements: Sequence[Any]) -> tuple[list[tuple[int, Event]], list[EventRejection]]:
    """Events that can be read, with their place, and a refusal for each that cannot.

    Written by hand because events come in thousands; a test holds it against ``EventSchema``.
    """
    good: list[tuple[int, Event]] = []
    bad: list[EventRejection] = []
    for index, element in enumerate(elements):
        event = parse_event(element)
        if isinstance(event, Event):
            good.append((index, event))
        else:
            source = element.get("source_event_id") if isinstance(element, Mapping) else None
            source = source if is_valid_id(source) else None
            bad.append(EventRejection(index, event.code, event.message, source, event.path))
    return good, bad


def parse_event(element: Any) -> Event | Problem:
    """One event, or what is wrong with its shape. Values are judged later by ``checks.event_problem``."""
    if not isinstance(element, Mapping):
        return Problem("invalid_json_type", "an event must be an object", "")
    get = element.get
    user_id, item_id, type_, value = get("user_id"), get("item_id"), get("type"), get("value")
    if not isinstance(user_id, str):
        return Problem("invalid_user_id", "user_id must be text", "user_id")
    if item_id is not None and not isinstance(item_id, str):
        return Problem("invalid_item_id", "item_id must be text", "item_id")
    if not isinstance(type_, int) or isinstance(type_, bool):
        return Problem("invalid_type", "type must be an integer", "type")
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return Problem("invalid_value", "value must be a number", "value")
    ts, meta, source = get("ts"), get("meta"), get("source_event_id")
    moment = _moment_or_none(ts) if ts else None
    if ts and moment is None:
        return Problem("invalid_timestamp", "ts must be RFC 3339 with a zone", "ts")
    if meta is not None and not isinstance(meta, Mapping):
        return Problem("invalid_meta", "meta must be an object", "meta")
    if source is not None and not isinstance(source, str):
        return Problem("invalid_source_event_id", "source_event_id must be text", "source_event_id")
    return Event(user_id, item_id or "", type_, 1.0 if value is None else value, moment, meta or {}, source or None)


def parse_moment(value: Any, code: str, name: str) -> datetime | None:
    """An RFC 3339 moment; empty means None. Raises ``ContractError(code)`` otherwise."""
    if value in {None, ""}:
        return None
    moment = _moment_or_none(value)
    if moment is None:
        raise ContractError(code, f"{name} must be RFC 3339 with a zone", {"field": name, "value": str(value)[:100]})
    return moment


def _moment_or_none(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except OverflowError:
        return None


def parse_recommend(body: Body, request_id: str | None = None) -> RecommendRequest:
    """A recommendation request under an id.

    A plain body, as nearly all are, is read as it stands; a test holds that against ``RecommendSchema``.
    """
    return _request(body if is_plain_request(body) else load(RecommendSchema, body), request_id)


def is_plain_request(body: Body) -> bool:
    """Is there nothing in the body that the schema would change or refuse? False does not mean there is."""
    if not body.keys() <= _PLAIN_NAMES:
        return False
    for name in _PLAIN_TEXTS:
        text = body.get(name)
        if text is not None and (type(text) is not str or len(text) > MAX_ID_CHARS):
            return False
    return type(body.get("k")) in _WHOLE_OR_NONE and type(body.get("context")) in _OBJECT_OR_NONE


def parse_rerank(body: Body) -> tuple[RecommendRequest, list[RerankCandidate]]:
    """A rerank request: without ``k``, as many as items are given."""
    if not body.get("items"):
        raise ContractError("empty_items", "items must not be empty", {"field": "items"})
    values = load(RerankSchema, body)
    given = [RerankCandidate(one["item_id"].strip(), one.get("score") or 0.0) for one in values["items"]]
    distinct = list({candidate.item_id: candidate for candidate in reversed(given) if candidate.item_id}.values())[::-1]
    if not distinct:
        raise ContractError("invalid_items", "no item has an id", {"field": "items"})
    if values.get("k") is None:
        values["k"] = min(len(distinct), MAX_K)
    return _request(values), distinct


def _request(values: Mapping[str, Any], request_id: str | None = None) -> RecommendRequest:
    context = values.get("context") or {}
    k = values.get("k")
    return RecommendRequest(
        user_id=values.get("user_id") or None,
        k=DEFAULT_K if k is None else k,
        context=_context(context, values.get("surface")),
        constraints=_constraints(values["constraints"]) if values.get("constraints") else NO_CONSTRAINTS,
        blend=Blend(**values["blend"]) if values.get("blend") else None,
        overrides=_overrides(values["overrides"]) if values.get("overrides") else NO_OVERRIDES,
        include_reasons=bool(values.get("include_reasons")),
        explain_level=values.get("explain_level") or "tags",
        request_id=request_id,
    )


def _context(context: Mapping[str, Any], surface: str | None) -> Context:
    for name in _CONTEXT_LISTS:
        _check_ids(context.get(name), f"context.{name}")
    for name in ("surface", "item_id", "session_id"):
        if context.get(name) is not None and not isinstance(context[name], str):
            raise _wrong_type(f"context.{name}", "text")
    return Context(
        surface=context.get("surface") or surface or "default",
        item_id=context.get("item_id") or None,
        cart_item_ids=tuple(context.get("cart_item_ids") or ()),
        session_item_ids=tuple(context.get("session_item_ids") or ()),
        session_id=context.get("session_id") or None,
        extra=context,
    )


def _check_ids(ids: Any, name: str) -> None:
    if ids is None:
        return
    if not isinstance(ids, list) or not all(isinstance(item_id, str) for item_id in ids):
        raise _wrong_type(name, "a list of texts")
    if len(ids) > MAX_CONTEXT_ITEMS:
        raise ContractError(
            "too_many_ids", f"{name} may hold {MAX_CONTEXT_ITEMS} ids", {"field": name, "max": MAX_CONTEXT_ITEMS}
        )


def _constraints(values: Mapping[str, Any]) -> Constraints:
    between = values.get("price_between")
    ends = None if between is None else (between[0], between[1] if len(between) > 1 else None)
    return Constraints(
        include_tags_any=tuple(values.get("include_tags_any") or ()),
        exclude_tags_any=tuple(values.get("exclude_tags_any") or ()),
        exclude_item_ids=tuple(values.get("exclude_item_ids") or ()),
        price_between=ends,
        created_after=parse_moment(values.get("created_after"), "invalid_created_after", "constraints.created_after"),
    )


def _overrides(values: Mapping[str, Any]) -> Overrides:
    whole = {name: int(values[name]) for name in _INTEGER_OVERRIDES if values.get(name) is not None}
    return Overrides(**{**values, **whole})


def parse_event_types(body: Body) -> list[EventTypeConfig]:
    """Event type settings."""
    found = load(EventTypesBodySchema, body)["types"]
    return [
        EventTypeConfig(one["type"], one["weight"], one.get("name"), one.get("half_life_days"), one.get("is_active"))
        for one in found
    ]


def parse_filter(body: Body) -> DeleteFilter:
    """A deletion filter; empty texts count as absent."""
    values = load(DeleteSchema, body)
    return DeleteFilter(
        values.get("user_id") or None,
        values.get("item_id") or None,
        values.get("event_type"),
        parse_moment(values.get("created_after"), "invalid_created_after", "created_after"),
        parse_moment(values.get("created_before"), "invalid_created_before", "created_before"),
        values["confirm_all"],
    )


def parse_user_ids(body: Body) -> list[str]:
    """The people to forget."""
    ids: list[str] = load(ForgetSchema, body)["user_ids"]
    return ids


def _elements(body: Body, name: str, most: int) -> Sequence[Any]:
    found = body.get(name)
    if found is None:
        return ()
    if not isinstance(found, list):
        raise _wrong_type(name, "a list")
    if len(found) > most:
        raise ContractError(f"too_many_{name}", f"at most {most} {name} a call", {"max": most, "got": len(found)})
    return found


def _wrong_type(name: str, expected: str) -> ContractError:
    return ContractError("invalid_json_type", f"{name} must be {expected}", {"field": name, "expected": expected})
