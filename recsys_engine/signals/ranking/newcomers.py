"""Items nobody has bought yet: what the shopper would get, carried over to them by their text."""

from dataclasses import dataclass

import numpy as np

from recsys_engine.signals.ranking.columns import relative
from recsys_engine.signals.ranking.orders import Floats, Ints
from recsys_engine.signals.ranking.world import World

SHARPNESS = 6  # exponent of the cosine kernel: near-twins decide
MOST_NEWCOMERS = 3_000  # the kernel is newcomers × items, dense
SPARSE_MASS = 0.05  # kernel mass added below: an item without near relatives stays low


@dataclass(frozen=True)
class Kinship:
    """Items with a text and no sale yet, and their normalised kernel over the items with sales (newcomers × items)."""

    items: Ints
    kernel: Floats


def kinship(world: World) -> Kinship:
    """K = max(0, cosine)⁶ / (Σ + ε) for every item without sales."""
    vectors, sold = world.facts.vectors, world.demand.purchases > 0
    items = np.flatnonzero(~sold & vectors.any(axis=1))[-MOST_NEWCOMERS:]
    kernel = np.maximum(vectors[items] @ vectors.T, 0) ** SHARPNESS * sold[None]
    return Kinship(items, np.asarray(kernel / (kernel.sum(axis=1, keepdims=True) + SPARSE_MASS), np.float32))


def newcomer_scores(kin: Kinship, scores: Floats) -> Floats:
    """Shoppers × newcomers: Σ_j K_ij · s(u, j), `scores` being a model's, shoppers × items, each row over its best.

    A Nadaraya–Watson estimate of what the scores would be at a new item, from its text neighbours. On ten rolling
    windows
    EASE carried over this way beat the text kernel over the shopper's own items in nine.
    """
    return np.asarray(relative(scores) @ kin.kernel.T, np.float32)
