"""Sessions found live equal sessions found in the log; the nearest of them speak for a guest."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_engine.contract import Context, RecommendRequest
from recsys_engine.service.ranking import Ranking
from recsys_engine.service.settings import StoredSettings
from recsys_engine.signals.sessions import sessions_from
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store.log import EventRow
from tests.factories.engine import a_row

NOW_S = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
NOW_MS = round(NOW_S * 1000)
MINUTE_MS = 60_000

events = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cy"]),
        st.sampled_from("abcd"),
        st.sampled_from([0, 1, 2, 3, 4]),
        st.integers(0, 200),
    ),
    max_size=30,
)


def a_state(drawn, *, is_live):
    state = LiveState(CounterSettings(NOW_MS))
    if is_live:
        assert state.sessions.contents() == []
    for seq, (user, item, type_, minute) in enumerate(drawn, 1):
        state.apply(EventRow(seq, user, item, type_, 1.0, NOW_MS - (300 - minute) * MINUTE_MS, None, False))
    return state


@given(events)
@settings(max_examples=60, deadline=None)
def test_sessions_kept_up_live_equal_those_found_in_the_log(drawn):
    live = a_state(drawn, is_live=True)

    assert live.sessions.contents() == sessions_from(live.histories).contents()
    assert {item: len(held) for item, held in live.sessions.with_item.items()} == {
        item: len(held) for item, held in sessions_from(live.histories).with_item.items()
    }


@given(events)
@settings(max_examples=60, deadline=None)
def test_a_forgotten_shopper_leaves_no_session(drawn):
    state = a_state(drawn, is_live=True)
    others = a_state([event for event in drawn if event[0] != "ann"], is_live=False)
    state.forget_user("ann")

    def named(one):
        ids = one.catalog.shelf().ids
        return [(began, ended, [ids[item] for item in items]) for began, ended, items in one.sessions.contents()]

    assert named(state) == named(others)


@pytest.fixture
def browsed():
    """Ten shoppers look at a, b, c in turn; thirty look at d alone; two at b and e long ago."""
    state = LiveState(CounterSettings(NOW_MS))
    for item in "abcdef":
        state.catalog.put(a_row(item))
    walks = [(f"u{n}", "abc", 60 + n) for n in range(10)] + [(f"v{n}", "d", 30 + n) for n in range(30)]
    walks += [(f"w{n}", "be", 50 * 24 * 60) for n in range(2)]
    seq = 0
    for user, items, minutes_ago in walks:
        for step, item in enumerate(items):
            seq += 1
            at_ms = NOW_MS - (minutes_ago - step) * MINUTE_MS
            state.apply(EventRow(seq, user, item, 0, 1.0, at_ms, None, False))
    return state


def _guest_list(state, *session, surface="home"):
    request = RecommendRequest(None, 6, Context(surface, session_item_ids=session), explain_level="full")
    return Ranking(state).recommend(request, "r", StoredSettings(), NOW_S).answer.items


def test_a_guest_is_shown_what_comes_next_in_sessions_like_theirs(browsed):
    first = _guest_list(browsed, "a", "b")[0]

    assert first.item_id == "c"
    assert first.explain["contributions"]["session_knn"]["contribution"] > 0
    assert "session_knn" in first.explain["sources"]


def test_of_an_item_seen_twice_the_later_place_counts(browsed):
    assert _guest_list(browsed, "b", "a", "b") == _guest_list(browsed, "a", "b")


def test_without_a_session_it_is_silent(browsed):
    assert all("session_knn" not in place.explain["contributions"] for place in _guest_list(browsed))


def test_the_last_step_counts_most_in_what_comes_next(browsed):
    def sequence(*session):
        return {
            place.item_id: place.explain["contributions"].get("session_sequence", {}).get("raw", 0.0)
            for place in _guest_list(browsed, *session)
        }

    after_b = sequence("a", "b")
    assert max(after_b, key=after_b.get) == "c"
    assert after_b["c"] > 4 * after_b["e"] > 0
    assert sequence("b", "a")["b"] > sequence("b", "a")["c"] > 0
