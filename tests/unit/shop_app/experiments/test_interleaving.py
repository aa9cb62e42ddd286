import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_app.experiments.interleaving import DraftedItem, Team, credit, draft, preference

RANKINGS = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=12)


@given(first=RANKINGS, second=RANKINGS, k=st.integers(0, 15), seed=st.integers(0, 1000))
def test_a_draft_has_no_duplicate_keeps_each_order_and_fills_up_to_k(first, second, k, seed):
    items = draft(first, second, k, random.Random(seed))

    ids = [item.item_id for item in items]
    assert len(ids) == len(set(ids)) == min(k, len(set(first) | set(second)))
    for team, ranking in ((Team.A, first), (Team.B, second)):
        own = [item.item_id for item in items if item.team is team]
        assert own == sorted(own, key=ranking.index)


def test_teams_are_balanced_after_every_full_round():
    for seed in range(50):
        items = draft("abcdefgh", "hgfedcba", 6, random.Random(seed))
        assert [sum(item.team is Team.A for item in items[:size]) for size in (2, 4, 6)] == [1, 2, 3]


def test_identical_rankings_are_a_fair_coin():
    rng = random.Random(3)
    wins = [credit(draft("abcd", "abcd", 4, rng), ["a"]) for _ in range(2000)]

    result = preference(wins)

    assert result.ties == 0
    assert result.p_value > 0.001
    assert result.share_b == pytest.approx(0.5, abs=0.04)


def test_clicks_are_credited_once_and_foreign_clicks_ignored():
    items = [DraftedItem("x", Team.A), DraftedItem("y", Team.B)]

    assert credit(items, ["y", "y", "z"]) == (0, 1)
    assert credit(items, ["x", "y"]) == (1, 1)


def test_preference_counts_sessions_not_clicks():
    result = preference([(5, 0), (0, 1), (0, 1), (1, 1)])

    assert (result.wins_a, result.wins_b, result.ties) == (1, 2, 1)
    assert result.share_b == 0.625
    assert result.p_value == 1.0


def test_the_better_ranker_wins():
    rng, relevant = random.Random(8), set("abc")
    sessions = [
        credit(draft("abcdef", "fedcba", 3, rng), [item for item in relevant if rng.random() < 0.3]) for _ in range(600)
    ]

    result = preference(sessions)

    assert result.wins_a > result.wins_b
    assert result.p_value < 0.001
