"""The ranking model: everything learned from the orders so far, and the five questions it answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys_engine.signals.ranking.baskets import basket_candidates, basket_features, basket_matrix, basket_scores
from recsys_engine.signals.ranking.columns import Candidates, relative
from recsys_engine.signals.ranking.learner import Lesson, Ranker, learn
from recsys_engine.signals.ranking.lessons import basket_lessons, cuts, future_of, personal_lessons
from recsys_engine.signals.ranking.newcomers import Kinship, kinship, newcomer_scores
from recsys_engine.signals.ranking.orders import Facts, Floats, Ints, Orders
from recsys_engine.signals.ranking.personal import personal_candidates, personal_features, personal_scores
from recsys_engine.signals.ranking.shoppers import Histories, Shoppers
from recsys_engine.signals.ranking.world import Tuning, World, world_at

PAST_WINDOWS = 8
SEED = 42
SEEDS: dict[str, tuple[int, ...]] = {"home": (42, 1), "complete": (42, 1)}
"""Recipes whose trees are grown several times and averaged. Completion on a past window (hit, MRR): one .2528 / .1098,
two .2583 / .1121, three .2577 / .1110.
"""
RECIPES = ("home", "discover", "similar", "complete")
# Before a shop has a past window to learn from, these columns decide, each relative to its best value in the list.
UNTRAINED = {
    "home": {"tifu": 0.7, "upcf": 0.7, "pop_7d": 0.1},
    "discover": {"ease": 1.0, "lately_near": 0.5, "pop_7d": 0.25},
    "similar": {"near_wide": 1.0, "ease": 0.3, "content": 0.2},
    "complete": {"ease": 1.0, "near": 0.3},
}
SELF_INFORMATION = {
    "home": 0.37
}  # score points per unit of log popularity taken off, so that more of the catalogue is seen


@dataclass(frozen=True)
class Ranked:
    """Rows of one question with their scores; the same rows, best first, make the list."""

    candidates: Candidates
    scores: Floats
    recipe: str


@dataclass(frozen=True)
class Split:
    """One row's ranker score as a sum: base + columns (name → value, contribution) + novelty."""

    base: float
    columns: dict[str, tuple[float, float]]
    novelty: float

    @property
    def total(self) -> float:
        return self.base + sum(part for _, part in self.columns.values()) + self.novelty


