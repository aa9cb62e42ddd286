"""What shoppers with alike baskets buy: TIFU-kNN and UP-CF."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from recsys_engine.signals.ranking.orders import Bools, Floats, Ints, Orders, decay

TIFU_GROUP, TIFU_WITHIN, TIFU_ACROSS = 7, 0.9, 0.7  # baskets a group, decay inside a group, decay over groups
TIFU_OWN = 0.7  # share of the own vector against the neighbours'
TIFU_NEIGHBOURS = 300
UPCF_BASKETS = 25  # latest baskets that count
UPCF_SHARPNESS = 5  # similarity exponent
UPCF_ASYMMETRY = 0.25
UPCF_NEIGHBOURS = 400
LATELY_DAYS, LATELY_SHARPNESS = 21, 2  # half-life of what neighbours bought lately, and its milder sharpness


def tifu_weight(rank: Floats, count: Floats) -> Floats:
    """Weight of a basket by its rank from the latest: r_b^(rank mod g)/g · r_g^(rank div g)/⌈n/g⌉ with g = ⌈n/7⌉.

    Source: Hu et al. 2020, "Modeling Personalized Item Frequency Information for Next-basket Recommendation".
    """
    group = np.ceil(count / TIFU_GROUP).clip(1)
    across = TIFU_ACROSS ** (rank // group) / np.ceil(count / group).clip(1)
    return np.asarray(TIFU_WITHIN ** (rank % group) / group * across, np.float32)


@dataclass(frozen=True)
class Neighbours:
    """Members' vectors (users × items CSR): TIFU, share of the last 25 baskets, and what they bought lately."""

    tifu: Any
    tifu_length: Floats  # squared
    shares: Any
    lately: Any
    owned: Any  # 0/1, users × items
    owned_by_item: Any  # the same, CSC
    tifu_by_item: Any
    owned_count: Floats
    is_member: Bools

    def tifu_scores(self, own: Any, self_user: Ints) -> Floats:
        """Mean TIFU vector of the 300 nearest members (Euclidean), rows × items; `self_user` −1 = nobody to leave
        out.
        """
        distance = (-2.0 * (self.tifu_by_item @ own.T.tocsr()).toarray() + self.tifu_length[:, None]).T
        known = np.flatnonzero(self_user >= 0)
        distance[known, self_user[known]] = np.inf
        distance[:, ~self.is_member | (self.owned_count == 0)] = np.inf
        k = min(TIFU_NEIGHBOURS, distance.shape[1])
        if not k:
            return np.zeros((own.shape[0], own.shape[1]), np.float32)
        nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
        rows = np.repeat(np.arange(len(distance)), k)
        real = np.isfinite(np.take_along_axis(distance, nearest, 1))
        share = (real / np.maximum(real.sum(axis=1, keepdims=True), 1)).astype(np.float32)
        chosen = sp.csr_matrix((share.ravel(), (rows, nearest.ravel())), shape=distance.shape)
        return np.asarray((chosen @ self.tifu).todense(), np.float32)

    def overlap(self, owned: Any, self_user: Ints) -> Floats:
        """|A ∩ B| / (|A|^¼ · |B|^¾) of each row's item set with every member's, rows × users, 0 for oneself and for
        guests.

        Source: Faggioli et al. 2020, "Recency Aware Collaborative Filtering for Next Basket Recommendation" (UP-CF).
        """
        shared = (self.owned_by_item @ owned.T.tocsr()).toarray().T
        size = np.maximum(np.diff(owned.indptr), 1)[:, None] ** UPCF_ASYMMETRY
        similarity = shared / (size * np.maximum(self.owned_count, 1)[None] ** (1 - UPCF_ASYMMETRY))
        known = np.flatnonzero(self_user >= 0)
        similarity[known, self_user[known]] = 0
        similarity[:, ~self.is_member] = 0
        return np.asarray(similarity, np.float32)

    def upcf_scores(self, overlap: Floats) -> Floats:
        """Σ overlap⁵ · share of the neighbour's last 25 baskets, rows × items."""
        return _weighted_sum(_nearest(overlap) ** UPCF_SHARPNESS, self.shares)

    def lately_scores(self, overlap: Floats) -> Floats:
        """Σ overlap² · what the neighbour bought lately (21-day half-life), rows × items."""
        return _weighted_sum(_nearest(overlap) ** LATELY_SHARPNESS, self.lately)

    def forget(self, users: Ints) -> None:
        """Empty the rows of erased members: they are nobody's neighbour any more. Written in place."""
        self.is_member[users] = False
        self.owned_count[users] = 0
        self.tifu_length[users] = 0
        gone = np.zeros(len(self.is_member), bool)
        gone[users] = True
        for by_user in (self.tifu, self.shares, self.lately, self.owned):
            by_user.data[np.repeat(gone, np.diff(by_user.indptr))] = 0
        for by_item in (self.owned_by_item, self.tifu_by_item):
            by_item.data[gone[by_item.indices]] = 0


def _nearest(overlap: Floats) -> Floats:
    """Each row with all but its 400 largest values set to 0: the rest adds time, not knowledge."""
    if overlap.shape[1] <= UPCF_NEIGHBOURS:
        return overlap
    least = np.partition(overlap, -UPCF_NEIGHBOURS, axis=1)[:, -UPCF_NEIGHBOURS, None]
    return np.where(overlap >= least, overlap, np.float32(0))


def _weighted_sum(weights: Floats, vectors: Any) -> Floats:
    return np.asarray((sp.csr_matrix(weights) @ vectors).todense(), np.float32)


def neighbours(orders: Orders, age_days: Floats) -> Neighbours:
    """Vectors of every member from the orders at hand; guests get empty ones."""
    by_member = orders.is_member[orders.basket_user].astype(np.float32)
    count = orders.baskets_by_user[orders.basket_user].astype(np.float32)
    rank = orders.basket_rank.astype(np.float32)
    recent = ((rank < UPCF_BASKETS) / np.maximum(np.minimum(count, UPCF_BASKETS), 1)).astype(np.float32)
    tifu = _by_user(orders, tifu_weight(rank, count) * by_member)
    owned = _by_user(orders, np.ones(orders.n_baskets, np.float32))
    owned.data[:] = 1
    return Neighbours(
        tifu=tifu,
        tifu_length=np.asarray(tifu.multiply(tifu).sum(axis=1)).ravel().astype(np.float32),
        shares=_by_user(orders, recent * by_member),
        lately=_by_user(orders, decay(age_days, LATELY_DAYS) * by_member * orders.basket_weight),
        owned=owned,
        owned_by_item=owned.tocsc(),
        tifu_by_item=tifu.tocsc(),
        owned_count=np.diff(owned.indptr).astype(np.float32),
        is_member=orders.is_member,
    )


def _by_user(orders: Orders, weight: Floats) -> Any:
    """Users × items: Σ over a user's baskets of weight · items; zero weights leave no entry."""
    live = np.flatnonzero(weight > 0)
    shape = (orders.n_users, orders.n_baskets)
    owner = sp.csr_matrix((weight[live].astype(np.float32), (orders.basket_user[live], live)), shape=shape)
    return (owner @ orders.matrix).tocsr()
