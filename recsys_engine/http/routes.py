"""The route table: path, role, schema and handler of every verb. OpenAPI is generated from the same table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Generic, TypeVar

from marshmallow import Schema

from recsys_engine.contract import answers, schemas
from recsys_engine.contract.answers import Json
from recsys_engine.contract.encoding import (
    event_type_json,
    events_result_json,
    page_json,
    recommendations_json,
    scored_json,
    stored_event_json,
    stored_item_json,
    stored_user_json,
)
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.limits import DEFAULT_K, DEFAULT_PAGE, MAX_EVENTS_PER_CALL, MAX_K, MAX_PAGE
from recsys_engine.contract.parsing import (
    parse_event_types,
    parse_events,
    parse_filter,
    parse_items,
    parse_moment,
    parse_recommend,
    parse_rerank,
    parse_user_ids,
    parse_users,
)
from recsys_engine.contract.requests import PageQuery
from recsys_engine.contract.responses import EventsResult
from recsys_engine.service import Engine

Body = TypeVar("Body")
DEFAULT_NAMESPACE = "default"
ACCEPTED: answers.Accepted = {"status": "accepted"}


@dataclass(frozen=True, slots=True)
class Call:
    """One parsed call. ``engine_of`` opens a namespace of the caller's organisation."""

    engine_of: Callable[[str], Engine]
    body: Mapping[str, Any]
    query: Mapping[str, str]
    path: Mapping[str, str]
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def engine(self) -> Engine:
        """The engine of the namespace in body or query; raises ``missing_namespace``."""
        return self.engine_of(self._namespace() or _missing_namespace())

    def engine_or_default(self) -> Engine:
        """As ``engine``, with ``default`` for an absent namespace."""
        return self.engine_of(self.namespace_or_default())

    def namespace_or_default(self) -> str:
        """The namespace of the call, ``default`` when absent."""
        return self._namespace() or DEFAULT_NAMESPACE

    def _namespace(self) -> str:
        value = self.body.get("namespace") or self.query.get("namespace") or ""
        if not isinstance(value, str):
            raise ContractError("invalid_json_type", "namespace must be text", {"field": "namespace"})
        return value


@dataclass(frozen=True, slots=True)
class Reply(Generic[Body]):
    """An answer with headers of its own."""

    body: Body
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """One verb of the contract. ``refuses``: error codes of its own, beside those of every verb and plain bad requests.

    What the handler says it returns is what the OpenAPI document says is answered.
    """

    method: str
    path: str
    handler: Callable[[Call], Any]
    role: str
    summary: str
    body: type[Schema] | None = None
    status: int = 200
    query: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()


def _missing_namespace() -> str:
    raise ContractError("missing_namespace", "namespace is required", {"field": "namespace"})


def upsert_items(call: Call) -> answers.Accepted:
    call.engine().upsert_items(parse_items(call.body))
    return ACCEPTED


def upsert_users(call: Call) -> answers.Accepted:
    call.engine().upsert_users(parse_users(call.body))
    return ACCEPTED


def send_events(call: Call) -> Annotated[Json, answers.EventsVerdict]:
    """Each event is judged alone; only a batch without one valid event is a 400."""
    engine = call.engine()
    elements = call.body.get("events") or []
    if not isinstance(elements, list):
        raise ContractError("invalid_json_type", "events must be a list", {"field": "events"})
    if len(elements) > MAX_EVENTS_PER_CALL:
        details = {"max": MAX_EVENTS_PER_CALL, "got": len(elements)}
        raise ContractError("too_many_events", f"at most {MAX_EVENTS_PER_CALL} events a call", details)
    readable, refused = parse_events(elements)
    result = engine.send_events([event for _, event in readable])
    places = [index for index, _ in readable]
    judged = [_moved(refusal, places) for refusal in result.rejected]
    rejected = tuple(sorted((*refused, *judged), key=lambda refusal: refusal.index))
    body = events_result_json(EventsResult(result.accepted, result.duplicates, rejected))
    if rejected and not result.accepted and not result.duplicates:
        details = {**body["rejected"][0], "rejected": body["rejected"]}
        raise ContractError(rejected[0].code, rejected[0].message, details)
    return body


def _moved(refusal: Any, places: list[int]) -> Any:
    return replace(refusal, index=places[refusal.index])


def recommend(call: Call) -> Annotated[Json, answers.RankedList]:
    request = parse_recommend(call.body, call.request_id)
    return recommendations_json(call.engine_or_default().recommend(request))


def rerank(call: Call) -> Annotated[Json, answers.RankedList]:
    request, candidates = parse_rerank(call.body)
    return recommendations_json(call.engine_or_default().rerank(named(request, call), candidates))


def named(request: Any, call: Call) -> Any:
    """The request under the id of its HTTP call."""
    return replace(request, request_id=call.request_id)


def similar(call: Call) -> list[Annotated[Json, answers.ListedItem]]:
    k = _whole(call.query.get("k"), DEFAULT_K)
    answer = call.engine_or_default().similar(call.path["item_id"], k if 1 <= k <= MAX_K else DEFAULT_K)
    return [scored_json(item) for item in answer.items]


