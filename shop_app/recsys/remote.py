"""The gateway to a recommender server over HTTP: ours, or any server that speaks the base API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from recsys_engine.contract import (
    BatchResult,
    ContractError,
    DeleteFilter,
    DeleteResult,
    Event,
    EventsResult,
    EventTypeConfig,
    ForgetResult,
    Health,
    Item,
    Page,
    PageQuery,
    Recommendations,
    RecommendRequest,
    RerankCandidate,
    SimilarItems,
    StoredItem,
    StoredUser,
    User,
)
from recsys_engine.contract.checks import check_request, is_valid_id
from recsys_engine.contract.decoding import (
    event_from,
    event_type_from,
    events_result_from,
    page_from,
    recommendations_from,
    scored_from,
    stored_item_from,
    stored_user_from,
)
from recsys_engine.contract.encoding import (
    candidates_json,
    event_json,
    event_type_json,
    filter_json,
    item_json,
    moment_text,
    request_json,
    user_json,
)
from recsys_engine.contract.limits import (
    MAX_EVENTS_PER_CALL,
    MAX_ITEMS_PER_CALL,
    MAX_K,
    MAX_PAGE,
    MAX_USERS_PER_CALL,
)
from shop_app.recsys import base_server, deadline
from shop_app.recsys.gateway import RecsysRejected
from shop_app.recsys.remote_control import RemoteControl, readable
from shop_app.recsys.wire import Wire


class ServerKind(StrEnum):
    """Which server answers. It is a setting: the gateway never finds out by itself."""

    OURS = "ours"
    BASE = "base"


class RemoteGateway:
    """``RecsysGateway`` over HTTP.

    With ``ServerKind.BASE`` requests are rewritten so that the base server's known traps do no harm, and what that
    server cannot do is rejected here instead of being ignored there (see ``base_server``).
    """

    def __init__(
        self,
        base_url: str,
        org_id: str,
        namespace: str,
        api_key: str | None = None,
        timeout_s: float = 2.0,
        *,
        connect_timeout_s: float = 0.5,
        retries: int = 1,
        server: ServerKind | str = ServerKind.OURS,
    ) -> None:
        headers = {"X-Org-ID": org_id, "Accept": "application/json", "User-Agent": "recsys-shop"}
        if api_key:
            headers["X-API-Key"] = api_key
        self._namespace = namespace
        self._is_base = ServerKind(server) is ServerKind.BASE
        self._wire = Wire(base_url, headers, timeout_s=timeout_s, connect_timeout_s=connect_timeout_s, retries=retries)
        self.control = RemoteControl(self._wire, namespace, is_base=self._is_base)

    def upsert_items(self, items: Sequence[Item]) -> BatchResult:
        _check_size(items, MAX_ITEMS_PER_CALL, "items")
        if self._is_base:
            items = [base_server.whole_item(item) for item in items]
        self._post("/v1/items:upsert", {"items": [item_json(item) for item in items]})
        return BatchResult(len(items))

    def upsert_users(self, users: Sequence[User]) -> BatchResult:
        _check_size(users, MAX_USERS_PER_CALL, "users")
        if self._is_base:
            users = [base_server.whole_user(user) for user in users]
        self._post("/v1/users:upsert", {"users": [user_json(user) for user in users]})
        return BatchResult(len(users))

    def send_events(self, events: Sequence[Event]) -> EventsResult:
        _check_size(events, MAX_EVENTS_PER_CALL, "events")
        if not events:
            return EventsResult(0)
        repeatable = all(event.source_event_id for event in events)
        body = {"events": [event_json(event) for event in events]}
        try:
            answer = self._post("/v1/events:batch", body, is_repeatable=repeatable)
        except RecsysRejected as error:
            verdict = error.details.get("rejected")
            if verdict is None:
                raise
            return events_result_from({"accepted": 0, "rejected": verdict}, len(events))
        with readable():
            return events_result_from(answer or {}, len(events))

    def recommend(self, request: RecommendRequest) -> Recommendations:
        return self._ranked("/v1/recommendations", request, {})

    def rerank(self, request: RecommendRequest, candidates: Sequence[RerankCandidate]) -> Recommendations:
        return self._ranked("/v1/rerank", request, {"items": candidates_json(candidates)})

    def _ranked(self, path: str, request: RecommendRequest, more: Mapping[str, Any]) -> Recommendations:
        _check(lambda: check_request(request))
        if self._is_base:
            request = base_server.understood(request)
        body = base_server.request_json(request) if self._is_base else request_json(request)
        request_id = request.request_id or str(uuid4())
        answer = self._post(path, {**body, **more}, request_id=request_id)
        with readable():
            return recommendations_from(answer, request_id)

    def similar(self, item_id: str, k: int) -> SimilarItems:
        if not is_valid_id(item_id) or not 1 <= k <= MAX_K:
            raise RecsysRejected("invalid_item_id", "item_id or k is out of range", {"item_id": item_id, "k": k}, 400)
        query = {"namespace": self._namespace, "k": k}
        reply = self._wire.call("GET", f"/v1/items/{quote(item_id, safe='')}/similar", query=query)
        with readable():
            return SimilarItems(reply.request_id or str(uuid4()), scored_from(reply.body))

    def list_items(self, query: PageQuery) -> Page[StoredItem]:
        return self._page("/v1/items", query, stored_item_from)

    def list_users(self, query: PageQuery) -> Page[StoredUser]:
        return self._page("/v1/users", query, stored_user_from)

    def list_events(self, query: PageQuery) -> Page[Event]:
        return self._page("/v1/events", query, event_from)

    def _page(self, path: str, query: PageQuery, row_from: Callable[[Mapping[str, Any]], Any]) -> Page[Any]:
        if not 1 <= query.limit <= MAX_PAGE or query.offset < 0:
            raise RecsysRejected("invalid_limit", f"limit must be 1-{MAX_PAGE}", {"max": MAX_PAGE}, 400)
        if self._is_base and query.cursor:
            raise RecsysRejected("unsupported", "this server knows no cursors", {"field": "cursor"})
        answer = self._wire.call("GET", path, query={"namespace": self._namespace, **_page_params(query)}).body
        with readable():
            return page_from(answer, row_from)

    def delete_items(self, which: DeleteFilter) -> DeleteResult:
        return self._delete("/v1/items:delete", replace(which, user_id=None, event_type=None))

    def delete_users(self, which: DeleteFilter) -> DeleteResult:
        return self._delete("/v1/users:delete", replace(which, item_id=None, event_type=None))

    def delete_events(self, which: DeleteFilter) -> DeleteResult:
        return self._delete("/v1/events:delete", which)

    def _delete(self, path: str, which: DeleteFilter) -> DeleteResult:
        """An empty filter would empty the namespace: it never leaves without ``confirm_all``."""
        if which.is_empty and not which.confirm_all:
            message = "an empty filter deletes everything: send confirm_all"
            raise RecsysRejected("empty_filter", message, {"field": "filter"}, 400)
        answer = self._post(path, filter_json(which))
        with readable():
            return DeleteResult(int(answer["deleted_count"]), str(answer.get("message", "")))

    def forget_users(self, user_ids: Sequence[str]) -> ForgetResult:
        if self._is_base:
            return self._forget_one_by_one(user_ids)
        answer = self._post("/v1/users:forget", {"user_ids": list(user_ids)})
        with readable():
            counts = [int(answer[name]) for name in ("users", "events", "decisions", "bandit_contexts")]
            return ForgetResult(*counts)

    def _forget_one_by_one(self, user_ids: Sequence[str]) -> ForgetResult:
        """The base server has no such verb: delete the rows it can delete; its decisions stay until they expire."""
        users = events = 0
        for user_id in filter(None, user_ids):
            which = DeleteFilter(user_id=user_id)
            events += self.delete_events(which).deleted_count
            users += self.delete_users(which).deleted_count
        return ForgetResult(users, events, 0, 0)

    def event_types(self) -> tuple[EventTypeConfig, ...]:
        answer = self._wire.call("GET", "/v1/event-types", query={"namespace": self._namespace}).body
        with readable():
            found = {row["type"]: event_type_from(row) for row in answer}
        return tuple(found[type_] for type_ in sorted(found))

    def put_event_types(self, types: Sequence[EventTypeConfig]) -> None:
        self._post("/v1/event-types:upsert", {"types": [event_type_json(config) for config in types]})

    def health(self) -> Health:
        return self._probe("/health")

    def ready(self) -> Health:
        if self._is_base:  # it has no readiness route; this one touches its database
            self.event_types()
            return Health("ok")
        return self._probe("/readyz")

    def _probe(self, path: str) -> Health:
        answer = self._wire.call("GET", path).body
        with readable():
            failing = tuple(answer.get("failing") or ())
            return Health(str(answer["status"]), failing, answer.get("details") or {})

    @staticmethod
    def moved_bytes() -> int:
        """What this thread has sent and received over the network so far."""
        return deadline.moved_bytes()

    def close(self) -> None:
        """Close the pooled connections."""
        self._wire.close()

    def _post(
        self, path: str, body: Mapping[str, Any], *, is_repeatable: bool = True, request_id: str | None = None
    ) -> Any:
        whole = {"namespace": self._namespace, **body}
        return self._wire.call("POST", path, body=whole, is_repeatable=is_repeatable, request_id=request_id).body


def _page_params(query: PageQuery) -> dict[str, Any]:
    given: dict[str, Any] = {"limit": query.limit, "offset": query.offset}
    for name in ("cursor", "user_id", "item_id", "event_type"):
        if getattr(query, name) is not None:
            given[name] = getattr(query, name)
    for name in ("created_after", "created_before"):
        if getattr(query, name) is not None:
            given[name] = moment_text(getattr(query, name))
    return given


def _check_size(batch: Sequence[Any], most: int, name: str) -> None:
    if len(batch) > most:
        raise RecsysRejected(f"too_many_{name}", f"at most {most} {name} a call", {"max": most}, 413)


def _check(verify: Callable[[], None]) -> None:
    try:
        verify()
    except ContractError as error:
        raise RecsysRejected(error.code, error.message, error.details, error.status) from error
