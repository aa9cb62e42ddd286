"""The port to the recommender: one protocol, two implementations, two errors."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from recsys_engine.contract import (
    BatchResult,
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
from shop_app.recsys.control import RecsysControl


class RecsysError(Exception):
    """Root of what a gateway raises."""


class RecsysRejected(RecsysError):
    """The recommender refused the call; repeating it is pointless."""

    def __init__(
        self, code: str, message: str, details: Mapping[str, Any] | None = None, status: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.status = status


class RecsysUnavailable(RecsysError):
    """Timeout, network, overload or a fault on the other side; the same call may work later."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@runtime_checkable
class TakesHistory(Protocol):
    """A recommender that also takes past events in bulk: 50,000 a call, learned from all at once afterwards.

    The outcome is that of `send_events`, call for call; only the embedded engine offers it.
    """

    def append_history(self, events: Sequence[Event]) -> EventsResult:
        """Append past events, each judged alone. A repeat of a `source_event_id` counts as a duplicate."""


class RecsysGateway(Protocol):
    """Every verb raises ``RecsysRejected`` (never retry) or ``RecsysUnavailable`` (retry later).

    Organisation and namespace belong to the gateway and are not passed per call. The operator's verbs are ``control``.
    """

    @property
    def control(self) -> RecsysControl:
        """Rules, overrides, segments, configuration, bandit, audit."""

    def upsert_items(self, items: Sequence[Item]) -> BatchResult:
        """Insert or update up to 500 items; fields left out keep their stored value, ``None`` clears."""

    def upsert_users(self, users: Sequence[User]) -> BatchResult:
        """Insert or update up to 1000 users; traits left out keep their stored value, ``None`` clears."""

    def send_events(self, events: Sequence[Event]) -> EventsResult:
        """Append up to 1000 events, each judged alone. A repeat of a ``source_event_id`` counts as a duplicate."""

    def recommend(self, request: RecommendRequest) -> Recommendations:
        """A ranked list for a shopper and a surface."""

    def rerank(self, request: RecommendRequest, candidates: Sequence[RerankCandidate]) -> Recommendations:
        """Order the given items only; filters, rules and caps apply."""

    def similar(self, item_id: str, k: int) -> SimilarItems:
        """Available neighbours of one item; empty when the item is unknown."""

    def list_items(self, query: PageQuery) -> Page[StoredItem]:
        """Stored items, newest first."""

    def list_users(self, query: PageQuery) -> Page[StoredUser]:
        """Stored users, newest first."""

    def list_events(self, query: PageQuery) -> Page[Event]:
        """Stored events, newest first."""

    def delete_items(self, which: DeleteFilter) -> DeleteResult:
        """Delete items by id or age. An empty filter needs ``confirm_all``."""

    def delete_users(self, which: DeleteFilter) -> DeleteResult:
        """Delete users by id or age. An empty filter needs ``confirm_all``."""

    def delete_events(self, which: DeleteFilter) -> DeleteResult:
        """Delete events and their effect on ranking. An empty filter needs ``confirm_all``."""

    def forget_users(self, user_ids: Sequence[str]) -> ForgetResult:
        """Erase people: rows, events, decisions and their exact contribution to every signal."""

    def event_types(self) -> tuple[EventTypeConfig, ...]:
        """Effective weight and half-life of each event type, ordered by type."""

    def put_event_types(self, types: Sequence[EventTypeConfig]) -> None:
        """Set weights (> 0) and half-lives (> 0 days, None = default)."""

    def health(self) -> Health:
        """Is the process alive? Touches no database."""

    def ready(self) -> Health:
        """Can it answer now: database reachable, model loaded, event tail not lagging."""
