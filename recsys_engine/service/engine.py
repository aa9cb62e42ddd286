"""The verbs of the contract for one organisation and namespace."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import Connection, Table, delete

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
from recsys_engine.contract.checks import check_event_type, check_item, check_request, check_user, is_valid_id
from recsys_engine.contract.limits import (
    MAX_EVENTS_PER_CALL,
    MAX_ITEMS_PER_CALL,
    MAX_K,
    MAX_PAGE,
    MAX_RERANK_ITEMS,
    MAX_USERS_PER_CALL,
)
from recsys_engine.contract.requests import Context
from recsys_engine.service.models import ModelFile
from recsys_engine.service.ranking import Ranking, Served
from recsys_engine.service.replica import Heartbeat, Replica
from recsys_engine.service.settings import (
    EVENT_TYPE,
    StoredSettings,
    counter_settings,
    event_types,
    settings_from,
    shortest_half_life_ms,
)
from recsys_engine.signals.ranking.from_state import lessons_from
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store import pages
from recsys_engine.store.database import Database, head, lock_head, move_head, tenant_id
from recsys_engine.store.decisions import Decision, forget_decisions, write_decisions
from recsys_engine.store.documents import all_documents, put_document
from recsys_engine.store.ingest import append_events, to_us, upsert_items, upsert_users
from recsys_engine.store.log import append_operation
from recsys_engine.store.tables import events, items, users

if TYPE_CHECKING:
    from recsys_engine.signals.learned import FittedModel

MAX_TAIL_LAG_S = 5.0
DECISION_BUFFER = 10_000
"""Decisions waiting for the background thread; beyond this the oldest are dropped. Events never wait here."""
_USER_HASH_SALT = "recsys"


class Engine:
    """One tenant of the recommender in this process. Thread-safe.

    Raises ``ContractError`` for what the caller did wrong and ``EngineUnavailableError`` when the database is away.
    """

    def __init__(
        self,
        database: Database,
        org_id: str,
        namespace: str,
        clock: Callable[[], datetime],
        *,
        decision_sample_rate: float = 1.0,
        model_folder: Path | None = None,
    ) -> None:
        self._database = database
        self._org_id = org_id
        self._namespace = namespace
        self._clock = clock
        self._decision_sample_rate = decision_sample_rate
        self._setup = threading.Lock()
        self._tenant: int | None = None
        self._replica: Replica | None = None
        self._stored = StoredSettings()
        self._model_folder = model_folder
        self._model_file: ModelFile | None = None
        self._model: FittedModel | None = None
        self._ranking: Ranking | None = None
        self._decisions: deque[Decision] = deque(maxlen=DECISION_BUFFER)
        self._heart = Heartbeat(self._beat)

    # -- ingestion -------------------------------------------------------------------------------------------------

    def upsert_items(self, batch: Sequence[Item]) -> BatchResult:
        """Insert or update items; the whole batch is checked before anything is written."""
        _check_size(batch, MAX_ITEMS_PER_CALL, "items")
        for index, item in enumerate(batch):
            check_item(item, index)
        if batch:
            with self._database.write() as connection:
                upsert_items(connection, self._tenant_of(connection), batch, self._clock())
            self._follow()
        return BatchResult(len(batch))

    def upsert_users(self, batch: Sequence[User]) -> BatchResult:
        """Insert or update users; the whole batch is checked before anything is written."""
        _check_size(batch, MAX_USERS_PER_CALL, "users")
        for index, user in enumerate(batch):
            check_user(user, index)
        if batch:
            with self._database.write() as connection:
                upsert_users(connection, self._tenant_of(connection), batch, self._clock())
            self._follow()
        return BatchResult(len(batch))

    def send_events(self, batch: Sequence[Event]) -> EventsResult:
        """Append events, each judged alone; this process's next list already knows them."""
        _check_size(batch, MAX_EVENTS_PER_CALL, "events")
        if not batch:
            return EventsResult(0)
        with self._database.write() as connection:
            tenant = self._tenant_of(connection)
            appended = append_events(
                connection, tenant, batch, self._clock(), shortest_half_life_ms(self._settings(connection))
            )
        if self._replica is not None:
            self._replica.applied(appended.before_seq, appended.epoch_ms, appended.rows)
        return appended.result

    # -- ranking ---------------------------------------------------------------------------------------------------

    def recommend(self, request: RecommendRequest) -> Recommendations:
        """A ranked list."""
        return self._serve(request, None).answer

    def rerank(self, request: RecommendRequest, candidates: Sequence[RerankCandidate]) -> Recommendations:
        """Order the given items only (rules may add theirs)."""
        _check_candidates(candidates)
        return self._serve(replace(request, k=min(request.k, max(len(candidates), 1))), candidates).answer

    def similar(self, item_id: str, k: int) -> SimilarItems:
        """Available neighbours of an item, best first; empty when it is unknown."""
        if not is_valid_id(item_id):
            raise ContractError("invalid_item_id", "item_id is not a valid identifier", {"field": "item_id"})
        with self._live().lock:
            known = item_id in self._live().state().catalog.index
        if not known:
            return SimilarItems(new_id(), ())
        request = RecommendRequest(k=k, context=Context("pdp.similar", item_id), include_reasons=True)
        answer = self._serve(request, None).answer
        return SimilarItems(answer.request_id, answer.items)

    def _serve(self, request: RecommendRequest, candidates: Sequence[RerankCandidate] | None) -> Served:
        check_request(request)
        replica = self._live()
        request_id = request.request_id or new_id()
        now = self._clock()
        with replica.lock:
            state = replica.state()
            if self._ranking is None:
                raise EngineUnavailableError("the model is loading", retry_after_s=1.0)
            served = self._ranking.recommend(request, request_id, self._stored, now.timestamp(), candidates=candidates)
            seq = state.seq
        if self._is_sampled(request_id):
            self._decisions.append(self._decision(request, served, now, seq))
        return served

    def _is_sampled(self, request_id: str) -> bool:
        if self._decision_sample_rate >= 1:
            return True
        return int(sha256(request_id.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF < self._decision_sample_rate

    def _decision(self, request: RecommendRequest, served: Served, now: datetime, seq: int) -> Decision:
        answer = served.answer
        body = {
            "k": request.k,
            "settings": self._stored.digest,
            "model_version": answer.model_version,
            "final_items": [
                {
                    "item_id": item.item_id,
                    "score": item.score,
                    "how": choice.how,
                    "propensity": choice.propensity,
                    "sources": served.outcome.sources(choice.row),
                }
                for item, choice in zip(answer.items, served.outcome.choices, strict=True)
            ],
        }
        user_hash = self.user_hash(request.user_id) if request.user_id else None
        return Decision(str(uuid4()), answer.request_id, to_us(now), request.context.surface, user_hash, seq, body)

    def user_hash(self, user_id: str) -> str:
        """How decisions name a user: SHA-256 of ``namespace:user_id:salt``."""
        return sha256(f"{self._namespace}:{user_id}:{_USER_HASH_SALT}".encode()).hexdigest()

    # -- data management -------------------------------------------------------------------------------------------

    def list_items(self, query: PageQuery) -> Page[StoredItem]:
        """Stored items, newest first."""
        with self._read() as connection:
            return pages.item_page(connection, self._tenant_of(connection), _bounded(query))

    def list_users(self, query: PageQuery) -> Page[StoredUser]:
        """Stored users, newest first."""
        with self._read() as connection:
            return pages.user_page(connection, self._tenant_of(connection), _bounded(query))

    def list_events(self, query: PageQuery) -> Page[Event]:
        """Stored events, newest first."""
        with self._read() as connection:
            return pages.event_page(connection, self._tenant_of(connection), _bounded(query))

    def delete_items(self, which: DeleteFilter) -> DeleteResult:
        """Delete items by id or age."""
        return self._delete(items, which, "item_id", "items_deleted")

    def delete_users(self, which: DeleteFilter) -> DeleteResult:
        """Delete users by id or age; their events stay (see ``forget_users``)."""
        return self._delete(users, which, "user_id", "users_deleted")

    def delete_events(self, which: DeleteFilter) -> DeleteResult:
        """Delete events and what they taught."""
        return self._delete(events, which, "user_id", "events_deleted")

    def _delete(self, table: Table, which: DeleteFilter, key: str, kind: str) -> DeleteResult:
        with self._database.write() as connection:
            tenant = self._tenant_of(connection)
            seq, _ = lock_head(connection, tenant)
            count, touched = pages.delete_rows(connection, table, tenant, which, key)
            payload = (
                {"ids": touched} if key == "item_id" else {"user_hashes": [self.user_hash(id_) for id_ in touched]}
            )
            append_operation(connection, tenant, seq + 1, kind, payload)
            move_head(connection, tenant, seq + 1)
        self._follow()
        return DeleteResult(count, f"{table.name.removeprefix('engine_').capitalize()} deleted successfully")

    def forget_users(self, user_ids: Sequence[str]) -> ForgetResult:
        """Erase people: rows, events, decisions and their exact contribution to every signal."""
        _check_size(user_ids, MAX_USERS_PER_CALL, "users")
        self.flush_decisions()
        with self._database.write() as connection:
            tenant = self._tenant_of(connection)
            seq, _ = lock_head(connection, tenant)
            gone = [_delete_people(connection, table, tenant, user_ids) for table in (users, events)]
            hashes = [self.user_hash(user_id) for user_id in user_ids]
            lists = forget_decisions(connection, tenant, hashes)
            append_operation(connection, tenant, seq + 1, "users_forgotten", {"user_hashes": hashes})
            move_head(connection, tenant, seq + 1)
        self._follow()
        return ForgetResult(users=gone[0], events=gone[1], decisions=lists, bandit_contexts=0)

    # -- settings --------------------------------------------------------------------------------------------------

    def event_types(self) -> tuple[EventTypeConfig, ...]:
        """Effective weight and half-life of each active event type."""
        with self._read() as connection:
            return tuple(config for config in event_types(self._settings(connection)) if config.is_active)

    def put_event_types(self, types: Sequence[EventTypeConfig]) -> None:
        """Set weights and half-lives; a changed half-life rebuilds the counters."""
        for config in types:
            check_event_type(config)
        with self._database.write() as connection:
            tenant = self._tenant_of(connection)
            seq, _ = lock_head(connection, tenant)
            now_us = to_us(self._clock())
            for config in types:
                put_document(connection, tenant, (EVENT_TYPE, str(config.type)), asdict(config), now_us)
            append_operation(connection, tenant, seq + 1, "rebuild", {"reason": "event_types"})
            move_head(connection, tenant, seq + 1)
        self._follow()

    # -- operations ------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """The process is alive; touches no database."""
        return Health("ok")

    def ready(self) -> Health:
        """Database reachable, model loaded, tail close behind; names what is not."""
        try:
            with self._read() as connection:
                seq, _ = head(connection, self._tenant_of(connection))
            state = self._live().state()
        except EngineUnavailableError as error:
            return Health("degraded", ("database",), {"database": str(error)})
        last = self._live().last_tail
        lag_s = max((self._clock() - last).total_seconds(), 0.0) if last and state.seq < seq else 0.0
        details = {"log_seq": seq, "applied_seq": state.seq, "lag_s": lag_s, "items": state.catalog.size}
        return Health("degraded", ("tail",), details) if lag_s > MAX_TAIL_LAG_S else Health("ok", (), details)

    def refit(self) -> bool:
        """Learn the ranking anew from the whole log, in a side process; false without a model folder or a purchase.

        Takes minutes on a large log and is meant for a nightly job; every process on the folder picks the result up.
        """
        replica = self._live()
        with replica.lock:
            lessons = lessons_from(replica.state())
        if self._model_file is None or not len(lessons.orders.item):
            return False
        self._model_file.refit(lessons, self._clock().timestamp())
        self._adopt_model()
        return True

    def refresh_model(self) -> None:
        """Pick up a refitted ranking now instead of within the next beat."""
        self._adopt_model()

    def flush_decisions(self) -> int:
        """Write the buffered decisions; returns how many."""
        batch = []
        while self._decisions:
            batch.append(self._decisions.popleft())
        if batch:
            with self._database.write() as connection:
                write_decisions(connection, self._tenant_of(connection), batch)
        return len(batch)

    def catch_up(self) -> None:
        """Apply what other processes wrote, now instead of within the next beat."""
        self._follow()

    def close(self) -> None:
        """Stop the background thread and write what is buffered."""
        self._heart.stop()
        self.flush_decisions()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _live(self) -> Replica:
        replica = self._replica
        if replica is None:
            with self._setup:
                replica = self._replica = self._replica or self._open_replica()
        replica.state()
        self._heart.ensure()
        return replica

    def _open_replica(self) -> Replica:
        with self._database.write() as connection:
            tenant = self._tenant_of(connection)
        if self._model_folder is not None:
            self._model_file = ModelFile(self._model_folder, tenant)
        return Replica(
            self._database,
            tenant,
            clock=self._clock,
            counters=self._counters,
            on_built=self._install,
            on_settings=self._reload,
            user_hash=self.user_hash,
        )

    def _counters(self, connection: Connection, _tenant: int, epoch_ms: int) -> CounterSettings:
        return counter_settings(self._settings(connection), epoch_ms)

    def _install(self, state: LiveState) -> None:
        self._ranking = Ranking(state)
        self._adopt_model()
        if self._model is not None:
            self._ranking.learned.use(self._model)

    def _adopt_model(self) -> None:
        """Take over a model some process refitted since; reading it from disk does not hold up requests."""
        model = self._model_file.newer() if self._model_file is not None else None
        if model is None:
            return
        self._model = model
        if self._replica is not None and self._ranking is not None:
            with self._replica.lock:
                self._ranking.learned.use(model)

    def _reload(self, connection: Connection) -> None:
        self._stored = self._settings(connection)

    def _settings(self, connection: Connection) -> StoredSettings:
        return settings_from(all_documents(connection, self._tenant_of(connection)))

    def _follow(self) -> None:
        if self._replica is not None:
            self._replica.catch_up()

    def _beat(self) -> None:
        self.flush_decisions()
        self._follow()
        self._adopt_model()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        if self._tenant is None:  # seeing a tenant for the first time writes its row
            with self._database.write() as connection:
                self._tenant_of(connection)
        with self._database.read() as connection:
            yield connection

    def _tenant_of(self, connection: Connection) -> int:
        if self._tenant is None:
            self._tenant = tenant_id(connection, self._org_id, self._namespace)
        return self._tenant


def new_id() -> str:
    """A fresh request id."""
    return str(uuid4())


def _delete_people(connection: Connection, table: Table, tenant: int, user_ids: Sequence[str]) -> int:
    where = (table.c.tenant == tenant, table.c.user_id.in_(list(user_ids)))
    return int(connection.execute(delete(table).where(*where)).rowcount)


def _check_size(batch: Sequence[Any], most: int, name: str) -> None:
    if len(batch) > most:
        raise ContractError(f"too_many_{name}", f"at most {most} {name} a call", {"max": most, "got": len(batch)})


def _check_candidates(candidates: Sequence[RerankCandidate]) -> None:
    if not candidates:
        raise ContractError("empty_items", "items must not be empty", {"field": "items"})
    if len(candidates) > MAX_RERANK_ITEMS:
        raise ContractError("invalid_items", f"at most {MAX_RERANK_ITEMS} items", {"max": MAX_RERANK_ITEMS})
    if not any(is_valid_id(candidate.item_id.strip()) for candidate in candidates):
        raise ContractError("invalid_items", "no item has a valid id", {"field": "items"})


def _bounded(query: PageQuery) -> PageQuery:
    if not 1 <= query.limit <= MAX_PAGE or query.offset < 0:
        raise ContractError("invalid_limit", f"limit must be 1-{MAX_PAGE} and offset >= 0", {"max": MAX_PAGE})
    return query


__all__ = ["MAX_K", "Engine", "new_id"]
