"""The purchase log as columns: one row per distinct item of a basket."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

DAY_S = 86_400
WHOLESALE_LINES = 60  # a basket longer than this says less per line: its weight is cut to 60 / lines


@dataclass(frozen=True)
class Facts:
    """What the catalogue says of each item; every array has one entry per item.

    price: log(1 + price in major units). category, brand: dense codes. vectors: unit rows (zero row = no vector),
    384 wide.
    """

    price: Floats
    category: Ints
    brand: Ints
    vectors: Floats

    @cached_property
    def n_categories(self) -> int:
        return int(self.category.max(initial=0)) + 1


@dataclass(frozen=True)
class Orders:
    """Rows sorted by basket; `item`, `user`, `basket` are dense codes, `ts` unix seconds, `quantity` units bought.

    `is_member[user]` is false for shoppers seen without an account: they feed co-occurrence, not user neighbours.
    """

    item: Ints
    user: Ints
    basket: Ints
    ts: Ints
    quantity: Floats
    n_items: int
    is_member: Bools

    @property
    def n_users(self) -> int:
        return len(self.is_member)

    @cached_property
    def n_baskets(self) -> int:
        return int(self.basket.max(initial=-1)) + 1

    @cached_property
    def basket_ts(self) -> Ints:
        latest = np.zeros(self.n_baskets, np.int64)
        np.maximum.at(latest, self.basket, self.ts)
        return latest

    @cached_property
    def basket_user(self) -> Ints:
        owner = np.zeros(self.n_baskets, np.int64)
        owner[self.basket] = self.user
        return owner

    @cached_property
    def basket_size(self) -> Ints:
        return np.bincount(self.basket, minlength=self.n_baskets)

    @cached_property
    def basket_weight(self) -> Floats:
        """min(1, 60 / lines): wholesale baskets must not drown the shop."""
        return np.minimum(1.0, WHOLESALE_LINES / np.maximum(self.basket_size, 1)).astype(np.float32)

    @cached_property
    def baskets_by_user(self) -> Ints:
        return np.bincount(self.basket_user, minlength=self.n_users)

    @cached_property
    def basket_rank(self) -> Ints:
        """0 for a user's latest basket, 1 for the one before, …"""
        return rank_from_latest(self.basket_user, self.basket_ts, self.n_users)

    @cached_property
    def matrix(self) -> Any:
        """Baskets × items, 0/1, CSR float32."""
        shape = (self.n_baskets, self.n_items)
        return sp.csr_matrix((np.ones(len(self.item), np.float32), (self.basket, self.item)), shape=shape)

    def before(self, ts: int) -> "Orders":
        """Only what was known before `ts`; users and items keep their codes."""
        keep = self.ts < ts
        return orders_from_rows(
            item=self.item[keep],
            user=self.user[keep],
            basket=self.basket[keep],
            ts=self.ts[keep],
            quantity=self.quantity[keep],
            n_items=self.n_items,
            is_member=self.is_member,
        )


def orders_from_rows(
    *, item: Ints, user: Ints, basket: Ints, ts: Ints, quantity: Floats, n_items: int, is_member: Bools
) -> Orders:
    """Orders from raw order lines: repeated lines of one item in a basket are merged (first kept), baskets are
    renumbered.
    """
    dense = np.unique(basket, return_inverse=True)[1].astype(np.int64)
    first = np.unique(dense * n_items + item, return_index=True)[1]
    return Orders(item[first], user[first], dense[first], ts[first], quantity[first], n_items, is_member)


def rank_from_latest(owner: Ints, ts: Ints, n_owners: int) -> Ints:
    """Rank of each basket among its owner's, 0 = latest; equal times rank the later row as the later basket."""
    order = np.lexsort((ts, owner))
    count = np.bincount(owner, minlength=n_owners)
    start = np.cumsum(count) - count
    rank = np.empty(len(owner), np.int64)
    rank[order] = count[owner[order]] - 1 - (np.arange(len(owner)) - start[owner[order]])
    return rank


def decay(age_days: NDArray[Any], half_life_days: float) -> Floats:
    """2^(−age / half-life)."""
    return np.exp2(-np.asarray(age_days) / half_life_days).astype(np.float32)
