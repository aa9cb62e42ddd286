"""Exploration: seeded, within the caps, and with the odds that are written down."""

from collections import Counter

import numpy as np
import pytest

from recsys_engine.domain import Choice
from recsys_engine.stages.explore import explore


class _Open:
    """No caps."""

    def fits(self, row):
        return row >= 0

    def take(self, row):
        assert row >= 0

    def release(self, row):
        assert row >= 0


CHOSEN = [Choice(row, "score") for row in range(4)]


@pytest.mark.ticket("RS-056")
def test_written_odds_are_the_frequencies_served_within_a_point():
    served: Counter[tuple[int, int]] = Counter()
    odds: dict[tuple[int, int, int], float] = {}
    draws = 20_000
    for seed in range(draws):
        for place, choice in enumerate(explore(CHOSEN, range(9), 0.3, np.random.default_rng(seed), _Open())):
            served[place, choice.row] += 1
            if place == 1:
                odds[place, choice.row, 0] = choice.propensity

    assert served[0, 0] == draws
    for (place, row, _), propensity in odds.items():
        assert served[place, row] / draws == pytest.approx(propensity, abs=0.01)
    assert {row for _, row, _ in odds} == {1, 4, 5, 6, 7, 8}


@pytest.mark.ticket("RS-056")
def test_the_same_seed_draws_the_same_and_nothing_twice():
    one, other = (explore(CHOSEN, range(9), 1.0, np.random.default_rng(5), _Open()) for _ in range(2))

    assert one == other
    assert len({choice.row for choice in one}) == 4
    assert [choice.how for choice in one] == ["score", *["exploration"] * 3]


def test_without_a_reserve_the_kept_choice_is_certain():
    listed = explore(CHOSEN, range(4), 1.0, np.random.default_rng(0), _Open())

    assert [(choice.row, choice.propensity) for choice in listed] == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)]
