"""Everything fitted on the orders before one moment."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys_engine.signals.ranking.cooccurrence import together
from recsys_engine.signals.ranking.demand import Demand, demand_at
from recsys_engine.signals.ranking.ease import Ease, ease_on_baskets, ease_on_users
from recsys_engine.signals.ranking.neighbours import Neighbours, neighbours
from recsys_engine.signals.ranking.orders import DAY_S, Facts, Orders


@dataclass(frozen=True)
class Tuning:
    """Half-lives in days, ridges in weighted baskets (users): chosen on rolling windows before the validation cut."""

    near_half_life: float = 45
    far_half_life: float = 180
    basket_half_life: float = 60
    basket_ridge: float = 150
    user_ridge: float = 300


@dataclass(frozen=True)
class World:
    """Models at `now`; `near`, `far`: items × items co-occurrence at α = ½, `near_wide`, `far_wide` at α = .8,
    `far_given` at α = 1.
    """

    now: int
    facts: Facts
    demand: Demand
    near: Any
    near_wide: Any
    far: Any
    far_wide: Any
    far_given: Any
    ease: Ease
    ease_users: Ease
    neighbours: Neighbours

    @property
    def n_items(self) -> int:
        return len(self.facts.price)


def world_at(orders: Orders, facts: Facts, now: int, tuning: Tuning) -> World:
    """Fit every model on `orders`, all of them before `now` (unix seconds)."""
    age = ((now - orders.basket_ts) / DAY_S).astype(np.float32)
    near, near_wide = together(orders, age, tuning.near_half_life, (0.5, 0.8))
    far, far_wide, far_given = together(orders, age, tuning.far_half_life, (0.5, 0.8, 1.0))
    return World(
        now=now,
        facts=facts,
        demand=demand_at(orders, facts, now),
        near=near,
        near_wide=near_wide,
        far=far,
        far_wide=far_wide,
        far_given=far_given,
        ease=ease_on_baskets(orders, age, tuning.basket_half_life, tuning.basket_ridge),
        ease_users=ease_on_users(orders, tuning.user_ridge),
        neighbours=neighbours(orders, age),
    )
