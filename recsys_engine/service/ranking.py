"""The ranking verbs: from a request to an answer, on one replica's live state."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from itertools import count, repeat
from typing import Any

import numpy as np

from recsys_engine.contract.requests import NO_OVERRIDES, RecommendRequest, RerankCandidate
from recsys_engine.contract.responses import Recommendations, quick_place
from recsys_engine.domain import Limits, Query, Settings, Signal, Trace
from recsys_engine.pipeline import Job, Outcome, Plan, recommend, rerank
from recsys_engine.service.asking import apply_blend, apply_knobs, build_limits, build_query
from recsys_engine.service.explain import Insight, explanation, reasons
from recsys_engine.service.list_counts import list_counts
from recsys_engine.service.recipes import LEARNED, learned_recipe, recipe
from recsys_engine.service.settings import StoredSettings
from recsys_engine.service.steering import Steer
from recsys_engine.signals.guardrails import Guardrails, Regret
from recsys_engine.signals.learned import LearnedSource
from recsys_engine.signals.popular import PopularitySource, TrendSource
from recsys_engine.signals.session_knn import SequenceSource, SessionKnnSource
from recsys_engine.signals.sources import (
    ContentSource,
    PairSource,
    RawCoVisitSource,
    RepurchaseSource,
    TagProfileSource,
)
from recsys_engine.signals.state import LiveState
from recsys_engine.stages.scoring import LinearRanker

UNSTEERED = Steer()
SURFACES_KEPT = 256
SIMILAR_SURFACES = ("pdp", "pdp.similar")


@dataclass(frozen=True, slots=True)
class Served:
    """An answer with what it was made from, for the decision log and for explanations."""

    answer: Recommendations
    outcome: Outcome
    query: Query
    limits: Limits


class Ranking:
    """Signals and ranker over one live state. Not thread-safe: callers hold the replica's lock."""

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self.pairs = {
            "co_visitation": PairSource("co_visitation", state.covisit),
            "session_sequence": SequenceSource(state),
            "bought_together": PairSource("bought_together", state.basket),
        }
        content = self._content = ContentSource()
        self._pairs_of: object = None
        popularity = PopularitySource(state)
        self.learned = LearnedSource(state)
        self.guardrails = Guardrails(state)
        sources: tuple[Signal, ...] = (
            popularity,
            TrendSource(state),
            *self.pairs.values(),
            SessionKnnSource(state),
            RepurchaseSource(),
            TagProfileSource(popularity),
            content,
            self.learned,
        )
        self._signals = {source.name: source for source in sources}
        self._blend: dict[str, Signal] = {
            "recent_popularity": self._signals["recent_popularity"],
            "co_visitation_raw": RawCoVisitSource(state.covisit),
            "embedding_similarity": content,
            "personalization": self._signals["personalization"],
        }
        self._ranker = LinearRanker()
        self._bases: dict[str, Settings] = {}
        self._made_for: object = None

    def recommend(
        self,
        request: RecommendRequest,
        request_id: str,
        stored: StoredSettings,
        now_s: float,
        *,
        steer: Steer = UNSTEERED,
        candidates: Sequence[RerankCandidate] | None = None,
        is_detailed: bool = False,
    ) -> Served:
        """One list. ``steer`` holds stored knob layers and rules; the request's own overrides come last."""
        settings = self.effective(request, stored, steer.layers)
        self.guardrails.rules = stored.guardrails
        query = build_query(self._state, request, settings, now_s)
        limits = build_limits(self._state, query, request.constraints)
        if stored.not_alike or self._content.not_alike:
            limits = self._without_false_neighbours(limits, query, stored)
        job = Job(
            query,
            self._plan(settings),
            limits,
            request.k,
            _Draws(request_id),
            steer.rules,
            Trace(is_detailed=is_detailed),
        )
        outcome = recommend(job) if candidates is None else self._rerank(job, candidates)
        answer = self._answer(request, request_id, stored.digest, (query, outcome, steer, limits))
        return Served(answer, outcome, query, limits)

    def _without_false_neighbours(self, limits: Limits, query: Query, stored: StoredSettings) -> Limits:
        """A list of similar items leaves out what people said is not like the product in view."""
        if self._pairs_of is not stored:
            index = self._state.catalog.index
            named = {item: [index[o] for o in others if o in index] for item, others in stored.not_alike.items()}
            self._content.not_alike = {index[item]: others for item, others in named.items() if item in index}
            self._pairs_of = stored
        others = self._content.not_alike.get(query.view_item, ())
        if not others or query.surface not in SIMILAR_SURFACES:
            return limits
        return replace(limits, excluded=np.concatenate([limits.excluded, np.array(others, np.int64)]))

    def effective(
        self, request: RecommendRequest, stored: StoredSettings, layers: Sequence[Mapping[str, Any]]
    ) -> Settings:
        """Settings by precedence: recipe < stored layers in order < overrides < the request's blend."""
        settings = self._base(request.context.surface, stored)
        for layer in layers:
            settings = apply_knobs(settings, layer)
        if request.overrides is not NO_OVERRIDES:
            settings = apply_knobs(settings, asdict(request.overrides))
        if request.blend is not None:
            settings = apply_blend(settings, request.blend.pop, request.blend.cooc, request.blend.als)
        return settings

    def _base(self, surface: str, stored: StoredSettings) -> Settings:
        """The recipe of a surface, made once for a set of stored settings."""
        made_for = (id(stored.type_weights), self.learned.is_ready)
        if made_for != self._made_for or len(self._bases) >= SURFACES_KEPT:
            self._bases.clear()
            self._made_for = made_for
        base = self._bases.get(surface)
        if base is None:
            of = learned_recipe if self.learned.is_ready else recipe
            base = self._bases[surface] = replace(of(surface), type_weights=stored.type_weights)
        return base

    def _plan(self, settings: Settings) -> Plan:
        is_blend = "co_visitation_raw" in settings.weights
        is_judged = not settings.is_plain_blend and self.guardrails.are_active
        penalty = self.guardrails.multipliers if is_judged else None
        return Plan(self._blend if is_blend else self._signals, self._ranker, penalty=penalty)

    def _rerank(self, job: Job, candidates: Sequence[RerankCandidate]) -> Outcome:
        index = self._state.catalog.index
        scores: dict[int, float] = {}
        for candidate in candidates:
            item = index.get(candidate.item_id.strip())
            if item is not None:
                scores.setdefault(item, candidate.score)
        items = np.fromiter(scores, np.int64, len(scores))
        return rerank(job, items, np.array(list(scores.values()), np.float64))

    def _answer(
        self, request: RecommendRequest, request_id: str, digest: str, made: tuple[Query, Outcome, Steer, Limits]
    ) -> Recommendations:
        query, outcome, steer, limits = made
        level = request.explain_level
        ids, rows = query.shelf.ids, outcome.rows
        insight = None if level == "tags" else self._insight(outcome, query, level)
        names, scores = [ids[item] for item in outcome.pool.items[rows].tolist()], outcome.pool.scores[rows].tolist()
        places = tuple(map(quick_place, zip(names, scores, count(1), repeat(()), repeat(None), strict=False)))
        if request.include_reasons or insight is not None:
            places = tuple(
                place._replace(
                    reasons=reasons(outcome, choice, query, steer.rules) if request.include_reasons else (),
                    explain=None if insight is None else explanation(outcome, choice, query, insight, level),
                )
                for place, choice in zip(places, outcome.choices, strict=True)
            )
        name = "blend_v1" if query.settings.is_plain_blend else self._ranker.version
        policy = list_counts(outcome, query, limits, steer.rules)
        counts = dict(outcome.trace.counts)
        trace = {"extras": {"candidate_sources": counts, "policy": policy, "surface": query.surface}}
        version = f"{name}@{digest}"
        return Recommendations(request_id, version, places, steer.segment_id, steer.profile_id, trace)

    def _insight(self, outcome: Outcome, query: Query, level: str) -> Insight:
        items = outcome.pool.items[outcome.rows]
        regrets: dict[int, list[Regret]] = {}
        if not query.settings.is_plain_blend:
            for item, regret in self.guardrails.regrets(round(query.now_s * 1000), items):
                regrets.setdefault(item, []).append(regret)
        speaks = level == "full" and query.settings.weights.get(LEARNED)
        return Insight(self.pairs, self.learned.explain(query, items.tolist()) if speaks else {}, regrets)


class _Draws:
    """Gives a request's random generator, made when it is first asked for."""

    __slots__ = ("_made", "_request_id")

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._made: np.random.Generator | None = None

    def __call__(self) -> np.random.Generator:
        if self._made is None:
            self._made = np.random.default_rng(seed_of(self._request_id))
        return self._made


def seed_of(request_id: str) -> int:
    """The seed of a request's random draws: the same request id draws the same."""
    return int.from_bytes(blake2b(request_id.encode(), digest_size=8).digest(), "big")
