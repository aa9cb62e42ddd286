"""From the live state to the columns the ranking learns from."""

from dataclasses import dataclass

import numpy as np

from recsys_engine.contract.entities import EventType
from recsys_engine.domain import History, Shelf
from recsys_engine.signals.histories import BASKET, ITEM, TS_MS, TYPE, VALUE
from recsys_engine.signals.ranking.orders import Facts, Floats, Ints, Orders, orders_from_rows
from recsys_engine.signals.ranking.shoppers import Histories
from recsys_engine.signals.state import LiveState

ANONYMOUS_PREFIX = "a_"


@dataclass(frozen=True)
class Lessons:
    """What a refit needs, free of the live state: it can be handed to another process."""

    orders: Orders
    facts: Facts
    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]


def lessons_from(state: LiveState) -> Lessons:
    """A copy of every purchase and of the catalogue's facts, in the state's own item and user order."""
    parts = [_purchases(state, user) for user in range(len(state.histories.user_ids))]
    rows = np.concatenate([*parts, np.empty((0, 6))])
    shelf = state.catalog.shelf()
    user = rows[:, 5].astype(np.int64)
    basket = np.unique(np.stack([user, rows[:, BASKET].astype(np.int64)]), axis=1, return_inverse=True)[1]
    orders = orders_from_rows(
        item=rows[:, ITEM].astype(np.int64),
        user=user,
        basket=basket.astype(np.int64),
        ts=(rows[:, TS_MS] // 1000).astype(np.int64),
        quantity=rows[:, VALUE].astype(np.float32),
        n_items=shelf.size,
        is_member=np.array([not name.startswith(ANONYMOUS_PREFIX) for name in state.histories.user_ids], bool),
    )
    return Lessons(orders, facts_of(shelf), tuple(shelf.ids), tuple(state.histories.user_ids))


def _purchases(state: LiveState, user: int) -> Floats:
    rows = state.histories.rows(user)
    bought = rows[rows[:, TYPE] == EventType.PURCHASE]
    return np.column_stack([bought, np.full(len(bought), user, np.float64)])


def facts_of(shelf: Shelf) -> Facts:
    """Catalogue facts; unknown brand and category share code 0, an item without a vector has a zero row."""
    vectors = np.zeros((shelf.size, shelf.embeddings.shape[1]), np.float32)
    has = shelf.embedding_row >= 0
    vectors[has] = shelf.embeddings[shelf.embedding_row[has]]
    price = np.log1p(np.maximum(np.nan_to_num(shelf.price), 0)).astype(np.float32)
    return Facts(price, shelf.category + 1, shelf.brand + 1, vectors)


def histories_from(history: History, to_model: Ints, known_as: int) -> Histories:
    """One shopper's purchases in the model's item codes; items the model never saw are left out."""
    item = to_model[history.items]
    keep = (history.types == EventType.PURCHASE) & (item >= 0)
    basket = np.unique(history.baskets[keep], return_inverse=True)[1].astype(np.int64)
    key, first = np.unique(basket * (len(to_model) + 1) + item[keep], return_index=True)
    return Histories(
        shopper=np.zeros(len(key), np.int64),
        item=item[keep][first],
        ts=history.ts_s[keep][first].astype(np.int64),
        basket=basket[first],
        quantity=history.values[keep][first].astype(np.float32),
        known_as=np.array([known_as], np.int64),
    )
