"""The shoppers' click model as matrices: millions of impressions a second, for proofs that need many worlds.

The same people, appeals and looking as behind the pages (`shoppers`), without the pages: one place of a list goes to
a product by a policy, and clicked with look(rank) · appeal.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shop_app.simulator.shoppers import Offer, population

Floats = NDArray[np.float64]
DEPARTMENTS = tuple(f"/departments/{n}" for n in range(8))
HOUSES = 12
RANKS = 5


@dataclass(frozen=True, slots=True)
class Log:
    """Logged decisions, one a row: click (0/1), and where each row stands in the world's matrices."""

    clicks: Floats
    shoppers: NDArray[np.int64]
    ranks: NDArray[np.int64]
    items: NDArray[np.int64]


class World:
    """`shoppers` people before `items` products. `appeal` is shoppers × items, `look` is shoppers × ranks."""

    def __init__(self, seed: int, *, shoppers: int = 120, items: int = 20) -> None:
        people = population(seed, shoppers, DEPARTMENTS)
        rng = np.random.default_rng(seed)
        prices = np.exp(rng.normal(np.log(4000), 0.5, items)).astype(int)
        offers = [
            Offer(f"SKU-{n}", "", int(prices[n]), f"House {n % HOUSES}", DEPARTMENTS[n % len(DEPARTMENTS)])
            for n in range(items)
        ]
        self.appeal: Floats = np.array([[who.appeal(offer) for offer in offers] for who in people])
        self.look: Floats = np.array([[who.look(rank) for rank in range(1, RANKS + 1)] for who in people])

    def softmax(self, sharpness: float, *, noise: float = 0.0, seed: int = 0, floor: float = 0.2) -> Floats:
        """A policy: shoppers × items, rows sum to 1. It believes in the appeals, blurred by `noise` in log odds.

        Negative sharpness prefers what people do not want. `floor` is the share given to all items alike.
        """
        odds = np.log(self.appeal / (1 - self.appeal))
        odds = odds + noise * np.random.default_rng(seed).standard_normal(odds.shape)
        weights = np.exp(sharpness * (odds - odds.max(axis=1, keepdims=True)))
        policy: Floats = (1 - floor) * weights / weights.sum(axis=1, keepdims=True) + floor / odds.shape[1]
        return policy

    def click_rate(self, policy: Floats) -> float:
        """The true clicks an impression when `policy` chooses: everybody and every rank equally often."""
        return float(((policy * self.appeal).sum(axis=1) * self.look.mean(axis=1)).mean())

    def log(self, policy: Floats, rows: int, rng: np.random.Generator) -> Log:
        """`rows` independent impressions chosen by `policy`."""
        shoppers = rng.integers(0, len(self.appeal), rows)
        ranks = rng.integers(0, RANKS, rows)
        items = (rng.random(rows)[:, None] > policy.cumsum(axis=1)[shoppers][:, :-1]).sum(axis=1)
        chance = self.look[shoppers, ranks] * self.appeal[shoppers, items]
        return Log((rng.random(rows) < chance).astype(float), shoppers, ranks, items)

    def believed(self, *, error: float, seed: int) -> tuple[Floats, Floats]:
        """A click model that is wrong by about `error`: appeal (shoppers × items) and looking (ranks)."""
        blur = np.exp(error * np.random.default_rng(seed).standard_normal(self.appeal.shape))
        return np.clip(self.appeal * blur, 0, 1), self.look.mean(axis=0)
