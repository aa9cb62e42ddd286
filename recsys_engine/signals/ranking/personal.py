"""What will this shopper buy next? Candidates and features for "home" (repeats welcome) and "discover" (never
bought).
"""

from itertools import pairwise

import numpy as np

from recsys_engine.signals.ranking.columns import Candidates, mark_best, relative, stack, standing
from recsys_engine.signals.ranking.neighbours import TIFU_OWN
from recsys_engine.signals.ranking.orders import Bools, Floats, Ints
from recsys_engine.signals.ranking.shoppers import Shoppers
from recsys_engine.signals.ranking.world import World

OWN_CANDIDATES = 300  # of the shopper's own items, by 180-day decayed count
POOL = 100  # new items taken from each score for "discover"; a third of it for "home"
MOST_PER_ITEM = 3.0  # decayed purchases of one item beyond which a history says no more about others
UNKNOWN_UNLESS_OWNED = ("own_since_last", "own_since_first", "own_gap", "own_due", "own_orders_ago")


def personal_scores(world: World, shoppers: Shoppers) -> dict[str, Floats]:
    """Shoppers × items, one matrix per generator; see the modules named in each line for the formula."""
    pairs = shoppers.pairs
    owned = shoppers.matrix(np.ones(len(shoppers.key)))
    habit = shoppers.matrix(np.minimum(pairs["own_60d"], MOST_PER_ITEM))
    presence = shoppers.matrix(np.minimum(pairs["own_180d"], 1))
    overlap = world.neighbours.overlap(owned, shoppers.lines.known_as)
    return {
        "knn": np.asarray((habit @ world.near).todense(), np.float32),
        "ease": world.ease.scores(presence),
        "ease_users": world.ease_users.scores(presence),
        "tifu_near": world.neighbours.tifu_scores(shoppers.matrix(pairs["own_tifu"]), shoppers.lines.known_as),
        "upcf_near": world.neighbours.upcf_scores(overlap),
        "lately_near": world.neighbours.lately_scores(overlap),
    }


def personal_candidates(
    world: World, shoppers: Shoppers, scores: dict[str, Floats], *, repeats: bool
) -> tuple[Ints, Ints]:
    """(shopper, item) rows: the best new items of every generator and, with `repeats`, the shopper's own items."""
    owned = np.zeros((shoppers.lines.count, world.n_items), bool)
    owned[shoppers.shopper, shoppers.item] = True
    blocked = owned | (world.demand.purchases == 0)[None]
    marked = np.zeros_like(owned)
    _mark_new(marked, blocked, world, scores, POOL // 3 if repeats else POOL)
    if repeats:
        order = np.lexsort((-shoppers.pairs["own_180d"], shoppers.shopper))
        rank = np.arange(len(order)) - np.searchsorted(shoppers.shopper, shoppers.shopper[order])
        chosen = order[rank < OWN_CANDIDATES]
        marked[shoppers.shopper[chosen], shoppers.item[chosen]] = True
    rows, items = np.nonzero(marked)
    return rows, items


def _mark_new(marked: Bools, blocked: Bools, world: World, scores: dict[str, Floats], pool: int) -> None:
    week = world.demand.popularity[7]
    fresh = (week / max(float(week.max(initial=0)), 1e-9))[None]
    blend = (
        relative(scores["ease"])
        + 0.5 * relative(scores["knn"])
        + 0.3 * relative(scores["lately_near"])
        + np.float32(0.25) * fresh
    )
    mark_best(marked, blend, blocked, 2 * pool)
    for name in ("ease", "ease_users", "knn", "lately_near", "upcf_near", "tifu_near"):
        mark_best(marked, scores[name], blocked, pool)
    mark_best(marked, np.broadcast_to(fresh, blocked.shape), blocked, pool)


def personal_features(
    world: World, shoppers: Shoppers, scores: dict[str, Floats], rows: tuple[Ints, Ints], *, repeats: bool
) -> Candidates:
    """The ranker's columns for the given (shopper, item) rows, sorted by shopper."""
    shopper, item = rows
    columns = {name: matrix[shopper, item] for name, matrix in scores.items()}
    columns["content"] = _content(world, shoppers, shopper, item)
    if repeats:
        columns |= _own_columns(shoppers, shopper, item, columns)
    for name in ("ease", "knn", "lately_near", *(("tifu", "upcf") if repeats else ())):
        columns[f"{name}_share"], columns[f"{name}_rank"] = standing(columns[name], shopper)
    columns |= {name: values[item] for name, values in world.demand.columns.items()}
    columns |= _taste_columns(world, shoppers, shopper, item)
    columns |= {name: values[shopper] for name, values in shoppers.people.items()}
    return stack(shopper, item, columns)


def _content(world: World, shoppers: Shoppers, shopper: Ints, item: Ints) -> Floats:
    """Cosine of each offered item's text vector with the decayed mean of the history's vectors."""
    profile = shoppers.matrix(np.minimum(shoppers.pairs["own_60d"], MOST_PER_ITEM)) @ world.facts.vectors
    profile = profile / (np.linalg.norm(profile, axis=1, keepdims=True) + 1e-9)
    out = np.empty(len(item), np.float32)
    edges = np.searchsorted(shopper, np.arange(len(profile) + 1))
    for row, (start, stop) in enumerate(pairwise(edges.tolist())):
        out[start:stop] = world.facts.vectors[item[start:stop]] @ profile[row]
    return out


def _own_columns(shoppers: Shoppers, shopper: Ints, item: Ints, near: dict[str, Floats]) -> dict[str, Floats]:
    wanted = shopper * shoppers.n_items + item
    at = np.minimum(np.searchsorted(shoppers.key, wanted), max(len(shoppers.key) - 1, 0))
    mine = shoppers.key[at] == wanted if len(shoppers.key) else np.zeros(len(wanted), bool)
    own: dict[str, Floats] = {}
    for name, values in shoppers.pairs.items():
        unknown = np.float32(np.nan if name in UNKNOWN_UNLESS_OWNED else 0)
        own[name] = _where(mine, values, at, unknown)
    own["tifu"] = TIFU_OWN * own["own_tifu"] + (1 - TIFU_OWN) * near["tifu_near"]
    own["upcf"] = own["own_upcf"] + near["upcf_near"]
    rhythm = np.maximum(shoppers.people["shopper_gap"][shopper], 1)
    own["own_orders_due"] = np.asarray(own["own_since_last"] / rhythm, np.float32)
    return own


def _where(mine: Bools, values: Floats, at: Ints, unknown: np.float32) -> Floats:
    out = np.full(len(at), unknown, np.float32)
    out[mine] = values[at[mine]]
    return out


def _taste_columns(world: World, shoppers: Shoppers, shopper: Ints, item: Ints) -> dict[str, Floats]:
    people, category = shoppers.people, world.facts.category[item]
    price = world.facts.price[item]
    off = price - people["shopper_price"][shopper]
    return {
        "price": price,
        "price_off": off,
        "price_off_band": off / (people["shopper_price_spread"][shopper] + np.float32(0.2)),
        "quantity_off": world.demand.log_quantity[item] - people["shopper_quantity"][shopper],
        "category_share": shoppers.category_share[shopper, category],
        "category_since": shoppers.category_since[shopper, category],
        "category_trend": world.demand.category_trend[category],
    }
