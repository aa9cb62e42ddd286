"""Popularity that follows single events is, to the last bit, popularity counted over the whole catalogue."""

from types import SimpleNamespace

import numpy as np
import pytest

from recsys_engine.signals import popular
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.journal import KEPT, Journal
from recsys_engine.signals.popular import PopularitySource, TrendSource
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store.log import EventRow

EPOCH_MS = 1_700_000_000_000
WEIGHTS = {0: 0.05, 3: 1.0, 9: 0.2}
FACTS = {"price": 1.0, "brand": None, "category": None, "tags": "[]", "props": "{}", "created_us": 0, "embedding": None}


def put(state, item, *, available=True):
    state.put_item(SimpleNamespace(item_id=f"i{item}", available=available, **FACTS))


def asked(state, now_s):
    settings = SimpleNamespace(type_weights=WEIGHTS, popularity_half_life_days=None)
    return SimpleNamespace(shelf=state.catalog.shelf(), now_s=now_s, settings=settings)


@pytest.mark.parametrize("kind", [PopularitySource, TrendSource])
@pytest.mark.parametrize("seed", range(3))
def test_following_single_changes_equals_counting_anew(kind, seed, monkeypatch):
    monkeypatch.setattr(popular, "REACH", 5)
    rng = np.random.default_rng(seed)
    state = LiveState(CounterSettings(EPOCH_MS, {0: 3 * DAY_MS, 3: 60 * DAY_MS}))
    for item in range(60):
        put(state, item)
    source, now_s = kind(state), EPOCH_MS / 1000 + 86_400

    for step in range(150):
        for _ in range(int(rng.integers(0, 4))):
            item, type_ = int(rng.integers(0, 70)), int(rng.choice([0, 3, 9]))
            ts_ms = EPOCH_MS + int(rng.integers(0, DAY_MS))
            value = float(rng.choice([1.0, 2.0, -1.0]))
            state.apply(EventRow(step, f"u{step % 7}", f"i{item}", type_, value, ts_ms, None, False))
        if step % 5 == 0:
            put(state, int(rng.integers(0, 64)), available=bool(rng.integers(0, 2)))
        if step % 11 == 0:
            state.forget_user(f"u{step % 7}")
        now_s += float(rng.choice([0.0, 0.1, 70.0], p=[0.6, 0.3, 0.1]))
        query, reach = asked(state, now_s), int(rng.integers(1, 8))

        followed, anew = source.best(query, reach), kind(state).best(query, reach)

        assert followed[:reach].tolist() == anew[:reach].tolist()
        everything = np.arange(state.catalog.size)
        assert source.scores(query, everything).tolist() == kind(state).scores(query, everything).tolist()


def test_a_journal_names_what_changed_until_it_is_too_much():
    journal = Journal()
    start = journal.version
    for item in (5, 3, 5):
        journal.note(item)

    assert journal.since(start) == [3, 5]
    assert journal.since(journal.version) == []
    journal.turn()
    assert journal.since(start) is None
    before = journal.version
    for item in range(KEPT + 1):
        journal.note(item)
    assert journal.since(before) is None
    assert journal.since(before + 1) == list(range(1, KEPT + 1))
