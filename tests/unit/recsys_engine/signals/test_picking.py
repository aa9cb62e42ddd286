"""Collecting the best without sorting them finds the same items as sorting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_engine.signals.picking import best, top

few_values = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.0]), max_size=60)
many_values = st.lists(st.floats(0, 1e6), max_size=60)


@given(few_values | many_values, st.integers(1, 12), st.randoms(use_true_random=False))
def test_best_are_the_items_of_top_with_equal_scores_settled_by_ties(values, limit, random):
    scores = np.array(values)
    ties = np.array(random.sample(range(len(values)), len(values)), np.int64)

    found = best(scores, limit, ties)

    assert sorted(found.tolist()) == sorted(top(scores, limit, ties).tolist())


def test_best_of_many_small_and_few_large_scores():
    scores = np.concatenate([np.full(1000, 0.001), np.linspace(1, 2, 30)])
    ties = np.arange(len(scores))[::-1].copy()

    assert sorted(best(scores, 20, ties).tolist()) == list(range(1010, 1030))
    assert sorted(best(scores, 40, ties).tolist()) == list(range(990, 1030))
