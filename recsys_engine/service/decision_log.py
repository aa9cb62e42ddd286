"""Served lists on their way to the database, and looking them up again."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from math import isfinite
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import Connection

from recsys_engine.contract.control import AuditedDecision, AuditQuery
from recsys_engine.contract.encoding import request_json
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.requests import RecommendRequest, RerankCandidate
from recsys_engine.contract.responses import ScoredItem
from recsys_engine.domain import Choice
from recsys_engine.pipeline import names_of
from recsys_engine.service.intake import new_id
from recsys_engine.service.ranking import Served
from recsys_engine.service.settings import StoredSettings
from recsys_engine.store.decisions import (
    Decision,
    DecisionQuery,
    NewDecision,
    find_decisions,
    keep_settings,
    one_decision,
    write_decisions,
)
from recsys_engine.store.ingest import to_us
from recsys_engine.store.pages import from_us

BUFFER = 10_000
"""Decisions waiting for the background thread; beyond this the oldest are dropped. Events never wait here."""
_USER_HASH_SALT = "recsys"
_ENCODER = json.JSONEncoder(separators=(",", ":"))
Opened = Callable[[], AbstractContextManager[tuple[Connection, int]]]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a list was made under, beside its request: enough to make it again.

    ``learned`` names the learned model ("" without one), ``policy`` holds the knobs of a bandit's choice,
    ``candidates`` the items of a rerank.
    """

    now: datetime
    log_seq: int
    epoch_ms: int
    settings: StoredSettings
    learned: str = ""
    policy: Mapping[str, Any] | None = None
    candidates: Sequence[RerankCandidate] | None = None


class Noted(NamedTuple):
    """What of a served list waits to be written; encoding it is left to the background thread.

    ``found_by`` has for each place the bits of ``source_names`` that found it.
    """

    request: RecommendRequest
    under: Circumstances
    request_id: str
    model_version: str
    items: tuple[ScoredItem, ...]
    choices: list[Choice]
    found_by: list[int]
    source_names: tuple[str, ...]


class DecisionLog:
    """Buffers decisions (up to a second of them may be lost in a crash) and answers the audit."""

    def __init__(self, namespace: str, sample_rate: float, reading: Opened, writing: Opened) -> None:
        self._namespace = namespace
        self._sample_rate = sample_rate
        self._reading = reading
        self._writing = writing
        self._waiting: deque[Noted] = deque(maxlen=BUFFER)
        self._sets: dict[str, str] = {}
        self._kept: set[str] = set()
        self._one_at_a_time = Lock()

    def user_hash(self, user_id: str) -> str:
        """How decisions name a user: SHA-256 of ``namespace:user_id:salt``."""
        return sha256(f"{self._namespace}:{user_id}:{_USER_HASH_SALT}".encode()).hexdigest()

    def note(self, request: RecommendRequest, served: Served, under: Circumstances) -> None:
        """Remember one served list, if the sample takes it. Costs the request no database work."""
        request_id = served.answer.request_id
        if self._sample_rate < 1 and _share(request_id) >= self._sample_rate:
            return
        self._sets[under.settings.digest] = under.settings.text
        self._waiting.append(noted(request, served, under))

    def flush(self) -> int:
        """Write what waits, and wait for a write under way: what was noted before the call is stored after it."""
        with self._one_at_a_time:
            batch = []
            while self._waiting:
                batch.append(self._waiting.popleft())
            if batch:
                sets = {digest: text for digest, text in list(self._sets.items()) if digest not in self._kept}
                with self._writing() as (connection, tenant):
                    write_decisions(connection, tenant, map(self._row, batch))
                    keep_settings(connection, tenant, sets)
                self._kept.update(sets)
            return len(batch)

    def _row(self, one: "Noted") -> NewDecision:
        user_id, under = one.request.user_id, one.under
        user_hash = self.user_hash(user_id) if user_id else None
        surface, ts_us = one.request.context.surface, to_us(under.now)
        return NewDecision(new_id(), one.request_id, ts_us, surface, user_hash, under.log_seq, body_text(one))

    def find(self, query: AuditQuery) -> list[AuditedDecision]:
        """Stored decisions, newest first, without their details."""
        self.flush()
        wanted = DecisionQuery(
            to_us(query.from_) if query.from_ else None,
            to_us(query.to) if query.to else None,
            query.user_hash,
            query.request_id,
            query.surface,
            query.limit,
        )
        with self._reading() as (connection, tenant):
            return [_audited(decision, {}) for decision in find_decisions(connection, tenant, wanted)]

    def one(self, decision_id: str) -> AuditedDecision:
        """A decision with its details; raises ``decision_not_found``."""
        decision = self.stored(decision_id)
        details = {name: value for name, value in decision.body.items() if name != "final_items"}
        return _audited(decision, {**details, "log_seq": decision.log_seq})

    def stored(self, decision_id: str) -> Decision:
        """A decision as stored; raises ``decision_not_found``."""
        self.flush()
        with self._reading() as (connection, tenant):
            decision = one_decision(connection, tenant, decision_id)
        if decision is None:
            raise ContractError("decision_not_found", "no such decision", {"decision_id": decision_id[:200]})
        return decision


