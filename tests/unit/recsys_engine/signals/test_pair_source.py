"""Partners added into a kept buffer and partners summed over all items give the same values, whatever came before."""

import numpy as np
import pytest

from recsys_engine.contract import Context, RecommendRequest
from recsys_engine.service.asking import build_query
from recsys_engine.service.recipes import recipe
from recsys_engine.signals import sources
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.sources import PairSource
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store.log import EventRow

NOW_MS = 1_772_000_000_000
ITEMS, USERS = 60, 12


@pytest.fixture
def state():
    made = LiveState(CounterSettings(NOW_MS - 20 * DAY_MS, {0: 3 * DAY_MS}))
    rng = np.random.default_rng(3)
    for seq in range(1, 400):
        user, item = f"u{rng.integers(USERS)}", f"p{rng.zipf(1.5) % ITEMS}"
        made.apply(EventRow(seq, user, item, 0, 1.0, NOW_MS - 400_000 + seq * 1000, None, is_impression=False))
    return made


def told(source, query):
    found = source.candidates(query, 10)
    return sorted(found.tolist()), source.scores(query, np.arange(query.shelf.size)).tolist()


def test_both_ways_of_adding_up_agree_to_the_last_bit(state, monkeypatch):
    queries = [
        build_query(state, RecommendRequest(f"u{n}", 5, Context("home")), recipe("home"), NOW_MS / 1000)
        for n in range(USERS + 1)
    ]
    answers = {}
    for share in (0, 10**9):  # never dense, always dense
        monkeypatch.setattr(sources, "SPARSE_SHARE", share)
        source = PairSource("co_visitation", state.covisit)
        answers[share] = [told(source, query) for query in queries]

    assert answers[0] == answers[10**9]
    assert any(any(values) for _, values in answers[0])
    assert not any(answers[0][USERS][1])  # a stranger has no anchors


def test_switching_between_the_two_leaves_nothing_behind(state, monkeypatch):
    queries = [
        build_query(state, RecommendRequest(f"u{n}", 5, Context("home")), recipe("home"), NOW_MS / 1000)
        for n in range(USERS)
    ]
    mixed, fresh = PairSource("co_visitation", state.covisit), []
    switched = []
    for n, query in enumerate(queries):
        monkeypatch.setattr(sources, "SPARSE_SHARE", 10**9 * (n % 2))
        switched.append(told(mixed, query))
        fresh.append(told(PairSource("co_visitation", state.covisit), query))

    assert switched == fresh
