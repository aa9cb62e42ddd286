"""Demand of each item at one moment: popularity at several half-lives, trend, age, repurchase rhythm."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys_engine.signals.ranking.orders import DAY_S, Facts, Floats, Ints, Orders, decay

HALF_LIVES = (3, 7, 14, 30, 60, 120, 365)  # days
PER_DAYS = 10  # popularity is read as weighted baskets per 10 days, so half-lives compare
SMOOTH = 0.05  # weighted baskets per 10 days added to both sides of a trend ratio
GAP_PRIOR = 5  # pseudo-purchases behind an item's own repurchase gap and rate
QUICK_GAP = 45  # days: a repurchase within it counts as quick
QUICK_PRIOR = 0.15  # share of purchases followed by a quick one, for an item never seen


@dataclass(frozen=True)
class Demand:
    """One entry per item. `popularity[h]` in weighted baskets per 10 days; ages in days."""

    popularity: dict[int, Floats]
    purchases: Floats
    buyers: Floats
    age: Floats
    since_sale: Floats
    repeat_rate: Floats
    log_gap: Floats
    quick_rate: Floats
    log_quantity: Floats
    member_share: Floats
    category_trend: Floats
    category_popularity: Floats

    def trend(self, short: int, long: int) -> Floats:
        """(short-term + s) / (long-term + s) popularity: above 1 while demand rises."""
        return (self.popularity[short] + np.float32(SMOOTH)) / (self.popularity[long] + np.float32(SMOOTH))

    @cached_property
    def columns(self) -> dict[str, Floats]:
        """Every item feature by name, ready for a ranker."""
        popularity = {f"pop_{h}d": v for h, v in self.popularity.items()}
        trends = {f"trend_{a}_{b}": self.trend(a, b) for a, b in ((7, 30), (7, 120), (30, 365), (3, 14))}
        own = ("age", "since_sale", "repeat_rate", "buyers", "log_gap", "quick_rate", "log_quantity", "member_share")
        return popularity | trends | {name: getattr(self, name) for name in own}


def demand_at(orders: Orders, facts: Facts, now: int) -> Demand:
    """Demand from the orders before `now` (unix seconds)."""
    n = orders.n_items
    basket_age = ((now - orders.basket_ts) / DAY_S).astype(np.float32)
    popularity = {h: _popularity(orders, basket_age, h) for h in HALF_LIVES}
    purchases = np.bincount(orders.item, minlength=n).astype(np.float32)
    buyers = np.bincount(np.unique(orders.user * n + orders.item) % n, minlength=n).astype(np.float32)
    log_gap, quick_rate = _rhythm(orders, purchases)
    short = np.bincount(facts.category, popularity[14], minlength=facts.n_categories)
    long = np.bincount(facts.category, popularity[120], minlength=facts.n_categories)
    return Demand(
        popularity=popularity,
        purchases=purchases,
        buyers=buyers,
        age=_extreme_age(orders, now, first=True),
        since_sale=_extreme_age(orders, now, first=False),
        repeat_rate=(purchases - buyers) / (purchases + 5),
        log_gap=log_gap,
        quick_rate=quick_rate,
        log_quantity=_mean_by_item(orders, np.log1p(np.maximum(orders.quantity, 0)), purchases),
        member_share=_mean_by_item(orders, orders.is_member[orders.user].astype(np.float32), purchases),
        category_trend=(short / (long + 0.1)).astype(np.float32),
        category_popularity=short.astype(np.float32),
    )


def _popularity(orders: Orders, basket_age: Floats, half_life: int) -> Floats:
    weight = decay(basket_age, half_life) * orders.basket_weight * np.float32(PER_DAYS / half_life)
    return np.bincount(orders.item, weight[orders.basket], minlength=orders.n_items).astype(np.float32)


def _extreme_age(orders: Orders, now: int, *, first: bool) -> Floats:
    """Days since the first (or last) sale; 0 (or 999) for an item never sold."""
    found = np.full(orders.n_items, now if first else now - 999 * DAY_S, np.int64)
    (np.minimum if first else np.maximum).at(found, orders.item, orders.ts)
    return ((now - found) / DAY_S).astype(np.float32)


def _mean_by_item(orders: Orders, values: Floats, purchases: Floats) -> Floats:
    total = np.bincount(orders.item, values, minlength=orders.n_items)
    return (total / np.maximum(purchases, 1)).astype(np.float32)


def _rhythm(orders: Orders, purchases: Floats) -> tuple[Floats, Floats]:
    """Smoothed mean log(1 + days) between two purchases by one user, and the share of purchases followed quickly by
    the next.

    Both shrink to the shop's own mean with 5 pseudo-purchases (empirical Bayes, fixed prior weight).
    """
    order = np.lexsort((orders.ts, orders.item, orders.user))
    item, user, ts = orders.item[order], orders.user[order], orders.ts[order]
    same = (user[1:] == user[:-1]) & (item[1:] == item[:-1])
    gap = (ts[1:] - ts[:-1])[same] / DAY_S
    of: Ints = item[1:][same]
    log_gap = np.log1p(gap)
    mean = float(log_gap.mean()) if len(gap) else np.log1p(60.0)
    n = orders.n_items
    gap_sum, gap_count = np.bincount(of, log_gap, minlength=n), np.bincount(of, minlength=n)
    quick = np.bincount(of[gap <= QUICK_GAP], minlength=n)
    smoothed = (gap_sum + GAP_PRIOR * mean) / (gap_count + GAP_PRIOR)
    rate = (quick + GAP_PRIOR * QUICK_PRIOR) / (purchases + GAP_PRIOR)
    return smoothed.astype(np.float32), rate.astype(np.float32)