@dataclass(frozen=True)
class RankingModel:
    """`rankers` holds one ranker per recipe that had something to learn from."""

    world: World
    rankers: dict[str, Ranker]

    def personal(self, lines: Histories, *, repeats: bool) -> Ranked:
        """Recipe "home" (repeats welcome) or "discover" (never bought) for the given shoppers."""
        shoppers = Shoppers(lines, self.world.demand, self.world.facts, self.world.now)
        scores = personal_scores(self.world, shoppers)
        rows = personal_candidates(self.world, shoppers, scores, repeats=repeats)
        candidates = personal_features(self.world, shoppers, scores, rows, repeats=repeats)
        return self._ranked("home" if repeats else "discover", candidates)

    def together(self, baskets: list[Ints]) -> Ranked:
        """Recipe "similar" for a single item, "complete" for a longer basket."""
        matrix = basket_matrix(self.world, baskets)
        scores = basket_scores(self.world, matrix)
        rows = basket_candidates(self.world, matrix, scores)
        recipe = "similar" if max(map(len, baskets), default=0) == 1 else "complete"
        return self._ranked(recipe, basket_features(self.world, matrix, scores, rows))

    def split(self, ranked: Ranked, row: int) -> Split:
        """Exact contributions of the ranker's columns to one row: TreeSHAP for trees, the terms of a linear one."""
        features = ranked.candidates.features[row : row + 1]
        ranker = self.rankers.get(ranked.recipe)
        names = ranked.candidates.names
        if ranker is None:
            parts = {name: float(value[row]) for name, value in _untrained_parts(ranked.recipe, ranked.candidates)}
            shares = [parts.get(name, 0.0) for name in names] + [0.0]
        else:
            shares = ranker.contributions(features)[0].tolist()
        columns = {
            name: (value, share)
            for name, value, share in zip(names, features[0].tolist(), shares[:-1], strict=True)
            if share
        }
        item = ranked.candidates.item[row : row + 1]
        return Split(shares[-1], columns, -float(self._novelty(ranked.recipe, item)[0]) if ranker else 0.0)

    def ties(self, owned: Ints, item: int) -> tuple[Floats, Floats]:
        """For each owned item: its EASE weight towards `item` and its recent co-occurrence with it."""
        near = np.asarray(self.world.near[owned][:, [item]].todense(), np.float32)[:, 0]
        return self.world.ease.towards(owned, item), near

    @cached_property
    def kinship(self) -> Kinship:
        """Items without sales and their relatives among the sold."""
        return kinship(self.world)

    def newcomers(self, lines: Histories) -> Floats:
        """Shoppers × `kinship.items`: scores of items without sales, at most 1."""
        shoppers = Shoppers(lines, self.world.demand, self.world.facts, self.world.now)
        presence = shoppers.matrix(np.minimum(shoppers.pairs["own_180d"], 1))
        return newcomer_scores(self.kinship, self.world.ease.scores(presence))

    def _ranked(self, recipe: str, candidates: Candidates) -> Ranked:
        ranker = self.rankers.get(recipe)
        scores = ranker.scores(candidates.features) if ranker else _untrained(recipe, candidates)
        scores = scores - self._novelty(recipe, candidates.item) if ranker else scores
        return Ranked(candidates, scores, recipe)

    def _novelty(self, recipe: str, items: Ints) -> Floats:
        common = np.log(self.world.demand.popularity[30][items] + np.float32(0.05))
        return np.asarray(np.float32(SELF_INFORMATION.get(recipe, 0)) * common, np.float32)


def _untrained(recipe: str, candidates: Candidates) -> Floats:
    total = np.zeros(len(candidates.case), np.float32)
    for _, part in _untrained_parts(recipe, candidates):
        total += part
    return total


def _untrained_parts(recipe: str, candidates: Candidates) -> Iterator[tuple[str, Floats]]:
    for name, weight in UNTRAINED[recipe].items():
        column = candidates.features[:, candidates.names.index(name)]
        yield name, np.float32(weight) * relative(column[None])[0]


Told = Callable[[int, int, str], None]
"""(steps done, steps in all, what was done last); may raise to stop the work."""


def tell_nobody(done: int, total: int, what: str) -> None:
    """Progress nobody asked for."""


def fit_ranking(
    orders: Orders,
    facts: Facts,
    now: int,
    *,
    tuning: Tuning | None = None,
    windows: int = PAST_WINDOWS,
    progress: Told = tell_nobody,
) -> RankingModel:
    """Fit the models on `orders` (all before `now`) and the rankers on up to `windows` past windows of 28 days.

    Each window's lessons come from a world fitted only on the orders before it, so nothing learned is from its future.
    `progress` is told after each window, after the rankers and at the end.
    """
    tuning = tuning or Tuning()
    rng = np.random.default_rng(SEED)
    lessons: dict[str, list[Lesson]] = {recipe: [] for recipe in RECIPES}
    starts = cuts(orders, now, windows)
    total = len(starts) + 2
    for step, cut in enumerate(starts, 1):
        past, future = orders.before(cut), future_of(orders, cut)
        world = world_at(past, facts, cut, tuning)
        found = personal_lessons(world, past, future, rng) | basket_lessons(world, future, rng)
        for recipe, told in found.items():
            lessons[recipe] += told
        progress(step, total, f"window {step} of {len(starts)}")
    rankers = {
        recipe: ranker
        for recipe in RECIPES
        if (ranker := learn(lessons[recipe], SEEDS.get(recipe, (SEED,)))) is not None
    }
    progress(total - 1, total, "rankers")
    model = RankingModel(world_at(orders, facts, now, tuning), rankers)
    progress(total, total, "models")
    return model
