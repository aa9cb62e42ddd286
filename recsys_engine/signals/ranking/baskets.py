"""What goes with these items? Candidates and features for item-to-item and for completing a basket."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from recsys_engine.signals.ranking.columns import Candidates, mark_best, relative, stack, standing
from recsys_engine.signals.ranking.orders import Floats, Ints
from recsys_engine.signals.ranking.world import World

POOL = 80  # items taken from each co-occurrence score; half of it from content and from the members' model
BLEND_POOL = 150
SETS = ("near", "near_wide", "far", "far_wide", "far_given")


def basket_matrix(world: World, baskets: list[Ints]) -> Any:
    """Baskets × items, 0/1 CSR."""
    indptr = np.concatenate([[0], np.cumsum([len(basket) for basket in baskets])])
    items = np.concatenate([*baskets, np.zeros(0, np.int64)]).astype(np.int64)
    return sp.csr_matrix((np.ones(len(items), np.float32), items, indptr), shape=(len(baskets), world.n_items))


def basket_scores(world: World, chosen: Any) -> dict[str, Floats]:
    """Baskets × items, one matrix per generator, summed over the basket's items (content: mean cosine)."""
    sums = {name: np.asarray((chosen @ getattr(world, name)).todense(), np.float32) for name in SETS}
    size = np.maximum(np.diff(chosen.indptr), 1)[:, None]
    profile = np.asarray(chosen @ world.facts.vectors) / size
    content = np.asarray(profile @ world.facts.vectors.T, np.float32)
    return sums | {"ease": world.ease.scores(chosen), "ease_users": world.ease_users.scores(chosen), "content": content}


def basket_candidates(world: World, chosen: Any, scores: dict[str, Floats]) -> tuple[Ints, Ints]:
    """(basket, item) rows: the best of every generator that were ever sold and are not in the basket."""
    blocked = np.zeros(chosen.shape, bool)
    blocked[:] = (world.demand.purchases == 0)[None]
    blocked[np.repeat(np.arange(chosen.shape[0]), np.diff(chosen.indptr)), chosen.indices] = True
    marked = np.zeros_like(blocked)
    week = world.demand.popularity[7]
    fresh = (week / max(float(week.max(initial=0)), 1e-9))[None]
    blend = (
        relative(scores["ease"]) + relative(scores["near_wide"]) + relative(scores["near"]) + np.float32(0.3) * fresh
    )
    mark_best(marked, blend, blocked, BLEND_POOL)
    for name in ("ease", "near", "near_wide", "far_wide"):
        mark_best(marked, scores[name], blocked, POOL)
    for name in ("content", "ease_users"):
        mark_best(marked, scores[name], blocked, POOL // 2)
    rows, items = np.nonzero(marked)
    return rows, items


def basket_features(world: World, chosen: Any, scores: dict[str, Floats], rows: tuple[Ints, Ints]) -> Candidates:
    """The ranker's columns for the given (basket, item) rows, sorted by basket."""
    basket, item = rows
    columns = {name: matrix[basket, item] for name, matrix in scores.items()}
    for name in ("ease", "near", "near_wide"):
        columns[f"{name}_share"], columns[f"{name}_rank"] = standing(columns[name], basket)
    columns |= _closest(world, chosen, basket, item)
    columns |= {name: values[item] for name, values in world.demand.columns.items()}
    columns |= _against_basket(world, chosen, basket, item)
    return stack(basket, item, columns)


def _closest(world: World, chosen: Any, basket: Ints, item: Ints) -> dict[str, Floats]:
    """The single strongest tie to the basket, by text and by purchases, and how many of its items have a tie at all."""
    text, bought = np.zeros(len(item), np.float32), np.zeros(len(item), np.float32)
    ties = np.zeros(len(item), np.float32)
    start = np.searchsorted(basket, np.arange(chosen.shape[0] + 1))
    for row in range(chosen.shape[0]):
        inside = slice(start[row], start[row + 1])
        query = chosen.indices[chosen.indptr[row] : chosen.indptr[row + 1]]
        offered = item[inside]
        if not len(query) or not len(offered):
            continue
        text[inside] = (world.facts.vectors[offered] @ world.facts.vectors[query].T).max(axis=1)
        tie = np.asarray(world.near_wide[query].todense())[:, offered]
        bought[inside] = tie.max(axis=0)
        ties[inside] = (tie > 0).mean(axis=0)
    return {"closest_text": text, "closest_bought": bought, "tied_share": ties}


def _against_basket(world: World, chosen: Any, basket: Ints, item: Ints) -> dict[str, Floats]:
    demand, facts = world.demand, world.facts
    size = np.diff(chosen.indptr)

    def mean(values: Floats) -> Floats:
        return np.asarray(chosen @ values.astype(np.float32) / np.maximum(size, 1), np.float32)[basket]

    age, category = mean(demand.age), facts.category[item]
    codes = sp.csr_matrix(
        (np.ones(world.n_items, np.float32), (np.arange(world.n_items), facts.category)),
        shape=(world.n_items, facts.n_categories),
    )
    share = np.asarray((chosen @ codes).todense()) / np.maximum(size, 1)[:, None]
    return {
        "basket_size": size[basket].astype(np.float32),
        "price": facts.price[item],
        "price_off": facts.price[item] - mean(facts.price),
        "quantity_off": demand.log_quantity[item] - mean(demand.log_quantity),
        "basket_popularity": mean(np.log1p(demand.popularity[30])),
        "basket_age": age,
        "age_off": demand.age[item] - age,
        "basket_members": mean(demand.member_share),
        "basket_trend": mean(np.log(demand.trend(7, 120))),
        "category_share": share[basket, category].astype(np.float32),
        "category_trend": demand.category_trend[category],
        "category_popularity": demand.category_popularity[category],
    }
