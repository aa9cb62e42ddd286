"""Making a stored decision again: the state of then, the settings of then, the same draws."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection

from recsys_engine.contract.control import Replay
from recsys_engine.contract.parsing import parse_recommend
from recsys_engine.contract.requests import RecommendRequest, RerankCandidate
from recsys_engine.service.decision_log import DecisionLog, final_items
from recsys_engine.service.ranking import Ranking, Served
from recsys_engine.service.settings import StoredSettings, counter_settings, settings_from_text
from recsys_engine.service.steering import Steering
from recsys_engine.signals.learned import FittedModel
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store import earlier
from recsys_engine.store import log as log_store
from recsys_engine.store.decisions import Decision, settings_text
from recsys_engine.store.pages import from_us
from recsys_engine.store.snapshots import erased_since

MOST_REWOUND = 100_000
"""Events taken back from the live state at most; beyond this the log is read from its start."""
NEEDED = ("epoch_ms", "learned")
Opened = Callable[[], AbstractContextManager[tuple[Connection, int]]]
Ask = Callable[[Mapping[str, Any]], Served]
"""Makes one decision's list again, with some knobs above everything stored."""


class Past(Protocol):
    """Where states come from: the replica."""

    def frozen(self) -> LiveState:
        """A copy of the live state."""

    def from_log(self, connection: Connection, settings: CounterSettings, seq: int) -> LiveState:
        """A state of the log's rows up to ``seq``, over the catalogue of now."""


class Replayer:
    """Replays decisions of one tenant. The live state is never touched."""

    def __init__(
        self,
        decisions: DecisionLog,
        reading: Opened,
        past: Callable[[], Past],
        model: Callable[[str], FittedModel | None],
    ) -> None:
        self._decisions = decisions
        self._reading = reading
        self._past = past
        self._model = model

    def replay(self, decision_id: str) -> Replay:
        """Make a decision again and compare it with what was stored; raises ``decision_not_found``."""
        decision = self._decisions.stored(decision_id)
        body = decision.body
        if any(name not in body for name in NEEDED):
            return Replay(decision_id, "impossible", "stored_before_replay")
        model = self._model(body["learned"]) if body["learned"] else None
        if body["learned"] and model is None:
            return Replay(decision_id, "impossible", "model_replaced")
        past = self._past()
        with self._reading() as (connection, tenant):
            if erased_since(connection, tenant, decision.log_seq):
                return Replay(decision_id, "impossible", "log_no_longer_whole")
            text = settings_text(connection, tenant, body["settings"])
            if text is None:
                return Replay(decision_id, "impossible", "settings_not_kept")
            stored = settings_from_text(text)
            settings = counter_settings(stored, body["epoch_ms"])
            state = state_at(connection, tenant, past, settings, decision.log_seq)
        made = _made_again(decision, state, stored, model)
        return Replay(decision_id, "identical" if made == body["final_items"] else "different", None, tuple(made))

    def with_other_knobs(self, decisions: Sequence[Decision]) -> Iterator[tuple[Decision, Ask]]:
        """For each decision a function that makes its list under other knobs, on top of the settings of then.

        Give them in the order they were served, and use each function before taking the next: one state is moved
        forward from the first to the last. Catalogue changes in between count from an item's last write on. Decisions
        that cannot be made again are left out.
        """
        kept = [decision for decision in decisions if all(name in decision.body for name in NEEDED)]
        if not kept:
            return
        past = self._past()
        with self._reading() as (connection, tenant):
            kept = [d for d in kept if not erased_since(connection, tenant, d.log_seq)]
            texts = {name: settings_text(connection, tenant, name) for name in {d.body["settings"] for d in kept}}
            sets = {name: settings_from_text(text) for name, text in texts.items() if text is not None}
            state: LiveState | None = None
            for decision in kept:
                stored, learned = sets.get(decision.body["settings"]), decision.body["learned"]
                model = self._model(learned) if learned else None
                if stored is None or (learned and model is None):
                    continue
                settings = counter_settings(stored, decision.body["epoch_ms"])
                if state is None or state.settings != settings:
                    state = state_at(connection, tenant, past, settings, decision.log_seq)
                _move_on(connection, tenant, state, decision.log_seq)
                yield decision, partial(_served_again, decision, state, stored, model)


