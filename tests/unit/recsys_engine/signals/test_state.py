"""The live state: bulk equals live, forgetting equals never having seen, decay in whole numbers."""

import io
import json
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_engine.contract.limits import EMBEDDING_DIM
from recsys_engine.domain import Shelf
from recsys_engine.signals import batches
from recsys_engine.signals.build import load_events
from recsys_engine.signals.decay import DAY_MS, weight_at, weights_at
from recsys_engine.signals.pairs import Norm
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


@given(events, events, st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_batches_of_any_size_equal_one_by_one(first, second, size):
    rows = rows_of(first + second)
    one_by_one, batched = built(rows[: len(first)]), built(rows[: len(first)])
    one_by_one.follow_sessions()
    batched.follow_sessions()

    for row in rows[len(first) :]:
        one_by_one.apply(row)
    with patch.object(batches, "FEW", 0):
        for start in range(len(first), len(rows), size):
            batches.learn(batched, rows[start : start + size])

    assert batched.seq == one_by_one.seq
    assert cells(batched) == cells(one_by_one)
    assert batched.sessions.contents() == one_by_one.sessions.contents()
    assert batched.histories.user_ids == one_by_one.histories.user_ids
    for user in range(len(batched.histories.user_ids)):
        assert batched.histories.rows(user).tolist() == one_by_one.histories.rows(user).tolist()


def test_a_batch_keeps_what_lists_remember_up_to_date():
    """Rows merged and norms taken for a list before the batch must not outlive it."""
    rows = rows_of([("ann", item, 0, 1.0, n * 1000, None, False) for n, item in enumerate("abcab" * 20)])
    asked, fresh = live(rows[:10]), live(rows[:10])

    def remembered(state):
        norms = state.covisit.norms(Norm(5.0), EPOCH_MS + DAY_MS)
        rows, scales = state.covisit.weighted_rows(np.array([0, 1]), np.ones(2), norms)
        return [[array.tolist() for array in row] for row in rows], scales.tolist(), norms.right.tolist()

    for state in (asked, fresh):
        if state is asked:
            remembered(state)
            version = state.popularity.journal.version
        batches.learn(state, rows[10:])

    assert remembered(asked) == remembered(fresh)
    assert asked.popularity.journal.since(version) == [0, 1, 2]


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


def stored_and_loaded(state):
    """What a snapshot file would give back."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **state.frozen().arrays())
    file.seek(0)
    loaded = LiveState(state.settings)
    loaded.load(dict(np.load(file, allow_pickle=False)))
    return loaded


def item_row(n):
    tags = json.dumps([f"color:{n % 3}", "new"])
    facts = {"available": n % 5 > 0, "price": n + 0.5, "brand": f"b{n % 2}", "category": None, "created_us": n}
    vector = np.full(EMBEDDING_DIM, n + 1, "<f4").tobytes() if n % 2 else None
    return SimpleNamespace(item_id=f"i{n}", tags=tags, props="{}", embedding=vector, **facts)


def shelf_of(state):
    """What a request sees of the catalogue."""
    shelf = state.catalog.shelf()
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in map(shelf.__getattribute__, SHELF)]


SHELF = [name for name in Shelf.__slots__ if name != "size"]


@given(events, events, st.sampled_from(["", "ann", "nobody"]))
@settings(max_examples=50, deadline=None)
def test_a_stored_state_is_the_state_bit_for_bit_and_learns_on(first, second, forgotten):
    rows = rows_of(first + second)
    state = built(rows[: len(first) // 2])
    for row in rows[len(first) // 2 : len(first)]:
        state.apply(row)
    for n in range(8):
        state.catalog.put(item_row(n))
    state.catalog.remove("i3")
    state.forget_user(forgotten)
    state.traits["bob"] = {"age": 3}

    loaded = stored_and_loaded(state)

    assert repr(shelf_of(loaded)) == repr(shelf_of(state))
    assert (loaded.seq, loaded.traits, loaded.catalog.index) == (state.seq, state.traits, state.catalog.index)
    for one in (state, loaded):
        for row in rows[len(first) :]:
            one.apply(row)
        one.catalog.put(item_row(9))
    assert cells(loaded) == cells(state)
    assert repr(shelf_of(loaded)) == repr(shelf_of(state))
    for user in state.histories.user_ids:
        pair = [one.histories.history(user, 100) for one in (loaded, state)]
        assert pair[0].items.tolist() == pair[1].items.tolist()
        assert pair[0].ts_s.tolist() == pair[1].ts_s.tolist()


def test_a_frozen_state_stands_still_and_names_nobody_who_was_erased():
    rows = [EventRow(n, f"u{n % 2}", "i1", 3, 1.0, EPOCH_MS + n, f"o{n}", False) for n in range(1, 9)]
    state = live(rows[:6])
    state.forget_user("u0")
    frozen = state.frozen()
    before = cells(frozen)

    for row in rows[6:]:
        state.apply(row)

    assert cells(frozen) == before != cells(state)
    assert b"u0" not in b"".join(array.tobytes() for array in frozen.arrays().values())
