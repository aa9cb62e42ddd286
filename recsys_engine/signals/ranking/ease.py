"""EASE: the linear item-item model in closed form.

Source: Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data": with G = XᵀX + λI and P = G⁻¹,
B_ij = −P_ij / P_jj off the diagonal and 0 on it; a shopper's scores are x · B.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg import lapack

from recsys_engine.signals.ranking.orders import Floats, Ints, Orders, decay

MOST_ITEMS = 6000  # the inverse costs n³ and 4n² bytes: 6,000 items are 144 MB and some seconds
FEWEST_BASKETS = 3
FORGOTTEN = 1e-3  # baskets that weigh less than this are left out of the Gram matrix


@dataclass(frozen=True)
class Ease:
    """`weights` is kept × kept; `position[item]` its row or −1."""

    items: Ints
    position: Ints
    weights: Floats

    def scores(self, history: Any) -> Floats:
        """Rows × items from a rows × items CSR; items outside the model score 0."""
        out = np.zeros(history.shape, np.float32)
        inside = history[:, self.items] if history.shape[0] > 1 else None
        if inside is None:
            at = self.position[history.indices]
            known = at >= 0
            out[0, self.items] = history.data[known] @ self.weights[at[known]]
        else:
            out[:, self.items] = inside @ self.weights
        return out

    def towards(self, owned: Ints, item: int) -> Floats:
        """B_ji of each owned item j towards one item; 0 where either is outside the model."""
        at, to = self.position[owned], self.position[item]
        found = np.zeros(len(owned), np.float32)
        if to >= 0:
            found[at >= 0] = self.weights[at[at >= 0], to]
        return found


def ease_on_baskets(orders: Orders, age_days: Floats, half_life: float, ridge: float) -> Ease:
    """Rows are baskets weighted 2^(−age/half-life): what completes a basket now."""
    weight = decay(age_days, half_life)
    live = weight > FORGOTTEN
    return _fit(sp.diags(np.sqrt(weight[live])) @ orders.matrix[np.flatnonzero(live)], orders, ridge)


def ease_on_users(orders: Orders, ridge: float) -> Ease:
    """Rows are members (0/1 over their whole history): what else such shoppers own."""
    owner = sp.csr_matrix(
        (np.ones(orders.n_baskets, np.float32), (orders.basket_user, np.arange(orders.n_baskets))),
        shape=(orders.n_users, orders.n_baskets),
    )
    rows = (owner @ orders.matrix).tocsr()
    rows.data[:] = 1
    distinct = np.diff(rows.indptr)
    return _fit(rows[(orders.is_member) & (distinct > 0)], orders, ridge)


def _fit(rows: Any, orders: Orders, ridge: float) -> Ease:
    count = np.bincount(orders.item, minlength=orders.n_items)
    densest = np.argsort(-count, kind="stable")[:MOST_ITEMS]
    items = np.sort(densest[count[densest] >= FEWEST_BASKETS])
    position = np.full(orders.n_items, -1, np.int64)
    position[items] = np.arange(len(items))
    if not len(items):
        return Ease(items, position, np.zeros((0, 0), np.float32))
    inside = rows.tocsr()[:, items]
    gram = np.asarray((inside.T @ inside).todense(), np.float32)
    return Ease(items, position, _closed_form(gram, ridge))


def _closed_form(gram: Floats, ridge: float) -> Floats:
    gram[np.diag_indices_from(gram)] += np.float32(ridge)
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError(f"the Gram matrix is not positive definite (minor {failed}); raise the ridge")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)[None, :]
    np.fill_diagonal(weights, 0)
    return np.ascontiguousarray(weights, np.float32)
