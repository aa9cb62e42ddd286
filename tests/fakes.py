"""Stand-ins that behave: a recommender in memory that can be told to fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from recsys_engine.contract import (
    BatchResult,
    DeleteFilter,
    DeleteResult,
    Event,
    EventRejection,
    EventsResult,
    ForgetResult,
    Health,
    Item,
    Page,
    PageQuery,
    Recommendations,
    ScoredItem,
    SimilarItems,
    StoredItem,
    StoredUser,
    User,
)
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeGateway:
    """Keeps what it is sent and counts calls.

    `poison` source_event_ids are refused: one by one, or with `refuses_whole_batches` as the base server does.
    `trouble` is raised by every write while it is set. `lose_answer_after` commits and then times out, that many times.
    """

    poison: set[str] = field(default_factory=set)
    refusal: str = "invalid_value"
    refuses_whole_batches: bool = False
    trouble: Exception | None = None
    lose_answer_after: int = 0
    on_call: Callable[[], None] = lambda: None
    calls: int = 0
    items: dict[str, Item] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    received: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)

    def send_events(self, events: Sequence[Event]) -> EventsResult:
        self._write()
        bad = [i for i, event in enumerate(events) if event.source_event_id in self.poison]
        if bad and (self.refuses_whole_batches or len(bad) == len(events)):
            raise RecsysRejected(self.refusal, "bad event", {"field": "value"}, 400)
        fresh = 0
        for index, event in enumerate(events):
            if index not in bad:
                assert event.source_event_id
                self.received.append(event.source_event_id)
                fresh += event.source_event_id not in self.events
                self.events.setdefault(event.source_event_id, event)
        if self.lose_answer_after:
            self.lose_answer_after -= 1
            raise RecsysUnavailable("read timeout")
        rejected = tuple(EventRejection(i, self.refusal, "bad event", events[i].source_event_id, "value") for i in bad)
        return EventsResult(fresh, len(events) - fresh - len(bad), rejected)

    def upsert_items(self, items: Sequence[Item]) -> BatchResult:
        self._write()
        if any(item.item_id in self.poison for item in items):
            raise RecsysRejected("invalid_item", "bad item", {"field": "price"}, 400)
        self.items.update({item.item_id: item for item in items})
        return BatchResult(len(items))

    def upsert_users(self, users: Sequence[User]) -> BatchResult:
        self._write()
        self.users.update({user.user_id: user for user in users})
        return BatchResult(len(users))

    def recommend(self, request: Any) -> Recommendations:
        self.asked.append(request)
        found = self.lists.get(request.context.surface, tuple(self.items))[: request.k]
        return Recommendations("req-1", "fake", tuple(ScoredItem(sku, 1.0, rank) for rank, sku in enumerate(found, 1)))

    def similar(self, item_id: str, k: int) -> SimilarItems:
        others = [sku for sku in self.items if sku != item_id][:k]
        return SimilarItems("req-2", tuple(ScoredItem(sku, 1.0, rank) for rank, sku in enumerate(others, 1)))

    def list_events(self, query: PageQuery) -> Page[Event]:
        rows = [
            event
            for event in self.events.values()
            if (query.event_type is None or event.type == query.event_type)
            and (query.user_id is None or event.user_id == query.user_id)
        ]
        return _page(rows, query)

    def list_items(self, query: PageQuery) -> Page[Any]:
        return _page([StoredItem(item, EPOCH, EPOCH) for item in self.items.values()], query)

    def list_users(self, query: PageQuery) -> Page[Any]:
        if self.trouble:
            raise self.trouble
        found = [user for user in self.users.values() if query.user_id in (None, user.user_id)]
        return _page([StoredUser(user, EPOCH, EPOCH) for user in found], query)

    def delete_events(self, which: DeleteFilter) -> DeleteResult:
        assert which.confirm_all or not which.is_empty
        self._write()
        gone = [key for key, event in self.events.items() if _is_meant(event, which)]
        for key in gone:
            del self.events[key]
        if which.confirm_all:
            self.received.clear()
        return DeleteResult(len(gone))

    def forget_users(self, user_ids: Sequence[str]) -> ForgetResult:
        self._write()
        self.forgotten += user_ids
        events = [key for key, event in self.events.items() if event.user_id in user_ids]
        for key in events:
            del self.events[key]
        users = sum(self.users.pop(user_id, None) is not None for user_id in user_ids)
        return ForgetResult(users, len(events), 0, 0)

    def ready(self) -> Health:
        return Health("ok")

    def _write(self) -> None:
        self.calls += 1
        self.on_call()
        if self.trouble:
            raise self.trouble


def _is_meant(event: Event, which: DeleteFilter) -> bool:
    moment = event.ts or EPOCH
    return (
        which.user_id in (None, event.user_id)
        and which.item_id in (None, event.item_id)
        and which.event_type in (None, event.type)
        and (which.created_after or moment) <= moment <= (which.created_before or moment)
    )


def _page(rows: list[Any], query: PageQuery) -> Page[Any]:
    part = tuple(rows[query.offset : query.offset + query.limit])
    after = query.offset + len(part)
    has_more = after < len(rows)
    return Page(part, len(rows), query.limit, query.offset, has_more, after if has_more else None)


def without_time(event: Event) -> Event:
    """For comparing what an event says apart from when."""
    return replace(event, ts=None)