def _made_again(
    decision: Decision, state: LiveState, stored: StoredSettings, model: FittedModel | None
) -> list[dict[str, Any]]:
    served = _served_again(decision, state, stored, model, {})
    made: list[dict[str, Any]] = json.loads(json.dumps(final_items(served)))
    return made


def _served_again(
    decision: Decision,
    state: LiveState,
    stored: StoredSettings,
    model: FittedModel | None,
    knobs: Mapping[str, Any],
) -> Served:
    body, now = decision.body, from_us(decision.ts_us)
    ranking = Ranking(state)
    if model is not None:
        ranking.learned.use(model)
    request = _request(decision)
    traits = state.traits.get(request.user_id or "", {})
    policy = {**(body.get("policy") or {}), **knobs} if knobs else body.get("policy")
    steer = Steering(stored).for_request(request, traits, state.catalog, now, policy)
    given = body.get("candidates")
    candidates = None if given is None else [RerankCandidate(item_id, score) for item_id, score in given]
    return ranking.recommend(request, decision.request_id, stored, now.timestamp(), steer=steer, candidates=candidates)


def _move_on(connection: Connection, tenant: int, state: LiveState, seq: int) -> None:
    """Let the rows up to `seq` happen; each knows whether it is an event, an item or a person's traits."""
    while state.seq < seq:
        events = log_store.events_after(connection, tenant, state.seq)
        upto = min(seq, events[-1].seq) if len(events) == log_store.TAIL_BATCH else seq
        for item in log_store.items_after(connection, tenant, state.seq):
            if item.seq <= upto:
                state.put_item(item)
        for row_seq, user_id, traits in log_store.users_after(connection, tenant, state.seq):
            if row_seq <= upto:
                state.traits[user_id] = traits
        for event in events:
            if event.seq <= upto:
                state.apply(event)
        state.seq = upto


def _request(decision: Decision) -> RecommendRequest:
    stored: Mapping[str, Any] = decision.body["request"]
    return replace(parse_recommend({"namespace": "replay", **stored}), request_id=decision.request_id)


def state_at(connection: Connection, tenant: int, past: Past, settings: CounterSettings, seq: int) -> LiveState:
    """The state after row ``seq`` of the log: the live one taken back, or the log read anew when that is shorter."""
    live = past.frozen()
    if live.settings == settings and live.seq - seq <= MOST_REWOUND:
        state = LiveState(settings)
        state.load(live.arrays())
        _rewind(connection, tenant, state, seq)
    else:
        state = past.from_log(connection, settings, seq)
    _restore(connection, tenant, state, seq)
    state.seq = seq
    return state


def _rewind(connection: Connection, tenant: int, state: LiveState, seq: int) -> None:
    newest: Counter[str] = Counter()
    items: set[str] = set()
    after = seq
    while after < state.seq:
        events = [event for event in log_store.events_after(connection, tenant, after) if event.seq <= state.seq]
        told = [event for event in events if event.item_id and not event.is_impression]
        newest.update(event.user_id for event in told)
        items.update(event.item_id for event in told)
        after = events[-1].seq if len(events) == log_store.TAIL_BATCH else state.seq
    state.take_back(newest)
    state.disown(items)


def _restore(connection: Connection, tenant: int, state: LiveState, seq: int) -> None:
    for item_id, row in earlier.items_at(connection, tenant, seq).items():
        if row is None:
            state.catalog.remove(item_id)
            state.disown([item_id])
        else:
            state.put_item(row)
    for user_id, traits in earlier.traits_at(connection, tenant, seq).items():
        if traits is None:
            state.traits.pop(user_id, None)
        else:
            state.traits[user_id] = traits
