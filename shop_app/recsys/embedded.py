"""The gateway to the engine in this process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

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
from recsys_engine.contract.control import (
    AuditedDecision,
    AuditQuery,
    Decide,
    ManualOverride,
    MissingVerdict,
    NamespaceConfig,
    Policy,
    PolicyChoice,
    Replay,
    Rule,
    Segment,
    SegmentMatch,
    SegmentProfile,
)
from recsys_engine.service import DECISION_DAYS, Database, Engine
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable
from shop_app.recsys.operations import EmbeddedOperations

Json = dict[str, Any]


class EmbeddedControl:
    """``RecsysControl`` over the engine that ``open_engine`` hands out."""

    def __init__(self, open_engine: Callable[[], AbstractContextManager[Engine]]) -> None:
        self._open = open_engine

    def rules(self) -> list[Rule]:
        with self._open() as engine:
            return engine.control.rules()

    def create_rule(self, rule: Rule) -> Rule:
        with self._open() as engine:
            return engine.control.create_rule(rule)

    def replace_rule(self, rule_id: str, rule: Rule) -> Rule:
        with self._open() as engine:
            return engine.control.replace_rule(rule_id, rule)

    def dry_run_rules(self, surface: str, segment_id: str | None, item_ids: Sequence[str]) -> Json:
        with self._open() as engine:
            return engine.control.dry_run_rules(surface, segment_id, item_ids)

    def overrides(self) -> list[ManualOverride]:
        with self._open() as engine:
            return engine.control.overrides()

    def create_override(self, override: ManualOverride) -> ManualOverride:
        with self._open() as engine:
            return engine.control.create_override(override)

    def cancel_override(self, override_id: str, cancelled_by: str | None) -> ManualOverride:
        with self._open() as engine:
            return engine.control.cancel_override(override_id, cancelled_by)

    def profiles(self) -> list[SegmentProfile]:
        with self._open() as engine:
            return engine.control.profiles()

    def put_profiles(self, profiles: Sequence[SegmentProfile]) -> None:
        with self._open() as engine:
            engine.control.put_profiles(profiles)

    def delete_profiles(self, ids: Sequence[str]) -> None:
        with self._open() as engine:
            engine.control.delete_profiles(ids)

    def segments(self) -> list[Segment]:
        with self._open() as engine:
            return engine.control.segments()

    def put_segment(self, segment: Segment) -> None:
        with self._open() as engine:
            engine.control.put_segment(segment)

    def delete_segments(self, ids: Sequence[str]) -> None:
        with self._open() as engine:
            engine.control.delete_segments(ids)

    def dry_run_segment(
        self, user_id: str | None, context: Mapping[str, Any], traits: Mapping[str, Any] | None
    ) -> SegmentMatch:
        with self._open() as engine:
            return engine.control.dry_run_segment(user_id, context, traits)

    def config(self) -> NamespaceConfig:
        with self._open() as engine:
            return engine.control.config()

    def put_config(
        self,
        config: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        author: str | None = None,
        notes: str | None = None,
    ) -> NamespaceConfig:
        with self._open() as engine:
            return engine.control.put_config(config, expected_version=expected_version, author=author, notes=notes)

    def presets(self) -> dict[str, dict[str, float]]:
        with self._open() as engine:
            return engine.control.presets()

    def policies(self) -> list[Policy]:
        with self._open() as engine:
            return engine.control.policies()

    def put_policies(self, policies: Sequence[Policy]) -> None:
        with self._open() as engine:
            engine.control.put_policies(policies)

    def decide(self, ask: Decide) -> PolicyChoice:
        with self._open() as engine:
            return engine.bandit.decide(ask, str(uuid4()))[0]

    def recommend_by_policy(
        self, request: RecommendRequest, policy_ids: Sequence[str], *, exploration_floor: float | None = None
    ) -> tuple[Recommendations, PolicyChoice]:
        surface, user = request.context.surface, request.user_id
        ask = Decide(surface, {}, tuple(policy_ids), user_id=user, exploration_floor=exploration_floor)
        with self._open() as engine:
            return engine.recommend_by_bandit(request, ask)

    def reward(self, decision_id: str, reward: float, source_event_id: str) -> bool:
        with self._open() as engine:
            return engine.bandit.reward(decision_id, reward, source_event_id)

    def find_decisions(self, query: AuditQuery) -> list[AuditedDecision]:
        with self._open() as engine:
            return engine.decisions.find(query)

    def decision(self, decision_id: str) -> AuditedDecision:
        with self._open() as engine:
            return engine.decisions.one(decision_id)

    def replay(self, decision_id: str) -> Replay:
        with self._open() as engine:
            return engine.replay(decision_id)

    def explain_missing(self, request: RecommendRequest, item_id: str) -> MissingVerdict:
        with self._open() as engine:
            return engine.explain_missing(request, item_id)


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
        decision_days: float = DECISION_DAYS,
    ) -> None:
        self._database = Database(url)
        self._engine = Engine(
            self._database, org_id, namespace, clock, model_folder=model_folder, decision_days=decision_days
        )
        self._has_tables = False
        self.control = EmbeddedControl(self._open)
        self.operations = EmbeddedOperations(self._open)
        self._has_answered = False

    def refit(self) -> bool:
        """Learn the ranking anew (minutes on a large log); false when there is nothing to learn from."""
        with self._open() as engine:
            return engine.refit()

    def refresh_model(self) -> None:
        """Pick up a ranking another process learned, now instead of within the next beat."""
        with self._open() as engine:
            engine.refresh_model()

    def keep_state(self) -> bool:
        """Count the whole log and write a snapshot, so that processes started next need not; false if not done."""
        with self._open() as engine:
            return engine.snapshot()

    def upsert_items(self, items: Sequence[Item]) -> BatchResult:
        with self._open() as engine:
            return engine.upsert_items(items)

    def upsert_users(self, users: Sequence[User]) -> BatchResult:
        with self._open() as engine:
            return engine.upsert_users(users)

    def send_events(self, events: Sequence[Event]) -> EventsResult:
        with self._open() as engine:
            return engine.send_events(events)

    @property
    def is_instant(self) -> bool:
        """The model is in this process's memory: a list takes about a millisecond, and no deadline is needed."""
        return self._has_answered

    def append_history(self, events: Sequence[Event]) -> EventsResult:
        with self._open() as engine:
            return engine.append_history(events)

    def recommend(self, request: RecommendRequest) -> Recommendations:
        with self._open() as engine:
            found = engine.recommend(request)
        self._has_answered = True
        return found

    def rerank(self, request: RecommendRequest, candidates: Sequence[RerankCandidate]) -> Recommendations:
        with self._open() as engine:
            return engine.rerank(request, candidates)

    def similar(self, item_id: str, k: int) -> SimilarItems:
        with self._open() as engine:
            return engine.similar(item_id, k)

    def list_items(self, query: PageQuery) -> Page[StoredItem]:
        with self._open() as engine:
            return engine.archive.list_items(query)

    def list_users(self, query: PageQuery) -> Page[StoredUser]:
        with self._open() as engine:
            return engine.archive.list_users(query)

    def list_events(self, query: PageQuery) -> Page[Event]:
        with self._open() as engine:
            return engine.archive.list_events(query)

    def delete_items(self, which: DeleteFilter) -> DeleteResult:
        with self._open() as engine:
            return engine.archive.delete_items(which)

    def delete_users(self, which: DeleteFilter) -> DeleteResult:
        with self._open() as engine:
            return engine.archive.delete_users(which)

    def delete_events(self, which: DeleteFilter) -> DeleteResult:
        with self._open() as engine:
            return engine.archive.delete_events(which)

    def forget_users(self, user_ids: Sequence[str]) -> ForgetResult:
        with self._open() as engine:
            return engine.archive.forget_users(user_ids)

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
