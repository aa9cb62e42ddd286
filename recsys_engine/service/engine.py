"""The verbs of the contract for one organisation and namespace."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from recsys_engine.contract import (
    BatchResult,
    ContractError,
    EngineUnavailableError,
    Event,
    EventsResult,
    EventTypeConfig,
    Health,
    Item,
    Recommendations,
    RecommendRequest,
    RerankCandidate,
    SimilarItems,
    User,
)
from recsys_engine.contract.checks import check_event_type, check_item, check_request, check_user, is_valid_id
from recsys_engine.contract.control import Decide, MissingVerdict, PolicyChoice
from recsys_engine.contract.limits import MAX_EVENTS_PER_CALL, MAX_ITEMS_PER_CALL, MAX_USERS_PER_CALL
from recsys_engine.contract.requests import Context
from recsys_engine.service.archive import Archive
from recsys_engine.service.bandit import Bandit
from recsys_engine.service.control import Control
from recsys_engine.service.decision_log import Circumstances, DecisionLog
from recsys_engine.service.explain import missing_verdict
from recsys_engine.service.intake import MAX_HISTORY_PER_CALL, check_candidates, check_size, new_id
from recsys_engine.service.models import Learning, ModelFile
from recsys_engine.service.ranking import Ranking, Served
from recsys_engine.service.replay import Replayer
from recsys_engine.service.replica import Heartbeat, Replica
from recsys_engine.service.retention import DECISION_DAYS, Retention
from recsys_engine.service.settings import (
    EVENT_TYPE,
    StoredSettings,
    counter_settings,
    event_types,
    settings_from,
    shortest_half_life_ms,
    with_kept_names,
)
from recsys_engine.service.snapshots import Snapshots
from recsys_engine.service.steering import Steering
from recsys_engine.signals.ranking.from_state import Lessons, lessons_from
from recsys_engine.signals.state import LiveState
from recsys_engine.store.database import Database, head, lock_head, move_head, tenant_id
from recsys_engine.store.documents import all_documents, put_document
from recsys_engine.store.ingest import Appended, append_events, to_us, upsert_items, upsert_users
from recsys_engine.store.log import append_operation
from recsys_engine.store.snapshots import SnapshotFolder


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
        decision_days: float = DECISION_DAYS,
        model_folder: Path | None = None,
    ) -> None:
        self._database = database
        self._org_id = org_id
        self._namespace = namespace
        self.now = clock
        self._setup = threading.Lock()
        self._tenant: int | None = None
        self._replica: Replica | None = None
        self._stored = StoredSettings()
        self.model_folder = model_folder
        self._learning: Learning | None = None
        self._snapshots: Snapshots | None = None
        self._steering = Steering(self._stored)
        self._ranking: Ranking | None = None
        self.decisions = DecisionLog(namespace, decision_sample_rate, self.reading, self.writing)
        self._retention = Retention(self.writing, decision_days)
        self.archive = Archive(self.reading, self.writing, self.decisions, self._follow_deletion)
        self.control = Control(self)
        model = lambda version: self._learning and self._learning.version(version)  # noqa: E731
        self.replayer = Replayer(self.decisions, self.reading, self._live, model)
        self.replay = self.replayer.replay
        self.bandit = Bandit(self.control.policies, self.reading, self.writing, clock, self.decisions.user_hash)
        self._heart = Heartbeat(self._beat)

    # -- ingestion -------------------------------------------------------------------------------------------------

    def upsert_items(self, batch: Sequence[Item]) -> BatchResult:
        """Insert or update items; the whole batch is checked before anything is written."""
        check_size(batch, MAX_ITEMS_PER_CALL, "items")
        for index, item in enumerate(batch):
            check_item(item, index)
        return self._upsert(partial(upsert_items, batch=batch), len(batch))

    def upsert_users(self, batch: Sequence[User]) -> BatchResult:
        """Insert or update users; the whole batch is checked before anything is written."""
        check_size(batch, MAX_USERS_PER_CALL, "users")
        for index, user in enumerate(batch):
            check_user(user, index)
        return self._upsert(partial(upsert_users, batch=batch), len(batch))

    def _upsert(self, write: Callable[..., int], count: int) -> BatchResult:
        if count:
            with self.writing() as (connection, tenant):
                write(connection, tenant, now=self.now())
            self.catch_up()
        return BatchResult(count)

    def send_events(self, batch: Sequence[Event]) -> EventsResult:
        """Append events, each judged alone; this process's next list already knows them."""
        check_size(batch, MAX_EVENTS_PER_CALL, "events")
        if not batch:
            return EventsResult(0)
        appended = self._append(batch)
        if self._replica is not None:
            self._replica.applied(appended.before_seq, appended.epoch_ms, appended.rows)
        return appended.result

    def append_history(self, batch: Sequence[Event]) -> EventsResult:
        """Append past events in bulk: judged and stored as by ``send_events``, but learned from all at once.

        Not part of the contract; for whoever holds the engine in their own process. The live state is dropped and
        built from the log when it is next asked for. Other processes do so when they find themselves far behind.
        """
        check_size(batch, MAX_HISTORY_PER_CALL, "events")
        if not batch:
            return EventsResult(0)
        appended = self._append(batch)
        if self._replica is not None:
            self._replica.drop()
        return appended.result

    def _append(self, batch: Sequence[Event]) -> Appended:
        with self.writing() as (connection, tenant):
            half_life_ms = shortest_half_life_ms(self._settings(connection))
            return append_events(connection, tenant, batch, self.now(), half_life_ms)

    # -- ranking ---------------------------------------------------------------------------------------------------

    def recommend(self, request: RecommendRequest) -> Recommendations:
        """A ranked list."""
        return self.serve(request).answer

    def rerank(self, request: RecommendRequest, candidates: Sequence[RerankCandidate]) -> Recommendations:
        """Order the given items only (rules may add theirs)."""
        check_candidates(candidates)
        return self.serve(replace(request, k=min(request.k, max(len(candidates), 1))), candidates).answer

    def recommend_by_bandit(self, request: RecommendRequest, ask: Decide) -> tuple[Recommendations, PolicyChoice]:
        """A list by the policy the bandit draws; the request's own overrides still beat the policy's knobs.

        The decision goes by the answer's request id, so that whoever knows the list can reward it; by one of its own
        when the caller used that id before.
        """
        check_request(request)
        request_id = request.request_id or new_id()
        choice, policy = self.bandit.decide(ask, request_id, decision_id=request_id)
        return self.serve(replace(request, request_id=request_id), policy=policy.knobs).answer, choice

    def explain_missing(self, request: RecommendRequest, item_id: str) -> MissingVerdict:
        """At which stage an item falls out of this request's list, and why; or the rank it gets."""
        served = self.serve(request, is_detailed=True)
        return missing_verdict(served, self.live_state().catalog, item_id)

    def similar(self, item_id: str, k: int) -> SimilarItems:
        """Available neighbours of an item, best first; empty when it is unknown."""
        if not is_valid_id(item_id):
            raise ContractError("invalid_item_id", "item_id is not a valid identifier", {"field": "item_id"})
        with self._live().lock:
            known = item_id in self._live().state().catalog.index
        if not known:
            return SimilarItems(new_id(), ())
        request = RecommendRequest(k=k, context=Context("pdp.similar", item_id), include_reasons=True)
        answer = self.serve(request).answer
        return SimilarItems(answer.request_id, answer.items)

    def serve(
        self,
        request: RecommendRequest,
        candidates: Sequence[RerankCandidate] | None = None,
        *,
        policy: Mapping[str, Any] | None = None,
        is_detailed: bool = False,
    ) -> Served:
        """A list with its inside view; ``policy`` holds the knobs of a bandit arm. A detailed run is not logged."""
        check_request(request)
        replica = self._live()
        request_id = request.request_id or new_id()
        now = self.now()
        with replica.lock:
            state = replica.state()
            if self._ranking is None:
                raise EngineUnavailableError("the model is loading", retry_after_s=1.0)
            traits = state.traits.get(request.user_id or "", {})
            steer = self._steering.for_request(request, traits, state.catalog, now, policy)
            served = self._ranking.recommend(
                request,
                request_id,
                self._stored,
                now.timestamp(),
                steer=steer,
                candidates=candidates,
                is_detailed=is_detailed,
            )
            learned = self._ranking.learned.version
            under = Circumstances(now, state.seq, state.settings.epoch_ms, self._stored, learned, policy, candidates)
        if not is_detailed:
            self.decisions.note(request, served, under)
        return served

    # -- settings --------------------------------------------------------------------------------------------------

    def event_types(self) -> tuple[EventTypeConfig, ...]:
        """Effective weight and half-life of each active event type."""
        with self.reading() as (connection, _):
            return tuple(config for config in event_types(self._settings(connection)) if config.is_active)

    def put_event_types(self, types: Sequence[EventTypeConfig]) -> None:
        """Set weights and half-lives; a changed half-life rebuilds the counters. Absent names and switches stay."""
        for config in types:
            check_event_type(config)
        now_us = to_us(self.now())

        def change(connection: Connection, tenant: int) -> None:
            for config in with_kept_names(types, self._settings(connection)):
                put_document(connection, tenant, (EVENT_TYPE, str(config.type)), asdict(config), now_us)

        self.change_settings(change, kind="rebuild")

    def change_settings(self, change: Callable[[Connection, int], None], *, kind: str = "settings") -> None:
        """Run ``change(connection, tenant)`` in one transaction that every replica will notice."""
        with self.writing() as (connection, tenant):
            seq, _ = lock_head(connection, tenant)
            change(connection, tenant)
            append_operation(connection, tenant, seq + 1, kind, {})
            move_head(connection, tenant, seq + 1)
        self.catch_up()

    def settings_now(self) -> StoredSettings:
        """The settings as stored, read from the database."""
        with self.reading() as (connection, _):
            return self._settings(connection)

    def live_state(self) -> LiveState:
        """The live state; hold no reference across calls."""
        return self._live().state()

    # -- operations ------------------------------------------------------------------------------------------------

    def health(self) -> Health:
        """The process is alive; touches no database."""
        return Health("ok")

    def ready(self) -> Health:
        """Database reachable, model loaded, tail close behind; names what is not."""
        try:
            with self.reading() as (connection, tenant):
                seq, _ = head(connection, tenant)
            return self._live().readiness(seq)
        except EngineUnavailableError as error:
            return Health("degraded", ("database",), {"database": str(error)})

    def lessons(self) -> Lessons:
        """A copy of all purchases and catalogue facts, to learn from or to evaluate on."""
        replica = self._live()
        with replica.lock:
            return lessons_from(replica.state())

    def refit(self) -> bool:
        """Learn the ranking anew from the whole log, in a side process; false without a model folder or a purchase.

        Takes minutes on a large log and is meant for a nightly job; every process on the folder picks the result up.
        """
        lessons = self.lessons()
        if self._learning is None or not self._learning.refit(lessons, self.now().timestamp()):
            return False
        self.refresh_model()
        self.snapshot()
        return True

    def refresh_model(self) -> None:
        """Take over a model some process refitted since, now instead of within the next beat; requests go on."""
        if self._learning is None or not self._learning.refresh(self._ranking):
            return
        if self._replica is not None and self._ranking is not None:
            with self._replica.lock:
                self._learning.install(self._ranking)

    def snapshot(self) -> bool:
        """Write the state to the model folder now, so that the next start need not read the log; false if not done."""
        replica = self._live()
        return self._snapshots is not None and self._snapshots.save(replica.frozen())

    def catch_up(self) -> None:
        """Apply what other processes wrote, now instead of within the next beat."""
        if self._replica is not None:
            self._replica.catch_up()

    def close(self) -> None:
        """Stop the background thread and write what is buffered."""
        self._heart.stop()
        if self._snapshots is not None:
            self._snapshots.finish()
        self.decisions.flush()

    def _live(self) -> Replica:
        replica = self._replica
        if replica is None:
            with self._setup:
                replica = self._replica = self._replica or self._open_replica()
        replica.state()
        self._heart.ensure()
        return replica

    def _open_replica(self) -> Replica:
        tenant = self._number()
        if self.model_folder is not None:
            self._learning = Learning(ModelFile(self.model_folder, tenant))
            self._snapshots = Snapshots(SnapshotFolder(self.model_folder, tenant), self._database.write)
        return Replica(
            self._database,
            tenant,
            clock=self.now,
            counters=lambda connection, _, epoch_ms: counter_settings(self._settings(connection), epoch_ms),
            on_built=self._install,
            on_settings=self._reload,
            user_hash=self.decisions.user_hash,
            snapshots=self._snapshots,
        )

    def _install(self, state: LiveState) -> None:
        self._ranking = Ranking(state)
        if self._learning is not None:
            self._learning.refresh()
            self._learning.install(self._ranking)

    def _reload(self, connection: Connection) -> None:
        stored = self._settings(connection)
        self._steering = Steering(stored)
        self._stored = stored

    def _settings(self, connection: Connection) -> StoredSettings:
        return settings_from(all_documents(connection, self._number()))

    def _beat(self) -> None:
        self.decisions.flush()
        self.catch_up()
        self.refresh_model()
        self._retention.apply(self.now())
        if self._replica is not None:
            self._replica.keep_snapshot()

    def _follow_deletion(self) -> None:
        """What was deleted must not wait on this machine's disk until a replica hears of it."""
        if self.model_folder is not None and self._tenant is not None:
            SnapshotFolder(self.model_folder, self._tenant).drop_before(sys.maxsize)
            ModelFile(self.model_folder, self._tenant).forget_previous()
        self._database.empty_write_ahead_log()
        self.catch_up()

    @contextmanager
    def reading(self) -> Iterator[tuple[Connection, int]]:
        """A read transaction and the tenant's number."""
        tenant = self._number()
        with self._database.read() as connection:
            yield connection, tenant

    @contextmanager
    def writing(self) -> Iterator[tuple[Connection, int]]:
        """A write transaction and the tenant's number."""
        tenant = self._number()
        with self._database.write() as connection:
            yield connection, tenant

    def _number(self) -> int:
        """The tenant's number, kept once its row is committed: a refused first call takes nothing back."""
        if self._tenant is None:
            with self._database.write() as connection:
                tenant = tenant_id(connection, self._org_id, self._namespace)
            self._tenant = tenant
        return self._tenant
