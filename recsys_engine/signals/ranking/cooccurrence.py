"""Basket co-occurrence: which items are bought together, lately, beyond what their popularity explains."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from recsys_engine.signals.ranking.orders import Floats, Orders, decay

SHRINK = 5.0  # weighted baskets added to each item's total: rare pairs are not evidence
FEWEST_BASKETS = 3
NEIGHBOURS = 200
MOST_ITEMS = 20_000  # densest items that take part; a block of rows is dense while it is pruned
BLOCK = 500


def together(orders: Orders, age_days: Floats, half_life: float, exponents: tuple[float, ...]) -> list[Any]:
    """One items × items CSR per exponent α, at most 200 neighbours a row, from the same decayed counts.

    s(i → j) = c_ij / ((c_i + 5)^α · (c_j + 5)^(1−α)), c = Σ over baskets of 2^(−age/half-life) · min(1, 60/lines).
    α = ½ is cosine; α → 1 is the conditional probability P(j | i) and favours popular companions.
    Source: Deshpande & Karypis 2004 (item-based top-N), asymmetric cosine of Aiolli 2013.
    """
    n = orders.n_items
    keep = _dense_items(orders)
    if not len(keep):
        return [sp.csr_matrix((n, n), dtype=np.float32) for _ in exponents]
    baskets = orders.matrix[:, keep]
    weighted = (sp.diags(decay(age_days, half_life) * orders.basket_weight) @ baskets).tocsr()
    total = np.asarray(weighted.sum(axis=0)).ravel() + SHRINK
    transposed = weighted.T.tocsr()
    parts: list[list[tuple[Any, Any, Any]]] = [[] for _ in exponents]
    for start in range(0, len(keep), BLOCK):
        block = np.asarray((transposed[start : start + BLOCK] @ baskets).todense(), np.float32)
        block[np.arange(len(block)), start + np.arange(len(block))] = 0
        for found, exponent in zip(parts, exponents, strict=True):
            own, other = total[start : start + BLOCK] ** exponent, total ** (1 - exponent)
            scaled = np.asarray(block / (own[:, None] * other[None]), np.float32)
            found.append(_strongest(scaled, start))
    return [_as_matrix(found, keep, n) for found in parts]


def _dense_items(orders: Orders) -> Any:
    count = np.bincount(orders.item, minlength=orders.n_items)
    densest = np.argsort(-count, kind="stable")[:MOST_ITEMS]
    return np.sort(densest[count[densest] >= FEWEST_BASKETS])


def _strongest(block: Floats, start: int) -> tuple[Any, Any, Any]:
    width = min(NEIGHBOURS, block.shape[1])
    column = np.argpartition(-block, width - 1, axis=1)[:, :width]
    value = np.take_along_axis(block, column, 1).ravel()
    row = np.repeat(np.arange(start, start + len(block)), width)
    positive = value > 0
    return row[positive], column.ravel()[positive], value[positive]


def _as_matrix(found: list[tuple[Any, Any, Any]], keep: Any, n: int) -> Any:
    row, column, value = (np.concatenate(part) for part in zip(*found, strict=True))
    return sp.csr_matrix((value, (keep[row], keep[column])), shape=(n, n))
