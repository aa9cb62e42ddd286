"""Which inputs reach the ranking, and how much of the shop they cover: counted on lists made for the audit."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recsys_engine.contract.operations import ColumnCoverage, FeatureAudit, InputCoverage, SignalCoverage
from recsys_engine.contract.requests import Context, RecommendRequest
from recsys_engine.service.engine import Engine
from recsys_engine.service.models import ModelFile
from recsys_engine.service.ranking import Served
from recsys_engine.signals.state import LiveState

SURFACES = ("home", "listing", "pdp.similar", "cart", "buy_again")
SHOPPERS = 40  # the latest to come, and as many guests' lists as there are surfaces
K = 20
SEED = 3
NEEDS_ITEM = frozenset({"pdp.similar", "cart"})


def audit_features(engine: Engine, shoppers: int = SHOPPERS) -> FeatureAudit:
    """Make a list on each surface for the latest shoppers and a guest, unlogged, and look inside. Seconds."""
    state = engine.live_state()
    found: dict[str, _Tally] = {surface: _Tally() for surface in SURFACES}
    lists = 0
    for request in _requests(state, shoppers):
        found[request.context.surface].note(engine.serve(request, is_detailed=True))
        lists += 1
    signals = tuple(line for surface in SURFACES for line in found[surface].lines(surface))
    return FeatureAudit(lists, state.catalog.size, _inputs(state), signals, tuple(_columns(engine)))


def _requests(state: LiveState, shoppers: int) -> Iterator[RecommendRequest]:
    rng = np.random.default_rng(SEED)
    ids = state.catalog.shelf().ids
    live = np.flatnonzero(state.catalog.shelf().available)
    if not len(live):
        return
    for user_id in (*state.histories.user_ids[-shoppers:], None):
        for surface in SURFACES:
            item = ids[int(rng.choice(live))]
            context = Context(
                surface,
                item if surface == "pdp.similar" else None,
                (item,) if surface == "cart" else (),
                session_item_ids=(item,) if user_id is None and surface == "home" else (),
            )
            yield RecommendRequest(user_id, K, context)


@dataclass
class _Tally:
    lists: int = 0
    filled: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    answers: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    candidates: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    shares: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def note(self, served: Served) -> None:
        outcome, settings = served.outcome, served.query.settings
        self.lists += 1
        self.weights = dict(settings.weights)
        rows = np.array([choice.row for choice in outcome.choices], np.int64)
        self.filled += len(rows) > 0
        parts = outcome.pool.contributions[rows].sum(axis=0)
        total = float(parts.sum()) or 1.0
        heard = {name for column, name in enumerate(outcome.names) if outcome.pool.features[:, column].any()}
        for column, name in enumerate(outcome.names):
            self.shares[name] += float(parts[column]) / total
        for name in settings.generators:
            self.candidates[name] += outcome.trace.counts.get(name, 0)
        for name in heard | {name for name in settings.generators if outcome.trace.counts.get(name)}:
            self.answers[name] += 1

    def lines(self, surface: str) -> Iterator[SignalCoverage]:
        for name in sorted({*self.weights, *self.answers, *self.candidates}):
            yield SignalCoverage(
                surface,
                name,
                self.weights.get(name, 0.0),
                self.answers[name] / self.lists,
                self.candidates[name] / self.lists,
                self.shares[name] / max(self.filled, 1),
            )


def _inputs(state: LiveState) -> tuple[InputCoverage, ...]:
    shelf = state.catalog.shelf()
    live = shelf.available
    bought = np.asarray(state.popularity.cells.any(axis=(0, 1)))[: shelf.size]

    def share(has: Any) -> float:
        return float(np.asarray(has)[live].mean()) if live.any() else 0.0

    return (
        InputCoverage("availability", float(live.mean()) if shelf.size else 0.0, "filter of every list"),
        InputCoverage("price", share(~np.isnan(shelf.price)), "price limits; price columns of the learned ranking"),
        InputCoverage("tags", share((shelf.facet_tags >= 0).any(axis=1)), "diversity, taste, tag limits"),
        InputCoverage("brand", share(shelf.brand >= 0), "brand caps, rules, taste"),
        InputCoverage("category", share(shelf.category >= 0), "category caps, rules, pace, category columns"),
        InputCoverage("embedding", share(shelf.embedding_row >= 0), "content similarity, new items, text columns"),
        InputCoverage("events", share(bought), "popularity, trend, pairs"),
    )


def _columns(engine: Engine) -> Iterator[ColumnCoverage]:
    if engine.model_folder is None:
        return
    with engine.reading() as (_, tenant):
        model = ModelFile(engine.model_folder, tenant).newer()
    for recipe, ranker in model.ranking.rankers.items() if model else ():
        gains = ranker.gains()
        total = sum(gains.values()) or 1.0
        for name, gain in sorted(gains.items(), key=lambda one: (-one[1], one[0])):
            yield ColumnCoverage(recipe, name, gain / total)
