"""What shoppers in similar sessions looked at: nearest sessions for someone without a past."""

from itertools import chain

import numpy as np

from recsys_engine.contract.entities import EventType
from recsys_engine.domain import NO_ITEM, FloatArray, IntArray, Query
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.picking import best, looked_up, top
from recsys_engine.signals.sessions import SESSION_GAP_MS, SESSION_REACH_MS, Sessions
from recsys_engine.signals.sources import PairSource
from recsys_engine.signals.state import LiveState

NEIGHBOURS = 300
SAMPLE = 1000  # sessions looked at, the latest first
STEPS_BACK = 5
LONGEST = 20  # items of the shopper's own session that count, the newest
POSITION_FADE = 2.0  # λ1: in places from the newest item
AGE_FADE_DAYS = 40.0  # λ2: the best of 2.5 … 80 days on three past windows of a real shop's orders
DISTANCE_FADE = 2.0  # λ3: in places from the item both sessions share
_ADD = int(EventType.ADD)
_NOTHING: IntArray = np.empty(0, np.int64)


class SessionKnnSource:
    """STAN: sessions that share items with this one, by position, age and length; their other items by nearness.

    sim(s, n) = Σ over shared i of e^−((L − pos_s(i)) / λ1) / √(L·|n|) · e^−(age of n / λ2), the best 300; an item
    at distance d from the last shared place of n adds sim · e^−(d / λ3). Source: Garg et al. 2019, "Sequence and Time
    Aware Neighborhood for Session-based Recommendations"; λ1 and λ3 as published for click logs. The session is
    ``context.session_item_ids``, else what the shopper looked at in the last half hour; without one it is silent.
    """

    name = "session_knn"

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._memo: tuple[object, IntArray, FloatArray] = (None, _NOTHING, np.zeros(0))

    def candidates(self, query: Query, limit: int) -> IntArray:
        items, scores = self._answer(query)
        return items[best(scores, limit, query.shelf.ties[items])] if len(items) else items

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        return looked_up(*self._answer(query), items)

    def _answer(self, query: Query) -> tuple[IntArray, FloatArray]:
        if self._memo[0] is not query:
            session = current_session(query)
            found = _neighbours_say(session, self._state.sessions, query.now_s) if session else (_NOTHING, np.zeros(0))
            self._memo = (query, *found)
        return self._memo[1], self._memo[2]


class SequenceSource(PairSource):
    """What is looked at next: beside a product in view its followers, in a session those of the last few items.

    The d-th newest item of a session counts 1/d² of the newest. Mostly the chance of the step itself: asymmetry .8.
    """

    def __init__(self, state: LiveState) -> None:
        super().__init__("session_sequence", state.sequence, asymmetry=0.8)

    def speakers(self, query: Query) -> tuple[IntArray, FloatArray]:
        session = current_session(query) if query.view_item == NO_ITEM and not len(query.cart) else []
        if not session:
            return super().speakers(query)
        newest = np.array(session[: -STEPS_BACK - 1 : -1], np.int64)
        weights = 1.0 / np.arange(1, len(newest) + 1) ** 2
        return newest, np.asarray(weights / weights.sum(), np.float64)


def current_session(query: Query) -> list[int]:
    """Distinct items of the session going on, oldest first."""
    items = query.session
    if not len(items):
        history = query.history
        lately = history.ts_s > query.now_s - SESSION_GAP_MS / 1000
        if not np.count_nonzero(lately):
            return []
        items = history.items[lately & (history.types <= _ADD)]
    newest_first = list(dict.fromkeys(items[::-1].tolist()))[:LONGEST]
    return newest_first[::-1]


def _neighbours_say(session: list[int], sessions: Sessions, now_s: float) -> tuple[IntArray, FloatArray]:
    numbers, shared = _overlapping(session, sessions)
    if not len(numbers):
        return _NOTHING, np.zeros(0)
    age_ms = np.maximum(now_s * 1000 - sessions.ended_ms[numbers], 0.0)
    alike = shared / np.sqrt(len(session) * sessions.sizes[numbers]) * np.exp(-age_ms / DAY_MS / AGE_FADE_DAYS)
    alike[age_ms > SESSION_REACH_MS] = 0.0
    best = top(alike, NEIGHBOURS, -np.arange(len(alike)))  # of equals the later begun
    if not len(best):
        return _NOTHING, np.zeros(0)
    return _items_of([sessions.all[number].items for number in numbers[best].tolist()], alike[best], session)


def _overlapping(session: list[int], sessions: Sessions) -> tuple[IntArray, FloatArray]:
    """Numbers of the latest sessions that share an item, and the summed weights of what they share."""
    held = [sessions.with_item.get(item, ())[-SAMPLE:] for item in session]
    flat = np.fromiter(chain.from_iterable(held), np.int64)
    weight = np.exp((np.arange(len(session)) + 1 - len(session)) / POSITION_FADE)
    numbers, place = np.unique(flat, return_inverse=True)
    shared = np.bincount(place, np.repeat(weight, [len(part) for part in held]), len(numbers))
    return numbers[-SAMPLE:], np.asarray(shared[-SAMPLE:], np.float64)


def _items_of(lists: list[list[int]], alike: FloatArray, session: list[int]) -> tuple[IntArray, FloatArray]:
    """Distinct items (ascending) of the neighbours and what they are worth."""
    length = np.array([len(one) for one in lists])
    items = np.fromiter(chain.from_iterable(lists), np.int64, int(length.sum()))
    starts = np.cumsum(length) - length
    place = np.arange(len(items)) - np.repeat(starts, length)
    last_shared = np.maximum.reduceat(np.where(np.isin(items, session), place, -1), starts)
    distance = np.abs(place - np.repeat(last_shared, length))
    worth = np.where(distance > 0, np.repeat(alike, length) * np.exp(-distance / DISTANCE_FADE), 0.0)
    distinct, at = np.unique(items, return_inverse=True)
    return distinct, np.asarray(np.bincount(at, worth, len(distinct)), np.float64)
