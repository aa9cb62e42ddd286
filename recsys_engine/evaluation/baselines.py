"""What any ranking has to beat: popularity, the shopper's own counts, item-KNN."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from recsys_engine.signals.ranking.cooccurrence import together
from recsys_engine.signals.ranking.lessons import histories_of
from recsys_engine.signals.ranking.model import RankingModel
from recsys_engine.signals.ranking.orders import DAY_S, Floats, Ints, Orders, decay

Lists = list[list[int]]
Recommender = Callable[[Ints, bool], Lists]
"""(user codes, may repeats be shown) → one list of item codes per user."""

K = 20
POPULARITY_DAYS, PERSONAL_DAYS, KNN_DAYS = 7, 180, 45
FILL = 1e-7  # popularity breaks ties and fills up


def popularity(orders: Orders, now: int) -> Recommender:
    """Decayed popularity, 7-day half-life, the same for everybody."""
    score = _popularity(orders, now, POPULARITY_DAYS)
    return lambda users, repeats: _lists(orders, users, np.tile(score, (len(users), 1)), repeats=repeats)


def personal_frequency(orders: Orders, now: int) -> Recommender:
    """The shopper's own decayed counts (180 days), then popularity."""
    fill = FILL * _popularity(orders, now, POPULARITY_DAYS)

    def recommend(users: Ints, repeats: bool) -> Lists:  # noqa: FBT001 - the shape of a recommender
        return _lists(orders, users, _own(orders, users, now, PERSONAL_DAYS) + fill, repeats=repeats)

    return recommend


def item_knn(orders: Orders, now: int) -> Recommender:
    """Decayed basket co-occurrence cosine with everything in the shopper's history."""
    age = ((now - orders.basket_ts) / DAY_S).astype(np.float32)
    (near,) = together(orders, age, KNN_DAYS, (0.5,))
    fill = FILL * _popularity(orders, now, POPULARITY_DAYS)

    def recommend(users: Ints, repeats: bool) -> Lists:  # noqa: FBT001 - the shape of a recommender
        history = np.minimum(_own(orders, users, now, 60), 3)
        return _lists(orders, users, np.asarray(history @ near) + fill, repeats=repeats)

    return recommend


def learned(model: RankingModel, orders: Orders) -> Recommender:
    """The engine's own ranking."""

    def recommend(users: Ints, repeats: bool) -> Lists:  # noqa: FBT001 - the shape of a recommender
        ranked = model.personal(histories_of(orders, users), repeats=repeats)
        order = np.lexsort((ranked.candidates.item, -ranked.scores, ranked.candidates.case))
        case, item = ranked.candidates.case[order], ranked.candidates.item[order]
        edges = np.searchsorted(case, np.arange(len(users) + 1))
        return [item[start:stop][:K].tolist() for start, stop in pairwise(edges.tolist())]

    return recommend


def _popularity(orders: Orders, now: int, half_life: float) -> Floats:
    weight = decay((now - orders.basket_ts) / DAY_S, half_life) * orders.basket_weight
    return np.bincount(orders.item, weight[orders.basket], minlength=orders.n_items).astype(np.float32)


def _own(orders: Orders, users: Ints, now: int, half_life: float) -> Floats:
    lines = histories_of(orders, users)
    counts = np.zeros((len(users), orders.n_items), np.float32)
    np.add.at(counts, (lines.shopper, lines.item), decay((now - lines.ts) / DAY_S, half_life))
    return counts


def _lists(orders: Orders, users: Ints, scores: Floats, *, repeats: bool) -> Lists:
    if not repeats:
        lines = histories_of(orders, users)
        scores = scores.copy()
        scores[lines.shopper, lines.item] = -np.inf
    top = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return [_finite(row, places) for row, places in zip(scores, top, strict=True)]


def _finite(scores: Floats, places: Sequence[int] | Ints) -> list[int]:
    return [int(item) for item in places if np.isfinite(scores[item])]
