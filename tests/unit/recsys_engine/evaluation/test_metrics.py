"""Metrics against hand-made numbers."""

import numpy as np
import pytest

from recsys_engine.evaluation.metrics import (
    coverage,
    diversity,
    hit_at,
    interval,
    ndcg_at,
    novelty,
    paired_interval,
    recall_at,
    reciprocal_rank_at,
)

LISTED, WANTED = [7, 3, 9, 4], {3, 4, 5}


@pytest.mark.ticket("RS-049")
def test_accuracy_by_hand():
    assert recall_at(LISTED, WANTED, 4) == pytest.approx(2 / 3)
    assert recall_at(LISTED, WANTED, 2) == pytest.approx(1 / 3)
    assert hit_at(LISTED, WANTED, 1) == 0
    assert reciprocal_rank_at(LISTED, WANTED, 4) == pytest.approx(1 / 2)
    gain = 1 / np.log2(3) + 1 / np.log2(5)
    assert ndcg_at(LISTED, WANTED, 4) == pytest.approx(gain / (1 + 1 / np.log2(3) + 1 / 2))
    assert ndcg_at([3, 4, 5], WANTED, 10) == pytest.approx(1)


def test_nothing_wanted_or_listed_scores_nothing():
    assert [metric([], WANTED, 5) for metric in (recall_at, hit_at, ndcg_at, reciprocal_rank_at)] == [0, 0, 0, 0]
    assert [metric(LISTED, set(), 5) for metric in (recall_at, ndcg_at)] == [0, 0]


def test_breadth_by_hand():
    lists = [[0, 1], [0, 2]]
    vectors = np.eye(4, dtype=np.float32)
    vectors[1] = vectors[0]

    assert coverage(lists, 2, 4) == pytest.approx(3 / 4)
    assert novelty(lists, 2, np.array([8.0, 4, 2, 0]), 8) == pytest.approx((0 + 1 + 0 + 2) / 4)
    assert diversity(lists, 2, vectors) == pytest.approx((0 + 1) / 2)


def test_intervals_cover_the_mean_and_tell_a_real_difference():
    rng = np.random.default_rng(0)
    theirs = rng.random(400)

    low, high = interval(theirs.tolist(), np.random.default_rng(1))
    gap_low, gap_high = paired_interval((theirs + 0.1).tolist(), theirs.tolist(), np.random.default_rng(1))

    assert low < theirs.mean() < high
    assert high - low == pytest.approx(4 * theirs.std() / 20, rel=0.15)
    assert (gap_low, gap_high) == pytest.approx((0.1, 0.1))
    with pytest.raises(ValueError, match="same cases"):
        paired_interval([1.0], [1.0, 2.0], rng)
