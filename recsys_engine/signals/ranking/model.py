"""The ranking model: everything learned from the orders so far, and the five questions it answers."""

from collections.abc import Callable
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
RECIPES = ("home", "discover", "similar", "complete")
# Before a shop has a past window to learn from, these columns decide, each relative to its best value in the list.
UNTRAINED = {
    "home": {"tifu": 0.7, "upcf": 0.7, "pop_7d": 0.1},
    "discover": {"ease": 1.0, "lately_near": 0.5, "pop_7d": 0.25},
    "similar": {"near_wide": 1.0, "ease": 0.3, "content": 0.2},
    "complete": {"ease": 1.0, "near": 0.3},
}
SELF_INFORMATION = {
    "home": 0.35
}  # score points per unit of log popularity taken off, so that more of the catalogue is seen


@dataclass(frozen=True)
class Ranked:
    """Rows of one question with their scores; the same rows, best first, make the list."""

    candidates: Candidates
    scores: Floats


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
        common = np.log(self.world.demand.popularity[30][candidates.item] + np.float32(0.05))
        return Ranked(candidates, scores - np.float32(SELF_INFORMATION.get(recipe, 0)) * common if ranker else scores)


def _untrained(recipe: str, candidates: Candidates) -> Floats:
    total = np.zeros(len(candidates.case), np.float32)
    for name, weight in UNTRAINED[recipe].items():
        column = candidates.features[:, candidates.names.index(name)]
        total += np.float32(weight) * relative(column[None])[0]
    return total


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
    rankers = {recipe: ranker for recipe in RECIPES if (ranker := learn(lessons[recipe])) is not None}
    progress(total - 1, total, "rankers")
    model = RankingModel(world_at(orders, facts, now, tuning), rankers)
    progress(total, total, "models")
    return model
