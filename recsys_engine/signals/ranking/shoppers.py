"""Habit: what each shopper buys, how often, how long ago, and when the next time is due."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from recsys_engine.signals.ranking.demand import Demand
from recsys_engine.signals.ranking.neighbours import UPCF_BASKETS, tifu_weight
from recsys_engine.signals.ranking.orders import DAY_S, Facts, Floats, Ints, decay, rank_from_latest

GAP_TRUST = 2  # the item's usual gap counts as this many of the shopper's own gaps
TASTE_DAYS = 90  # half-life of category, brand and price taste
NEVER_DAYS = 999.0


@dataclass(frozen=True)
class Histories:
    """Order lines of several shoppers, one row per distinct item of a basket; `shopper` 0…count−1, `basket` codes
    unique per shopper.

    `known_as[shopper]` is the user code in the order log, or −1.
    """

    shopper: Ints
    item: Ints
    ts: Ints
    basket: Ints
    quantity: Floats
    known_as: Ints

    @property
    def count(self) -> int:
        return len(self.known_as)


class Shoppers:
    """Derived facts of some histories at `now`. Pairs are the distinct (shopper, item), sorted; shoppers have one
    entry each.
    """

    def __init__(self, lines: Histories, demand: Demand, facts: Facts, now: int) -> None:
        self.lines, self.demand, self.facts, self.now = lines, demand, facts, now
        self.n_items = len(facts.price)
        self.age = ((now - lines.ts) / DAY_S).astype(np.float32)
        self.key, self.pair_of_line = np.unique(lines.shopper * self.n_items + lines.item, return_inverse=True)
        self.shopper, self.item = self.key // self.n_items, self.key % self.n_items
        self._rank_baskets()

    def _rank_baskets(self) -> None:
        lines, n = self.lines, int(self.lines.basket.max(initial=-1)) + 1
        ts, owner = np.zeros(n, np.int64), np.zeros(n, np.int64)
        np.maximum.at(ts, lines.basket, lines.ts)
        owner[lines.basket] = lines.shopper
        self.baskets = np.bincount(owner, minlength=lines.count)
        self.line_rank = rank_from_latest(owner, ts, lines.count)[lines.basket]

    def matrix(self, pair_values: Any) -> Any:
        """Shoppers × items CSR with one value per pair."""
        values = np.asarray(pair_values, np.float32)
        indptr = np.searchsorted(self.shopper, np.arange(self.lines.count + 1))
        return sp.csr_matrix((values, self.item, indptr), shape=(self.lines.count, self.n_items))

    @cached_property
    def pairs(self) -> dict[str, Floats]:
        """Features of each pair; `due` is the time since the last purchase over the gap, smoothed towards the item's
        usual gap.
        """
        count, last, first = self._sum(np.ones_like(self.age)), self._least(self.age), -self._least(-self.age)
        rank_last = self._least(self.line_rank)
        rank_first = -self._least(-self.line_rank)
        own_gaps = count - 1
        usual = np.expm1(self.demand.log_gap[self.item])
        gap = (first - last + GAP_TRUST * usual) / (own_gaps + GAP_TRUST)
        per_line = self.baskets[self.lines.shopper].astype(np.float32)
        return {
            "own_count": count,
            "own_20d": self._sum(decay(self.age, 20)),
            "own_60d": self._sum(decay(self.age, 60)),
            "own_180d": self._sum(decay(self.age, 180)),
            "own_since_last": last,
            "own_since_first": first,
            "own_gap": np.where(own_gaps > 0, (first - last) / np.maximum(own_gaps, 1), np.nan).astype(np.float32),
            "own_due": (last / np.maximum(gap, 0.5)).astype(np.float32),
            "own_orders_ago": rank_last,
            "own_share": count / np.maximum(self.baskets[self.shopper], 1).astype(np.float32),
            "own_share_since_first": count / (rank_first + 1),
            "own_quantity": np.log1p(self._sum(np.maximum(self.lines.quantity, 0))),
            "own_tifu": self._sum(tifu_weight(self.line_rank.astype(np.float32), per_line)),
            "own_upcf": self._sum((self.line_rank < UPCF_BASKETS) / np.maximum(np.minimum(per_line, UPCF_BASKETS), 1)),
        }

    def _sum(self, line_values: Any) -> Floats:
        return np.bincount(self.pair_of_line, line_values, minlength=len(self.key)).astype(np.float32)

    def _least(self, line_values: Any) -> Floats:
        least = np.full(len(self.key), np.inf, np.float32)
        np.minimum.at(least, self.pair_of_line, line_values.astype(np.float32))
        return least

    @cached_property
    def people(self) -> dict[str, Floats]:
        """Features of each shopper: rhythm, basket size, share of repeats, taste in price, age, popularity and
        quantity.
        """
        lines, count = self.lines, self.lines.count
        n_lines = np.bincount(lines.shopper, minlength=count)
        distinct = np.bincount(self.shopper, minlength=count)
        latest, earliest = np.full(count, NEVER_DAYS), np.zeros(count)
        np.minimum.at(latest, lines.shopper, self.age)
        np.maximum.at(earliest, lines.shopper, self.age)
        gap = np.maximum(earliest - latest, 0) / np.maximum(self.baskets - 1, 1)
        price = self.facts.price[lines.item]
        mean_price = self._taste(price)
        features = {
            "shopper_orders": self.baskets,
            "shopper_since_order": latest,
            "shopper_gap": gap,
            "shopper_due": latest / np.maximum(gap, 1),
            "shopper_basket_size": n_lines / np.maximum(self.baskets, 1),
            "shopper_items": distinct,
            "shopper_repeats": (n_lines - distinct) / np.maximum(n_lines, 1),
            "shopper_price": mean_price,
            "shopper_price_spread": np.sqrt(np.maximum(self._taste(price * price) - mean_price**2, 0)),
            "shopper_item_age": self._taste(self.demand.age[lines.item]),
            "shopper_popularity": self._taste(np.log1p(self.demand.purchases[lines.item])),
            "shopper_quantity": self._taste(np.log1p(np.maximum(lines.quantity, 0))),
            "shopper_last_size": np.bincount(lines.shopper[self.line_rank == 0], minlength=count),
        }
        return {name: np.asarray(values, np.float32) for name, values in features.items()}

    @cached_property
    def _taste_weight(self) -> Floats:
        weight = decay(self.age, TASTE_DAYS)
        total = np.bincount(self.lines.shopper, weight, minlength=self.lines.count) + 1e-9
        return (weight / total[self.lines.shopper]).astype(np.float32)

    def _taste(self, line_values: Floats) -> Floats:
        """Mean over a shopper's lines, weighted with a 90-day half-life."""
        mean = np.bincount(self.lines.shopper, self._taste_weight * line_values, minlength=self.lines.count)
        return mean.astype(np.float32)

    @cached_property
    def category_share(self) -> Floats:
        """Shoppers × categories, rows sum to 1 (0 for an empty history)."""
        share = np.zeros((self.lines.count, self.facts.n_categories), np.float32)
        np.add.at(share, (self.lines.shopper, self.facts.category[self.lines.item]), self._taste_weight)
        return share

    @cached_property
    def category_since(self) -> Floats:
        """Shoppers × categories, days since the last purchase in it, 999 = never."""
        since = np.full((self.lines.count, self.facts.n_categories), NEVER_DAYS, np.float32)
        np.minimum.at(since, (self.lines.shopper, self.facts.category[self.lines.item]), self.age)
        return since
