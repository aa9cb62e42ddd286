"""The live signals behind the common face: each finds candidates and scores any items."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from recsys_engine.contract.entities import EventType
from recsys_engine.domain import FloatArray, IntArray, Query, Shelf
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.pairs import Norm, PairCounts
from recsys_engine.signals.state import LiveState

PAIR_SHRINKAGE = 5.0
DENSE_SIZE = 50_000
"""Up to this many items a fresh sum over the whole catalogue is cheaper than adding into a kept buffer."""
REPURCHASE_HALF_LIFE_S = 60 * DAY_MS / 1000
REFRESH_S = 60.0
RESERVE = 4
AGED_KEPT = 3
PROFILE_ITEMS = 200
STARTER_ITEMS = 50
"""The most popular items whose tags stand in for a short profile."""
PROFILE_REACH = 1000
"""The tag profile looks for candidates among this many most popular items."""
CONTENT_PROFILE_ITEMS = 20
_NOTHING: IntArray = np.empty(0, np.int64)


def top(scores: FloatArray, limit: int, ties: IntArray) -> IntArray:
    """Indices of the ``limit`` largest positive scores, best first; equal ones by ``ties``, ascending."""
    if len(scores) > 4 * limit:
        part = np.argpartition(-scores, limit)[:limit]
        cut = scores[part].min()
        part = np.flatnonzero(scores >= cut) if cut > 0 else np.flatnonzero(scores > 0)
    else:
        part = np.flatnonzero(scores > 0)
    return part[np.lexsort((ties[part], -scores[part]))][:limit]


def looked_up(known: IntArray, values: FloatArray, items: IntArray) -> FloatArray:
    """The value of each of ``items`` where ``known`` (ascending) holds it, else 0."""
    if not len(known):
        return np.zeros(len(items))
    at = np.minimum(np.searchsorted(known, items), len(known) - 1)
    return np.where(known[at] == items, values[at], 0.0)


class PopularitySource:
    """Decayed popularity: Σ over event types of weight · decayed value, with the decay of the current minute.

    Every event shows at once and costs the items it touched, not the catalogue.
    """

    name = "recent_popularity"

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._key: object = None
        self._seen = (-1, -1)
        self._scores: FloatArray = np.zeros(0)
        self._leaders: Leaders | None = None
        self._aged: dict[float, PopularitySource] = {}

    def candidates(self, query: Query, limit: int) -> IntArray:
        return self._asked(query).best(query, limit)[:limit]

    def best(self, query: Query, reach: int) -> IntArray:
        """At least the ``reach`` best available items; the same array until something changes."""
        self._refresh(query)
        if self._leaders is None or self._leaders.reach < reach:
            self._leaders = Leaders(self._scores, query.shelf, max(reach, PROFILE_REACH))
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


class PairSource:
    """Partners of the anchors under one pair relation, shrunk cosine, weighted over the anchors."""

    def __init__(self, name: str, pairs: PairCounts, asymmetry: float = 0.5) -> None:
        self.name = name
        self._pairs = pairs
        self._norm = Norm(PAIR_SHRINKAGE, asymmetry)
        self._query: Query | None = None
        self._values: FloatArray = np.zeros(0)
        self._slots = np.zeros(0, np.int32)
        self._touched: IntArray = _NOTHING

    def candidates(self, query: Query, limit: int) -> IntArray:
        self._spread(query)
        return self._touched[top(self._values[self._touched], limit, query.shelf.ties[self._touched])]

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        self._spread(query)
        return self._values[items]

    def per_anchor(self, query: Query, item: int) -> list[tuple[int, float]]:
        """How much each anchor adds to an item's score, for explanations."""
        shares = []
        for place, anchor in enumerate(query.anchors.tolist()):
            partners, values = self._rows(query, [anchor], query.anchor_weights[place : place + 1])
            at = int(np.searchsorted(partners, item))
            if at < len(partners) and partners[at] == item:
                shares.append((anchor, float(values[at] * self._norms(query, partners[at : at + 1])[0])))
        return shares

    def _spread(self, query: Query) -> None:
        """Fill the values of this query into a buffer that is cleared only where it was touched."""
        if self._query is query:
            return
        size = query.shelf.size
        if len(self._values) < size:
            self._values = np.zeros(max(size, 2 * len(self._values)))
            self._slots = np.zeros(len(self._values), np.int32)
            self._touched = _NOTHING
        self._values[self._touched] = 0.0
        partners, shares = self._rows(query, query.anchors.tolist(), query.anchor_weights)
        if size <= DENSE_SIZE:
            self._values[:size] = np.bincount(partners, shares, size)
            self._touched = np.flatnonzero(self._values[:size] > 0)
        else:
            np.add.at(self._values, partners, shares)
            places = np.arange(len(partners), dtype=np.int32)
            self._slots[partners] = places  # the last place of each partner wins: those are the distinct partners
            self._touched = partners[self._slots[partners] == places]
        self._values[self._touched] *= self._norms(query, self._touched)
        self._query = query

    def _norms(self, query: Query, items: IntArray) -> FloatArray:
        return self._pairs.popularity_norms(items, round(query.now_s * 1000), self._norm)

    def _rows(self, query: Query, anchors: list[int], weights: FloatArray) -> tuple[IntArray, FloatArray]:
        return self._pairs.cosines(anchors, weights, round(query.now_s * 1000), self._norm)


