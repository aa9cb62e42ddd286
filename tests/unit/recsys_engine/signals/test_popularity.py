"""Half-lives: of one type, of one category, of one request."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_engine.domain import FloatArray
from recsys_engine.signals.build import load_events
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.popularity import Popularity
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store.log import EventRow
from tests.factories.engine import a_row

NOW_MS = 1_700_000_000_000
PACED = CounterSettings(NOW_MS, {0: 3 * DAY_MS, 3: 60 * DAY_MS}, category_pace={"fashion": 0.25, "tools": 4.0})


def _shop(settings=PACED, **categories):
    state = LiveState(settings)
    for item, category in categories.items():
        state.put_item(a_row(item, category=category))
    return state


def _bought(state, *items, days_ago=60):
    for item in items:
        state.apply(EventRow(state.seq + 1, "u", item, 3, 1.0, NOW_MS - days_ago * DAY_MS, None, False))


def _scores(state) -> FloatArray:
    return state.popularity.scores({3: 1.0}, NOW_MS, state.catalog.size)


@pytest.mark.ticket("RS-055")
def test_a_fast_category_forgets_faster_and_a_slow_one_slower():
    state = _shop(shirt="Fashion", mug="Home", hammer="tools")

    _bought(state, "shirt", "mug", "hammer")

    assert _scores(state) == pytest.approx([0.5**4, 0.5, 0.5**0.25], rel=1e-3)


@pytest.mark.ticket("RS-055")
def test_a_changed_category_counts_its_past_at_the_new_pace():
    state = _shop(mug="Home", cup="Home")
    _bought(state, "mug", "cup")

    state.put_item(a_row("mug", category="Fashion"))
    _bought(state, "mug", days_ago=0)

    assert _scores(state) == pytest.approx([0.5**4 + 1, 0.5], rel=1e-3)
    state.put_item(a_row("mug", category="Home"))
    assert _scores(state) == pytest.approx([0.5 + 1, 0.5], rel=1e-3)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0, 3, 9]), st.integers(0, 300)), max_size=25),
    st.integers(0, 25),
)
@settings(max_examples=60, deadline=None)
def test_paced_counters_are_the_same_however_they_came_about(drawn, moved_after):
    rows = [
        EventRow(seq, "u", item, type_, 1.5, NOW_MS - days * DAY_MS, None, False)
        for seq, (item, type_, days) in enumerate(drawn, 1)
    ]
    live = _shop(a="Fashion", b="tools", c="x")
    for place, row in enumerate(rows):
        if place == moved_after:
            live.put_item(a_row("c", category="Fashion"))
        live.apply(row)
    live.put_item(a_row("c", category="Fashion"))
    built = _shop(a="Fashion", b="tools", c="Fashion")
    load_events(built, [(r.seq, r.user_id, r.item_id, r.type, r.value, r.ts_ms * 1000, r.order_id, 0) for r in rows])

    for type_, row in live.popularity.type_rows.items():
        other = built.popularity.type_rows.get(type_)
        expected = 0 if other is None else built.popularity.cells[:, other, :3]
        assert np.array_equal(live.popularity.cells[:, row, :3] - expected, np.zeros((3, 3)))


@pytest.mark.parametrize("days", [7, 20, 60, 120])
def test_a_request_may_ask_for_its_own_half_life(days):
    counts = Popularity(NOW_MS, {3: 60 * DAY_MS}, DAY_MS)
    for item, age in enumerate((0, days, 2 * days)):
        counts.add(item, 3, 1.0, NOW_MS - age * DAY_MS)

    aged = counts.aged({3: 1.0}, days * DAY_MS, NOW_MS, 3)

    assert aged == pytest.approx([1.0, 0.5, 0.25], rel=5e-3)


def test_a_half_life_between_the_two_counters_is_approached_from_above():
    counts = Popularity(NOW_MS, {3: 60 * DAY_MS}, DAY_MS)
    for age in (0, 90):
        counts.add(0, 3, 1.0, NOW_MS - age * DAY_MS)

    (aged,) = counts.aged({3: 1.0}, 30 * DAY_MS, NOW_MS, 1)

    assert 1 + 0.5**3 < aged < 1.5 * (1 + 0.5**3)
