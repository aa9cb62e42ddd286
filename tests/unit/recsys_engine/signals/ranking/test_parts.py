"""Formulas against hand-made numbers."""

import numpy as np
import pytest
import scipy.sparse as sp

from recsys_engine.signals.ranking.columns import mark_best, relative, standing
from recsys_engine.signals.ranking.cooccurrence import together
from recsys_engine.signals.ranking.demand import demand_at
from recsys_engine.signals.ranking.ease import ease_on_baskets
from recsys_engine.signals.ranking.neighbours import neighbours, tifu_weight
from recsys_engine.signals.ranking.orders import DAY_S, Facts, orders_from_rows, rank_from_latest
from recsys_engine.signals.ranking.shoppers import Histories, Shoppers

NOW = 1_700_000_000


def _orders(rows, n_items=4, n_users=4, guests=()):
    item, user, basket, days_ago, quantity = (np.array(column) for column in zip(*rows, strict=True))
    return orders_from_rows(
        item=item,
        user=user,
        basket=basket,
        ts=(NOW - days_ago * DAY_S).astype(np.int64),
        quantity=quantity.astype(np.float32),
        n_items=n_items,
        is_member=~np.isin(np.arange(n_users), guests),
    )


def _facts(n=4):
    zero = np.zeros(n, np.int64)
    return Facts(np.arange(1, n + 1, dtype=np.float32), zero, zero, np.eye(n, 384, dtype=np.float32))


def test_a_repeated_line_of_a_basket_counts_once():
    orders = _orders([(1, 0, 7, 3, 2), (1, 0, 7, 3, 5), (2, 0, 7, 3, 1)])

    assert orders.item.tolist() == [1, 2]
    assert orders.n_baskets == 1
    assert orders.basket_size.tolist() == [2]


def test_before_forgets_later_baskets_and_keeps_the_codes():
    orders = _orders([(1, 0, 0, 9, 1), (2, 3, 1, 2, 1)])

    earlier = orders.before(NOW - 5 * DAY_S)

    assert earlier.item.tolist() == [1]
    assert earlier.user.tolist() == [0]
    assert (earlier.n_items, earlier.n_users) == (4, 4)


def test_the_latest_basket_has_rank_zero():
    rank = rank_from_latest(np.array([0, 1, 0, 0]), np.array([10, 5, 30, 20]), 2)

    assert rank.tolist() == [2, 0, 0, 1]


def test_popularity_halves_after_its_half_life_and_is_read_per_ten_days():
    demand = demand_at(_orders([(0, 0, 0, 0, 1), (1, 1, 1, 7, 1)]), _facts(), NOW)

    assert demand.popularity[7][:3] == pytest.approx([10 / 7, 5 / 7, 0])
    assert demand.age[1] == pytest.approx(7)
    assert demand.since_sale[3] == pytest.approx(999)


def test_repurchase_gap_shrinks_to_the_shops_mean():
    demand = demand_at(_orders([(0, 0, 0, 30, 1), (0, 0, 1, 20, 1)]), _facts(), NOW)

    assert demand.repeat_rate[0] == pytest.approx(1 / 7)
    assert demand.log_gap == pytest.approx(np.log1p(10))
    assert demand.quick_rate[0] == pytest.approx((1 + 5 * 0.15) / 7)


def test_cooccurrence_is_the_asymmetric_cosine_with_shrinkage():
    orders = _orders([(item, user, user, 0, 1) for user in range(4) for item in ((0, 1) if user < 3 else (0, 2))] * 1)
    orders = _orders([(i, u, u, 0, 1) for u in range(4) for i in ((0, 1, 2) if u < 3 else (0,))])

    cosine, given = together(orders, np.zeros(4, np.float32), 45, (0.5, 1.0))

    assert cosine[0, 1] == pytest.approx(3 / np.sqrt(9 * 8))
    assert given[1, 0] == pytest.approx(3 / 8)
    assert cosine[0, 0] == 0
    assert cosine[0, 3] == 0


def test_cooccurrence_of_too_few_baskets_is_empty():
    assert together(_orders([(0, 0, 0, 0, 1), (1, 0, 0, 0, 1)]), np.zeros(1, np.float32), 45, (0.5,))[0].nnz == 0