class RawCoVisitSource:
    """The plain co-visitation of the base formula: decayed pair count, maximum over the anchors."""

    name = "co_visitation_raw"

    def __init__(self, pairs: PairCounts) -> None:
        self._pairs = pairs

    def candidates(self, query: Query, limit: int) -> IntArray:
        return top(self._dense(query), limit, query.shelf.ties)

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        return self._dense(query)[items]

    def _dense(self, query: Query) -> FloatArray:
        dense = np.zeros(query.shelf.size)
        for anchor in query.anchors:
            partners, counts = self._pairs.row(int(anchor), round(query.now_s * 1000))
            dense[partners] = np.maximum(dense[partners], counts)
        return dense


class RepurchaseSource:
    """What this shopper buys again: Σ over their purchases of 0.5^(age/60 d), times how due the item is.

    Due = elapsed/gap capped to [0.3, 1] with gap the shopper's own mean gap for the item (1 when bought once).
    """

    name = "repurchase"

    def __init__(self) -> None:
        self._memo: tuple[object, IntArray, FloatArray] = (None, _NOTHING, np.zeros(0))

    def candidates(self, query: Query, limit: int) -> IntArray:
        items, scores = self._own(query)
        return items[np.lexsort((query.shelf.ties[items], -scores))][:limit]

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        return looked_up(*self._own(query), items)

    def _own(self, query: Query) -> tuple[IntArray, FloatArray]:
        if self._memo[0] is not query:
            self._memo = (query, *self._computed(query))
        return self._memo[1], self._memo[2]

    def _computed(self, query: Query) -> tuple[IntArray, FloatArray]:
        history = query.history
        bought = history.types == EventType.PURCHASE
        if not bought.any():
            return _NOTHING, np.zeros(0)
        items = history.items[bought]
        order = items.argsort(kind="stable")
        items, ts = items[order], history.ts_s[bought][order]
        begins = np.concatenate([[0], np.flatnonzero(items[1:] != items[:-1]) + 1])
        counts = np.add.reduceat(0.5 ** (np.maximum(query.now_s - ts, 0.0) / REPURCHASE_HALF_LIFE_S), begins)
        first, last = np.minimum.reduceat(ts, begins), np.maximum.reduceat(ts, begins)
        gap = (last - first) / np.maximum(np.diff(begins, append=len(ts)) - 1, 1)
        elapsed = (query.now_s - last) / np.maximum(gap, 1.0)
        due = np.where(gap > 0, np.minimum(np.maximum(elapsed, 0.3), 1.0), 1.0)
        return items[begins], np.asarray(counts * due, np.float64)


class TagProfileSource:
    """Overlap of an item's tags with the shopper's tag profile (top tags of their recent events, weights sum to 1)."""

    name = "personalization"

    def __init__(self, popularity: PopularitySource) -> None:
        self._popularity = popularity
        self._memo: tuple[object, FloatArray] = (None, np.zeros(0))
        self._reach: IntArray = _NOTHING
        self._reach_tags: npt.NDArray[np.int32] = np.empty((0, 0), np.int32)

    def candidates(self, query: Query, limit: int) -> IntArray:
        profile = self.profile(query)
        if not profile.any():
            return _NOTHING
        reach = self._popularity.best(query, PROFILE_REACH)
        if reach is not self._reach:
            self._reach = reach
            self._reach_tags = np.ascontiguousarray(query.shelf.tags[reach[:PROFILE_REACH]].T)
        return reach[top(_overlap(profile, self._reach_tags), limit, query.shelf.ties[reach])]

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        profile = self.profile(query)
        return _overlap(profile, query.shelf.tags[items].T)

    def _starter(self, query: Query) -> FloatArray:
        """The tags of the most popular items by popularity, weights summing to 1: a profile for those without one."""
        weights = np.zeros(query.shelf.tag_count + 1)
        popular = self._popularity.best(query, STARTER_ITEMS)[:STARTER_ITEMS]
        np.add.at(weights, query.shelf.tags[popular], self._popularity.scores(query, popular)[:, None])
        weights[-1] = 0.0
        return _only_top(weights, query.settings.profile_top_n, query.shelf.tag_names)

    def profile(self, query: Query) -> FloatArray:
        """Weight per tag code; one extra cell at the end catches the padding and stays 0."""
        if self._memo[0] is query:
            return self._memo[1]
        tags = query.shelf.tags
        weights = np.zeros(query.shelf.tag_count + 1)
        history, settings = query.history, query.settings
        keep = history.ts_s >= query.now_s - settings.profile_window_days * 86400
        items = np.concatenate([history.items[keep][-PROFILE_ITEMS:], query.session])
        starter = settings.profile_starter_weight if len(np.unique(items)) < settings.profile_min_events else 0.0
        if len(items):
            types = np.concatenate([history.types[keep][-PROFILE_ITEMS:], np.zeros(len(query.session), np.int64)])
            strength = _strengths(settings.type_weights, types)
            np.add.at(weights, tags[items], strength[:, None])
            weights[-1] = 0.0
            weights = _only_top(weights, settings.profile_top_n, query.shelf.tag_names)
        if starter > 0:
            weights = (1 - starter) * weights + starter * self._starter(query)
        self._memo = (query, weights)
        return weights


