"""The gateway to the engine in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from recsys_engine.contract import (
    BatchResult,
    ContractError,
    DeleteFilter,
    DeleteResult,
    EngineUnavailableError,
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
from recsys_engine.service import Database, Engine
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable


class EmbeddedGateway:
    """``RecsysGateway`` over an engine of our own database. Cheap to make: nothing opens before the first call.

    A process that only sends events never builds the model.
    """

    def __init__(
        self,
        url: str,
        org_id: str,
        namespace: str,
        clock: Callable[[], datetime],
        *,
        model_folder: Path | None = None,
    ) -> None:
        self._database = Database(url)
        self._engine = Engine(self._database, org_id, namespace, clock, model_folder=model_folder)
        self._has_tables = False

    def refit(self) -> bool:
        """Learn the ranking anew (minutes on a large log); false when there is nothing to learn from."""
        with self._open() as engine:
            return engine.refit()

    def refresh_model(self) -> None:
        """Pick up a ranking another process learned, now instead of within the next beat."""
        with self._open() as engine:
            engine.refresh_model()

    def upsert_items(self, items: Sequence[Item]) -> BatchResult:
        with self._open() as engine:
            return engine.upsert_items(items)

    def upsert_users(self, users: Sequence[User]) -> BatchResult:
        with self._open() as engine:
            return engine.upsert_users(users)

    def send_events(self, events: Sequence[Event]) -> EventsResult:
        with self._open() as engine:
            return engine.send_events(events)

    def recommend(self, request: RecommendRequest) -> Recommendations:
        with self._open() as engine:
            return engine.recommend(request)

    def rerank(self, request: RecommendRequest, candidates: Sequence[RerankCandidate]) -> Recommendations:
        with self._open() as engine:
            return engine.rerank(request, candidates)

    def similar(self, item_id: str, k: int) -> SimilarItems:
        with self._open() as engine:
            return engine.similar(item_id, k)

    def list_items(self, query: PageQuery) -> Page[StoredItem]:
        with self._open() as engine:
            return engine.list_items(query)

    def list_users(self, query: PageQuery) -> Page[StoredUser]:
        with self._open() as engine:
            return engine.list_users(query)

    def list_events(self, query: PageQuery) -> Page[Event]:
        with self._open() as engine:
            return engine.list_events(query)

    def delete_items(self, which: DeleteFilter) -> DeleteResult:
        with self._open() as engine:
            return engine.delete_items(which)

    def delete_users(self, which: DeleteFilter) -> DeleteResult:
        with self._open() as engine:
            return engine.delete_users(which)

    def delete_events(self, which: DeleteFilter) -> DeleteResult:
        with self._open() as engine:
            return engine.delete_events(which)

    def forget_users(self, user_ids: Sequence[str]) -> ForgetResult:
        with self._open() as engine:
            return engine.forget_users(user_ids)

    def event_types(self) -> tuple[EventTypeConfig, ...]:
        with self._open() as engine:
            return engine.event_types()

    def put_event_types(self, types: Sequence[EventTypeConfig]) -> None:
        with self._open() as engine:
            engine.put_event_types(types)

    def health(self) -> Health:
        return self._engine.health()

    def ready(self) -> Health:
        with self._open() as engine:
            return engine.ready()

    def close(self) -> None:
        """Write what is buffered and give the connections back."""
        with _told_apart():
            self._engine.close()
        self._database.close()

    @contextmanager
    def _open(self) -> Iterator[Engine]:
        with _told_apart():
            if not self._has_tables:
                self._database.create_tables()
                self._has_tables = True
            yield self._engine


@contextmanager
def _told_apart() -> Iterator[None]:
    """Map the engine's errors to the gateway's two."""
    try:
        yield
    except ContractError as error:
        raise RecsysRejected(error.code, error.message, error.details, error.status) from error
    except EngineUnavailableError as error:
        raise RecsysUnavailable(str(error), error.retry_after_s) from error
