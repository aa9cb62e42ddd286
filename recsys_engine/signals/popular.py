"""Popularity and trend as signals: the same numbers as counting over all items, at the cost of those that changed."""

import numpy as np

from recsys_engine.domain import FloatArray, IntArray, Query, Shelf
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.picking import top
from recsys_engine.signals.state import LiveState

REFRESH_S = 60.0
REACH = 1000
"""At least this many of the most popular items are kept in order; the tag profile looks for candidates among them."""
RESERVE = 4
AGED_KEPT = 3


class PopularitySource:
    """Decayed popularity: Σ over event types of weight · decayed value, with the decay of the current minute.

    Every event shows at once and costs the items it touched, not the catalogue.
    """

    name = "recent_popularity"

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._key: object = None
        self._seen = (-1, -1)
        self._fresh_for: Query | None = None
        self._scores: FloatArray = np.zeros(0)
        self._leaders: Leaders | None = None
        self._aged: dict[float, PopularitySource] = {}

    def candidates(self, query: Query, limit: int) -> IntArray:
        return self._asked(query).best(query, limit)[:limit]

    def best(self, query: Query, reach: int) -> IntArray:
        """At least the ``reach`` best available items; the same array until something changes."""
        self._refresh(query)
        if self._leaders is None or self._leaders.reach < reach:
            self._leaders = Leaders(self._scores, query.shelf, max(reach, REACH))
        return self._leaders.order

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        asked = self._asked(query)
        asked._refresh(query)  # noqa: SLF001 - its own kind
        return asked._scores[items]  # noqa: SLF001

    def _asked(self, query: Query) -> "PopularitySource":
        """This one, or one that counts with the half-life the request asks for."""
        days = query.settings.popularity_half_life_days
        if days is None:
            return self
        if days not in self._aged:
            self._aged = {**dict(list(self._aged.items())[-AGED_KEPT:]), days: AgedPopularity(self._state, days)}
        return self._aged[days]

    def _refresh(self, query: Query) -> None:
        if self._fresh_for is query:  # nothing is learned while a list is made
            return
        self._fresh_for = query
        weights, size = query.settings.type_weights, query.shelf.size
        counted, shelved = self._state.popularity.journal, self._state.catalog.journal
        key = (int(query.now_s // REFRESH_S), id(weights))
        seen, self._seen = self._seen, (counted.version, shelved.version)
        if key == self._key and seen == self._seen and size == len(self._scores):
            return
        now_ms = round(query.now_s // REFRESH_S * REFRESH_S * 1000)
        changed = counted.since(seen[0]) if key == self._key and self._is_patchable else None
        self._key = key
        if changed is None:
            self._scores = self._compute(dict(weights), now_ms, size)
            self._leaders = None
            return
        if size > len(self._scores):
            self._scores = np.concatenate([self._scores, np.zeros(size - len(self._scores))])
        if changed:
            self._scores[changed] = self._compute(dict(weights), now_ms, size, np.array(changed))
        moved = shelved.since(seen[1])
        if moved is None or (self._leaders and not self._leaders.follow([*changed, *moved], self._scores, query.shelf)):
            self._leaders = None

    _is_patchable = True

    def _compute(self, weights: dict[int, float], now_ms: int, size: int, items: IntArray | None = None) -> FloatArray:
        return self._state.popularity.scores(weights, now_ms, size, items)


class Leaders:
    """The ``reach`` best available items, kept exact while single items change.

    It knows ``RESERVE`` times as many as asked for; every item it does not know scores at most ``floor``.
    """

    def __init__(self, scores: FloatArray, shelf: Shelf, reach: int) -> None:
        self.reach = reach
        self._known = top(np.where(shelf.available, scores, 0.0), RESERVE * reach, shelf.ties)
        is_all = len(self._known) < RESERVE * reach
        self._floor = 0.0 if is_all else float(scores[self._known[-1]])
        self.order = self._known[:reach]

    def follow(self, changed: list[int], scores: FloatArray, shelf: Shelf) -> bool:
        """Put changed items in their place; False when the order can no longer be told without looking at all."""
        if not changed:
            return True
        self._known = np.union1d(self._known, np.array(changed))
        known = self._known
        standing = np.where(shelf.available[known], scores[known], 0.0)
        standing[standing <= self._floor] = 0.0
        self.order = known[top(standing, self.reach, shelf.ties[known])]
        is_told = len(self.order) == self.reach or self._floor == 0.0
        return is_told and len(known) <= 2 * RESERVE * self.reach


class AgedPopularity(PopularitySource):
    """Popularity under one half-life for every event type, as a request may ask."""

    def __init__(self, state: LiveState, half_life_days: float) -> None:
        super().__init__(state)
        self._half_life_ms = half_life_days * DAY_MS

    def _asked(self, query: Query) -> PopularitySource:  # noqa: ARG002 - it is the one that was asked for
        return self

    _is_patchable = False

    def _compute(self, weights: dict[int, float], now_ms: int, size: int, items: IntArray | None = None) -> FloatArray:
        scores = self._state.popularity.aged(weights, self._half_life_ms, now_ms, size)
        return scores if items is None else scores[items]


class TrendSource(PopularitySource):
    """Trend: the 7-day rate over the 120-day rate, shrunk by one event."""

    name = "trend"

    def _asked(self, query: Query) -> PopularitySource:  # noqa: ARG002 - a trend has its own two windows
        return self

    def _compute(self, weights: dict[int, float], now_ms: int, size: int, items: IntArray | None = None) -> FloatArray:
        return self._state.popularity.trend(weights, now_ms, size, items)