def _share(request_id: str) -> float:
    return int(sha256(request_id.encode()).hexdigest()[:8], 16) / 2**32


def noted(request: RecommendRequest, served: Served, under: Circumstances) -> Noted:
    """The parts of a served list that are stored; the arrays it was made from are let go."""
    outcome, answer = served.outcome, served.answer
    found_by = outcome.pool.sources[outcome.rows].tolist()
    return Noted(
        request,
        under,
        answer.request_id,
        answer.model_version,
        answer.items,
        outcome.choices,
        found_by,
        outcome.source_names,
    )


def body_text(one: Noted) -> str:
    """What is stored of a list, as JSON text; ``final_items`` is written by hand because lists come in thousands."""
    under = one.under
    body = {
        "request": request_json(one.request),
        "settings": under.settings.digest,
        "model_version": one.model_version,
        "epoch_ms": under.epoch_ms,
        "learned": under.learned,
        **({"policy": dict(under.policy)} if under.policy else {}),
        **({} if under.candidates is None else {"candidates": [[c.item_id, c.score] for c in under.candidates]}),
    }
    items = [
        _start(item_id, score) + _rest(how, propensity, bits, one.source_names)
        for (item_id, score, _, _, _), (_, how, _, _, propensity, _), bits in zip(
            one.items, one.choices, one.found_by, strict=True
        )
    ]
    return f'{_ENCODER.encode(body)[:-1]},"final_items":[{",".join(items)}]}}'


def _start(item_id: str, score: float) -> str:
    """An item without its closing brace."""
    number = repr(score) if isfinite(score) else json.dumps(score)
    return f'{{"item_id":{encode_basestring_ascii(item_id)},"score":{number}'


@lru_cache(maxsize=4096)
def _rest(how: str, propensity: float, bits: int, source_names: tuple[str, ...]) -> str:
    """What follows item and score; most places of most lists end alike."""
    rest = {"how": how, "propensity": propensity, "sources": names_of(bits, source_names)}
    return f",{_ENCODER.encode(rest)[1:]}"


def final_items(served: Served) -> list[dict[str, Any]]:
    """The list as it is stored: items with scores, how each got its place, odds and sources."""
    return [
        {
            "item_id": item.item_id,
            "score": item.score,
            "how": choice.how,
            "propensity": choice.propensity,
            "sources": served.outcome.sources(choice.row),
        }
        for item, choice in zip(served.answer.items, served.outcome.choices, strict=True)
    ]


def _audited(decision: Decision, details: Mapping[str, Any]) -> AuditedDecision:
    final = tuple(decision.body["final_items"])
    moment = from_us(decision.ts_us)
    return AuditedDecision(
        decision.decision_id, decision.request_id, moment, decision.surface, decision.user_hash, final, details
    )
