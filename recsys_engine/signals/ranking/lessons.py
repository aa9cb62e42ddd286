"""Lessons from the past: at a cut, what was known then, what could have been offered, and what was bought in the
days after.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recsys_engine.signals.ranking.baskets import basket_candidates, basket_features, basket_matrix, basket_scores
from recsys_engine.signals.ranking.columns import Candidates
from recsys_engine.signals.ranking.learner import Lesson
from recsys_engine.signals.ranking.orders import DAY_S, Bools, Floats, Ints, Orders
from recsys_engine.signals.ranking.personal import personal_candidates, personal_features, personal_scores
from recsys_engine.signals.ranking.shoppers import Histories, Shoppers
from recsys_engine.signals.ranking.world import World

HORIZON_DAYS = 28
FEWEST_PAST_DAYS = 84  # a cut needs this much log before it
FEWEST_BASKETS = 2  # of a shopper who is asked
MOST_SHOPPERS, MOST_BASKETS = 700, 900  # per cut, drawn with a seed
LONGEST_QUERY = 10  # items of a basket that are shown when one is hidden
CELLS = 6_000_000  # cases × items held at once
# Unbought rows kept per case, drawn with a seed: fewer teach the personal recipes as well in half the time.
OPEN_ROWS = {"home": 80, "discover": 80, "similar": 120, "complete": 120}


@dataclass(frozen=True)
class Future:
    """What happened in the window: members asked, the items of their next basket, and all items new to them."""

    users: Ints
    next_basket: dict[int, Ints]
    new_items: dict[int, Ints]
    baskets: list[Ints]


def cuts(orders: Orders, now: int, most: int) -> list[int]:
    """Up to `most` window starts before `now`, newest first, 28 days apart, each with at least 84 days of log behind
    it.
    """
    if not len(orders.ts):
        return []
    first = int(orders.ts.min()) + FEWEST_PAST_DAYS * DAY_S
    starts = (now - step * HORIZON_DAYS * DAY_S for step in range(1, most + 1))
    return [start for start in starts if start >= first]


def future_of(orders: Orders, cut: int) -> Future:
    """The 28 days from `cut`, for members with at least two baskets before it."""
    past, inside = orders.ts < cut, (orders.ts >= cut) & (orders.ts < cut + HORIZON_DAYS * DAY_S)
    owners = orders.basket_user[np.unique(orders.basket[past])]
    asked = np.bincount(owners, minlength=orders.n_users) >= FEWEST_BASKETS
    rows = np.flatnonzero(inside)
    rows = rows[np.lexsort((orders.basket[rows], orders.ts[rows]))]
    owned = set(np.unique(orders.user[past] * orders.n_items + orders.item[past]).tolist())
    next_basket: dict[int, Ints] = {}
    new_items: dict[int, Ints] = {}
    for user, lines in _split(orders.user[rows], rows):
        if asked[user]:
            next_basket[user] = orders.item[lines[orders.basket[lines] == orders.basket[lines[0]]]]
            items = np.unique(orders.item[lines])
            new_items[user] = items[[user * orders.n_items + int(item) not in owned for item in items]]
    baskets = [orders.item[lines] for _, lines in _split(orders.basket[rows], rows) if len(lines) >= 3]
    return Future(np.array(sorted(next_basket), np.int64), next_basket, new_items, baskets)


def _split(owner: Ints, rows: Ints) -> Iterator[tuple[int, Ints]]:
    order = np.argsort(owner, kind="stable")
    edges = np.flatnonzero(np.diff(owner[order])) + 1
    for part in np.split(order, edges):
        if len(part):
            yield int(owner[part[0]]), rows[part]


def histories_of(orders: Orders, users: Ints) -> Histories:
    """The order lines of some users (codes of the log), in the order given."""
    place = np.full(orders.n_users, -1, np.int64)
    place[users] = np.arange(len(users))
    mine = place[orders.user] >= 0
    basket = np.unique(orders.basket[mine], return_inverse=True)[1].astype(np.int64)
    return Histories(place[orders.user[mine]], orders.item[mine], orders.ts[mine], basket, orders.quantity[mine], users)


def personal_lessons(world: World, past: Orders, future: Future, rng: np.random.Generator) -> dict[str, list[Lesson]]:
    """Lessons for "home" (next basket, repeats welcome) and "discover" (items new to the shopper)."""
    lessons: dict[str, list[Lesson]] = {"home": [], "discover": []}
    users = np.sort(rng.permutation(future.users)[:MOST_SHOPPERS])
    step = max(1, CELLS // world.n_items)
    for start in range(0, len(users), step):
        asked = users[start : start + step]
        shoppers = Shoppers(histories_of(past, asked), world.demand, world.facts, world.now)
        scores = personal_scores(world, shoppers)
        for recipe, truth in (("home", future.next_basket), ("discover", future.new_items)):
            repeats = recipe == "home"
            rows = personal_candidates(world, shoppers, scores, repeats=repeats)
            bought = _hits(rows, [truth[int(user)] for user in asked], world.n_items)
            kept = _thin(rows[0], bought, OPEN_ROWS[recipe], rng)
            candidates = personal_features(world, shoppers, scores, rows, repeats=repeats)
            lessons[recipe].append(_lesson(candidates, bought, kept))
    return lessons


def basket_lessons(world: World, future: Future, rng: np.random.Generator) -> dict[str, list[Lesson]]:
    """Lessons for "similar" (one item of a basket → the others) and "complete" (up to ten items → one hidden item)."""
    lessons: dict[str, list[Lesson]] = {"similar": [], "complete": []}
    chosen = rng.permutation(len(future.baskets))[:MOST_BASKETS]
    shuffled = [rng.permutation(future.baskets[i]) for i in chosen]
    questions = {
        "similar": [(basket[:1], basket[1:]) for basket in shuffled],
        "complete": [(basket[1 : 1 + LONGEST_QUERY], basket[:1]) for basket in shuffled],
    }
    step = max(1, CELLS // world.n_items)
    for recipe, asked in questions.items():
        for start in range(0, len(asked), step):
            lessons[recipe].append(_basket_lesson(world, asked[start : start + step], OPEN_ROWS[recipe], rng))
    return lessons


def _basket_lesson(world: World, asked: list[tuple[Ints, Ints]], open_rows: int, rng: np.random.Generator) -> Lesson:
    matrix = basket_matrix(world, [query for query, _ in asked])
    scores = basket_scores(world, matrix)
    rows = basket_candidates(world, matrix, scores)
    bought = _hits(rows, [truth for _, truth in asked], world.n_items)
    kept = _thin(rows[0], bought, open_rows, rng)
    return _lesson(basket_features(world, matrix, scores, rows), bought, kept)


def _hits(rows: tuple[Ints, Ints], truths: list[Ints], n_items: int) -> Bools:
    true = np.concatenate([case * n_items + truth for case, truth in enumerate(truths)])
    return np.isin(rows[0] * n_items + rows[1], true)


def _thin(case: Ints, bought: Bools, open_rows: int, rng: np.random.Generator) -> Bools:
    """All bought rows and about `open_rows` others of each case."""
    share = open_rows / np.maximum(np.bincount(case)[case], 1)
    return bought | (rng.random(len(case)) < share)


def _lesson(candidates: Candidates, bought: Bools, kept: Bools) -> Lesson:
    features: Floats = candidates.features[kept]
    thin = Candidates(candidates.case[kept], candidates.item[kept], features, candidates.names)
    return Lesson(thin, bought[kept])
