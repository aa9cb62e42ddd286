"""The live state: bulk equals live, forgetting equals never having seen, decay in whole numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_engine.signals.build import load_events
from recsys_engine.signals.decay import DAY_MS, weight_at, weights_at
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store.log import EventRow

EPOCH_MS = 1_700_000_000_000
SETTINGS = CounterSettings(EPOCH_MS, {0: 3 * DAY_MS, 3: 60 * DAY_MS})

events = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cy"]),
        st.sampled_from(["", "a", "b", "c", "d", "e"]),
        st.sampled_from([0, 1, 2, 3, 3, 4, 9]),
        st.sampled_from([1.0, 2.5, -1.0, 1e6, 0.0]),
        st.integers(-40 * DAY_MS, 20 * DAY_MS) | st.integers(0, 40 * 60_000),
        st.sampled_from([None, "o1", "o2"]),
        st.booleans().map(lambda x: x and True),
    ),
    max_size=40,
)


def rows_of(drawn):
    return [
        EventRow(seq, user, item, type_, value, EPOCH_MS + offset, order, impression and type_ == 0)
        for seq, (user, item, type_, value, offset, order, impression) in enumerate(drawn, 1)
    ]


def live(rows):
    state = LiveState(SETTINGS)
    for row in rows:
        state.apply(row)
    return state


def built(rows):
    state = LiveState(SETTINGS)
    load_events(
        state,
        [(r.seq, r.user_id, r.item_id, r.type, r.value, r.ts_ms * 1000, r.order_id, r.is_impression) for r in rows],
    )
    return state


def cells(state):
    """Every counter by item id, zeros left out."""
    ids = [item_id for item_id, _ in sorted(state.catalog.index.items(), key=lambda kv: kv[1])]
    found = {}
    for type_, row in state.popularity.type_rows.items():
        for window in range(3):
            for item in np.flatnonzero(state.popularity.cells[window, row]):
                found["pop", window, type_, ids[item]] = int(state.popularity.cells[window, row, item])
    for name in ("covisit", "sequence", "basket"):
        pairs = getattr(state, name)
        found.update({(name, ids[a], ids[b]): count for (a, b), count in pairs.nonzero().items()})
        found.update({(name, ids[i]): int(pairs.totals[i]) for i in np.flatnonzero(pairs.totals)})
    return found


@given(events)
@settings(max_examples=150, deadline=None)
def test_bulk_build_equals_live_application(drawn):
    rows = rows_of(drawn)

    assert cells(built(rows)) == cells(live(rows))


@given(events)
@settings(max_examples=100, deadline=None)
def test_forgetting_equals_never_seen(drawn):
    rows = rows_of(drawn)
    others = live([row for row in rows if row.user_id != "ann"])

    for state in (live(rows), built(rows)):
        state.forget_user("ann")

        assert cells(state) == cells(others)
        assert state.histories.history("ann", 100).size == 0


@given(events, events)
@settings(max_examples=50, deadline=None)
def test_a_build_and_its_tail_equal_one_stream(first, second):
    rows = rows_of(first + second)
    state = built(rows[: len(first)])

    for row in rows[len(first) :]:
        state.apply(row)

    assert cells(state) == cells(live(rows))


@given(st.integers(-(10**12), 60 * DAY_MS), st.integers(60_000, 3650 * DAY_MS))
@settings(deadline=None)
def test_scalar_and_array_decay_agree(offset, half_life):
    one = weight_at(EPOCH_MS + offset, EPOCH_MS, half_life)

    assert one == weights_at(np.array([EPOCH_MS + offset]), EPOCH_MS, half_life)[0]


@pytest.mark.ticket("RS-055")
def test_weight_halves_each_half_life():
    assert weight_at(EPOCH_MS, EPOCH_MS, DAY_MS) == 2**20
    assert weight_at(EPOCH_MS + DAY_MS, EPOCH_MS, DAY_MS) == 2**21
    assert weight_at(EPOCH_MS - DAY_MS, EPOCH_MS, DAY_MS) == 2**19