def list_items(call: Call) -> Annotated[Json, answers.ItemsPage]:
    return page_json(call.engine().archive.list_items(_page_query(call)), stored_item_json)


def list_users(call: Call) -> Annotated[Json, answers.UsersPage]:
    return page_json(call.engine().archive.list_users(_page_query(call)), stored_user_json)


def list_events(call: Call) -> Annotated[Json, answers.EventsPage]:
    return page_json(call.engine().archive.list_events(_page_query(call)), stored_event_json)


def _page_query(call: Call) -> PageQuery:
    query = call.query
    limit = _whole(query.get("limit"), DEFAULT_PAGE)
    event_type = query.get("event_type")
    return PageQuery(
        limit=limit if 1 <= limit <= MAX_PAGE else DEFAULT_PAGE,
        offset=min(max(_whole(query.get("offset"), 0), 0), 2**31),
        cursor=query.get("cursor") or None,
        user_id=query.get("user_id") or None,
        item_id=query.get("item_id") or None,
        event_type=_whole(event_type, -1) if event_type and _whole(event_type, -1) >= 0 else None,
        created_after=parse_moment(query.get("created_after"), "constraint_violation", "created_after"),
        created_before=parse_moment(query.get("created_before"), "constraint_violation", "created_before"),
    )


def _whole(value: str | None, default: int) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 12 else default


def delete_items(call: Call) -> answers.Deleted:
    return _deleted(call.engine().archive.delete_items(parse_filter(call.body)))


def delete_users(call: Call) -> answers.Deleted:
    return _deleted(call.engine().archive.delete_users(parse_filter(call.body)))


def delete_events(call: Call) -> answers.Deleted:
    return _deleted(call.engine().archive.delete_events(parse_filter(call.body)))


def _deleted(result: Any) -> dict[str, Any]:
    return {"deleted_count": result.deleted_count, "message": result.message}


def forget_users(call: Call) -> answers.Forgotten:
    result = call.engine().archive.forget_users(parse_user_ids(call.body))
    return {
        "users": result.users,
        "events": result.events,
        "decisions": result.decisions,
        "bandit_contexts": result.bandit_contexts,
    }


def event_types(call: Call) -> answers.EventTypes:
    return [event_type_json(config) for config in call.engine().event_types()]


def put_event_types(call: Call) -> answers.Accepted:
    call.engine().put_event_types(parse_event_types(call.body))
    return ACCEPTED


_BOUNDS = ("constraint_violation",)
"""A bound of time that is none."""
_LIST = ("limit", "offset", "cursor", "created_after", "created_before")

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/items:upsert",
        upsert_items,
        "ingest",
        "Insert or update items",
        schemas.ItemsBodySchema,
        202,
        refuses=("too_many_items",),
    ),
    Route(
        "POST",
        "/v1/users:upsert",
        upsert_users,
        "ingest",
        "Insert or update users",
        schemas.UsersBodySchema,
        202,
        refuses=("too_many_users",),
    ),
    Route(
        "POST",
        "/v1/events:batch",
        send_events,
        "ingest",
        "Append events",
        schemas.EventsBodySchema,
        202,
        refuses=("too_many_events", "id_conflict"),
    ),
    Route(
        "GET", "/v1/items", list_items, "admin", "List items", query=("namespace", "item_id", *_LIST), refuses=_BOUNDS
    ),
    Route(
        "GET", "/v1/users", list_users, "admin", "List users", query=("namespace", "user_id", *_LIST), refuses=_BOUNDS
    ),
    Route(
        "GET",
        "/v1/events",
        list_events,
        "admin",
        "List events",
        query=("namespace", "user_id", "item_id", "event_type", *_LIST),
        refuses=_BOUNDS,
    ),
    Route("POST", "/v1/items:delete", delete_items, "admin", "Delete items", schemas.DeleteSchema),
    Route("POST", "/v1/users:delete", delete_users, "admin", "Delete users", schemas.DeleteSchema),
    Route("POST", "/v1/events:delete", delete_events, "admin", "Delete events", schemas.DeleteSchema),
    Route("POST", "/v1/users:forget", forget_users, "admin", "Erase people", schemas.ForgetSchema),
    Route("POST", "/v1/recommendations", recommend, "serve", "A ranked list", schemas.RecommendSchema),
    Route("POST", "/v1/rerank", rerank, "serve", "Order given items", schemas.RerankSchema),
    Route(
        "GET",
        "/v1/items/<anything:item_id>/similar",
        similar,
        "serve",
        "Neighbours of an item",
        query=("namespace", "k"),
    ),
    Route("GET", "/v1/event-types", event_types, "serve", "Effective event types", query=("namespace",)),
    Route(
        "POST",
        "/v1/event-types:upsert",
        put_event_types,
        "admin",
        "Set event types",
        schemas.EventTypesBodySchema,
        202,
        refuses=("invalid_weight", "invalid_half_life"),
    ),
)
