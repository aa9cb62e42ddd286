import itertools

import numpy as np
import pytest
from scipy import stats

from shop_app.experiments.bucketing import HashRange, Split, assign, bucket, buckets, free_range


def a_split(**changes) -> Split:
    values = {
        "seed": "exp-1", "layer_seed": "layer-home", "traffic": HashRange(0, 1), "variants": ("control", "new"), "weights": (0.5, 0.5),
    }  # fmt: skip
    return Split(**(values | changes))


@pytest.mark.ticket("RS-050")
@pytest.mark.parametrize(
    ("seed", "unit", "value"),
    [("seed", "a", 0.0505), ("seed", "b", 0.2696), ("foo", "ab", 0.2575), ("foo", "def", 0.2019)],
)
def test_growthbook_version_two_vectors(seed, unit, value):
    assert bucket(seed, unit) == value


def test_many_at_once_equals_one_by_one():
    ids = [f"a_{number}" for number in (0, 7, 12345, 99, 10**9)] + ["", "x"]

    assert buckets("salt", ids).tolist() == [bucket("salt", unit) for unit in ids]


def test_assignment_is_stable_and_follows_the_weights():
    split = a_split(weights=(0.8, 0.2))

    chosen = [assign(split, f"a_{number}") for number in range(5000)]

    assert chosen == [assign(split, f"a_{number}") for number in range(5000)]
    assert stats.binomtest(chosen.count("new"), 5000, 0.2).pvalue > 0.001


def test_experiments_of_one_layer_never_share_a_shopper():
    first = a_split(seed="one", traffic=HashRange(0, 0.4))
    second = a_split(seed="two", traffic=HashRange(0.4, 1))

    pairs = [(assign(first, f"a_{number}"), assign(second, f"a_{number}")) for number in range(3000)]

    assert all((in_first is None) != (in_second is None) for in_first, in_second in pairs)


def test_free_range_finds_the_first_gap_that_is_wide_enough():
    taken = [HashRange(0.5, 0.7), HashRange(0, 0.1)]

    assert free_range(taken, 0.4) == HashRange(0.1, 0.5)
    assert free_range(taken, 0.3) == HashRange(0.1, 0.4)
    assert free_range(taken, 0.5) is None
    assert free_range([], 1.0) == HashRange(0, 1)
    assert free_range([HashRange(0, 1)], 0.01) is None
    assert not any(HashRange(0.1, 0.5).overlaps(other) for other in taken)


@pytest.mark.parametrize(
    "changes",
    [
        {"variants": ("a",)},
        {"variants": ("a", "a")},
        {"weights": (0.5, 0.6)},
        {"weights": (1.0, 0.0)},
        {"seed": "layer-home"},
    ],
)
def test_impossible_splits_are_refused(changes):
    with pytest.raises(ValueError, match=r"\w"):
        a_split(**changes)


def test_ids_are_uniform_and_experiments_independent():
    """200,000 ids here; a million ids and 200 experiments in benchmarks/bench_bucketing.py."""
    ids = np.char.add("a_", np.arange(200_000).astype(str))
    positions = np.stack([buckets(f"experiment-{number}", ids) for number in range(12)])

    uniform = [stats.chisquare(np.bincount((row * 100).astype(int), minlength=100)).pvalue for row in positions]
    halves = positions >= 0.5
    together = [
        stats.chi2_contingency(np.histogram2d(halves[a], halves[b], bins=2)[0], correction=False)[1]
        for a, b in itertools.combinations(range(12), 2)
    ]

    assert stats.combine_pvalues(uniform).pvalue > 0.0005
    assert stats.combine_pvalues(together).pvalue > 0.0005
    assert min(together) * len(together) > 0.0005