def _overlap(profile: FloatArray, tags: npt.NDArray[np.int32]) -> FloatArray:
    """Sum of the profile over each column of tags, added up as a tree of eight so that the order never varies."""
    found = profile[tags]
    eight = found.reshape(-1, 8, found.shape[1]).sum(0)
    four = eight[0::2] + eight[1::2]
    two = four[0::2] + four[1::2]
    whole: FloatArray = two[0] + two[1]
    return whole


def _strengths(type_weights: Mapping[int, float], types: IntArray) -> FloatArray:
    table = np.zeros(int(types.max()) + 1)
    for type_, weight in type_weights.items():
        if type_ < len(table):
            table[type_] = weight
    return table[types]


def _only_top(weights: FloatArray, count: int, names: Sequence[str]) -> FloatArray:
    """The heaviest tags, made to sum to 1; equal weights by name, the sum exact: no replica's code order shows."""
    held = np.flatnonzero(weights)
    if len(held) > count:
        cut = np.partition(weights[held], len(held) - count)[len(held) - count]
        above, level = held[weights[held] > cut], held[weights[held] == cut].tolist()
        held = np.concatenate([above, sorted(level, key=names.__getitem__)[: count - len(above)]]).astype(np.int64)
        thin = np.zeros_like(weights)
        thin[held] = weights[held]
        weights = thin
    total = math.fsum(weights[held].tolist())
    return weights / total if total > 0 else weights


class ContentSource:
    """Cosine of sentence embeddings: to the anchors (weighted), best first. 0 for items without a vector.

    ``not_alike`` names for an item the others that people said are not like it: between those two there is no cosine.
    """

    name = "content_similarity"

    def __init__(self) -> None:
        self.not_alike: Mapping[int, Sequence[int]] = {}
        self._memo: tuple[object, FloatArray | None] = (None, None)

    def candidates(self, query: Query, limit: int) -> IntArray:
        dense = self._dense(query)
        return _NOTHING if dense is None else top(dense, limit, query.shelf.ties)

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        dense = self._dense(query)
        return np.zeros(len(items)) if dense is None else dense[items]

    def _dense(self, query: Query) -> FloatArray | None:
        """A value per item of the catalogue; None, without a pass over it, when no anchor has a vector."""
        if self._memo[0] is not query:
            self._memo = (query, self._computed(query))
        return self._memo[1]

    def _computed(self, query: Query) -> FloatArray | None:
        shelf = query.shelf
        rows = shelf.embedding_row[query.anchors[:CONTENT_PROFILE_ITEMS]]
        known = rows >= 0
        if not known.any():
            return None
        dense = np.zeros(shelf.size)
        weights = query.anchor_weights[:CONTENT_PROFILE_ITEMS][known].astype(np.float32)
        towards = weights @ shelf.embeddings[rows[known]]
        has = shelf.embedding_row >= 0
        cosines = shelf.embeddings @ towards
        if self.not_alike:
            self._part(cosines, query)
        dense[has] = np.maximum(cosines[shelf.embedding_row[has]], 0.0)
        dense[query.anchors] = 0.0
        return dense

    def _part(self, cosines: npt.NDArray[np.float32], query: Query) -> None:
        """Take out what an anchor says of the items that are not like it."""
        rows, vectors = query.shelf.embedding_row, query.shelf.embeddings
        weights = query.anchor_weights.tolist()
        for anchor, weight in zip(query.anchors[:CONTENT_PROFILE_ITEMS].tolist(), weights, strict=False):
            for other in self.not_alike.get(anchor, ()):
                if rows[anchor] >= 0 and rows[other] >= 0:
                    cosines[rows[other]] -= weight * float(vectors[rows[anchor]] @ vectors[rows[other]])