def test_ease_is_the_closed_form():
    rng = np.random.default_rng(1)
    rows = [(i, u, u, 0, 1) for u in range(30) for i in np.flatnonzero(rng.random(4) < 0.6)]
    orders = _orders(rows, n_users=30)
    fitted = ease_on_baskets(orders, np.zeros(orders.n_baskets, np.float32), 60, 5.0)

    gram = (orders.matrix.T @ orders.matrix).toarray() + 5 * np.eye(4)
    inverse = np.linalg.inv(gram)
    expected = -inverse / np.diag(inverse)[None]
    np.fill_diagonal(expected, 0)
    assert fitted.weights == pytest.approx(expected, abs=1e-5)
    history = sp.csr_matrix(np.array([[1.0, 0, 0.5, 0]], np.float32))
    assert fitted.scores(history)[0] == pytest.approx(np.array([1, 0, 0.5, 0]) @ expected, abs=1e-5)
    two = sp.vstack([history, history]).tocsr()
    assert fitted.scores(two)[1] == pytest.approx(fitted.scores(history)[0])


def test_tifu_weights_decay_inside_and_over_groups():
    weights = tifu_weight(np.array([0.0, 1.0, 2.0]), np.array([14.0, 14.0, 14.0]))

    assert weights == pytest.approx([1 / 2 / 7, 0.9 / 2 / 7, 0.7 / 2 / 7])


def test_upcf_weighs_members_by_overlap_and_leaves_out_oneself_and_guests():
    orders = _orders(
        [(0, 0, 0, 1, 1), (1, 0, 0, 1, 1), (0, 1, 1, 1, 1), (1, 1, 1, 1, 1), (2, 1, 1, 1, 1), (0, 2, 2, 1, 1)],
        guests=(2,),
    )
    near = neighbours(orders, np.ones(3, np.float32))
    owned = sp.csr_matrix(np.array([[1, 1, 0, 0]], np.float32))

    overlap = near.overlap(owned, np.array([0]))

    assert overlap[0] == pytest.approx([0, 2 / (2**0.25 * 3**0.75), 0, 0])
    assert near.upcf_scores(overlap)[0] == pytest.approx(overlap[0, 1] ** 5 * np.array([1, 1, 1, 0]))
    assert near.tifu_scores(owned, np.array([0]))[0].tolist() == pytest.approx([1, 1, 1, 0])


def test_habit_knows_counts_recency_and_what_is_due():
    lines = Histories(
        shopper=np.array([0, 0, 0]),
        item=np.array([2, 2, 1]),
        ts=np.array([NOW - 30 * DAY_S, NOW - 10 * DAY_S, NOW - 10 * DAY_S]),
        basket=np.array([0, 1, 1]),
        quantity=np.ones(3, np.float32),
        known_as=np.array([-1]),
    )
    demand = demand_at(_orders([(0, 0, 0, 30, 1), (0, 0, 1, 20, 1)]), _facts(), NOW)

    shoppers = Shoppers(lines, demand, _facts(), NOW)

    assert shoppers.item.tolist() == [1, 2]
    assert shoppers.pairs["own_count"].tolist() == [1, 2]
    assert shoppers.pairs["own_since_last"].tolist() == [10, 10]
    assert shoppers.pairs["own_share_since_first"].tolist() == [1, 1]
    assert shoppers.pairs["own_due"][1] == pytest.approx(10 / ((20 + 2 * 10) / 3), rel=1e-4)
    assert shoppers.people["shopper_gap"].tolist() == [20]
    assert shoppers.people["shopper_last_size"].tolist() == [2]


def test_standing_ranks_inside_each_case():
    share, rank = standing(np.array([1.0, 4.0, 2.0, 3.0], np.float32), np.array([0, 0, 1, 1]))

    assert share.tolist() == pytest.approx([0.25, 1, 2 / 3, 1])
    assert rank.tolist() == [1, 0, 1, 0]


def test_mark_best_never_marks_what_is_blocked():
    marked = np.zeros((1, 4), bool)

    mark_best(marked, np.array([[5.0, 1, 3, 2]]), np.array([[True, False, False, True]]), 3)

    assert marked.tolist() == [[False, True, True, False]]


def test_relative_keeps_an_all_zero_row():
    assert relative(np.array([[2.0, -1, 4], [0, 0, 0]], np.float32)).tolist() == [[0.5, 0, 1], [0, 0, 0]]
