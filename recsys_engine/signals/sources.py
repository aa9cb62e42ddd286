"""The live signals behind the common face: each finds candidates and scores any items."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from recsys_engine.contract.entities import EventType
from recsys_engine.domain import FloatArray, IntArray, Query, Shelf
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.pairs import Norm, Norms, PairCounts, Row
from recsys_engine.signals.picking import best, looked_up
from recsys_engine.signals.popular import REACH, PopularitySource
from recsys_engine.signals.spread import add_rows

PAIR_SHRINKAGE = 5.0
SPARSE_SHARE = 8
"""Partners of fewer than one in this many items are added into a kept buffer; of more, all items are summed anew."""
FEW_PARTNERS = 64
REPURCHASE_HALF_LIFE_S = 60 * DAY_MS / 1000
PROFILE_ITEMS = 200
STARTER_ITEMS = 50
"""The most popular items whose tags stand in for a short profile."""
CONTENT_PROFILE_ITEMS = 20
_PURCHASE = int(EventType.PURCHASE)
_NOTHING: IntArray = np.empty(0, np.int64)


class PairSource:
    """Partners of the anchors under one pair relation, shrunk cosine, weighted over the anchors."""

    def __init__(self, name: str, pairs: PairCounts, asymmetry: float = 0.5) -> None:
        self.name = name
        self._pairs = pairs
        self._norm = Norm(PAIR_SHRINKAGE, asymmetry)
        self._query: Query | None = None
        self._values: FloatArray = np.zeros(0)
        self._kept: FloatArray = np.zeros(0)
        self._slots = np.zeros(0, np.int32)
        self._touched: IntArray | None = None

    def candidates(self, query: Query, limit: int) -> IntArray:
        self._spread(query)
        touched = self._touched
        if touched is None:
            return best(self._values, limit, query.shelf.ties)
        if len(touched) <= limit:
            return touched
        return touched[best(self._values[touched], limit, query.shelf.ties[touched])]

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        self._spread(query)
        return self._values[items]

    def per_anchor(self, query: Query, item: int) -> list[tuple[int, float]]:
        """How much each anchor adds to an item's score, for explanations."""
        shares = []
        anchors, weights = self.speakers(query)
        norms = self._norms(query)
        for place, anchor in enumerate(anchors.tolist()):
            rows, scales = self._pairs.weighted_rows(anchors[place : place + 1], weights[place : place + 1], norms)
            for partners, counts, _ in rows:
                at = int(np.searchsorted(partners, item))
                if at < len(partners) and partners[at] == item:
                    shares.append((anchor, float(counts[at] * scales[0] * norms.right[item])))
        return shares

    def speakers(self, query: Query) -> tuple[IntArray, FloatArray]:
        """Whose partners are looked up, and how much each counts."""
        return query.anchors, query.anchor_weights

    def _spread(self, query: Query) -> None:
        """Work out the values of this query: for few partners in a buffer that is cleared only where it was touched.

        ``_touched`` holds the distinct partners, or None when any item may be one.
        """
        if self._query is query:
            return
        self._clear(query.shelf.size)
        norms = self._norms(query)
        rows, scales = self._pairs.weighted_rows(*self.speakers(query), norms)
        if sum([len(row.partners) for row in rows]) * SPARSE_SHARE > query.shelf.size:
            self._values, self._touched = _summed_rows(rows, scales, norms, query.shelf.size), None
        elif rows:
            add_rows(self._kept, rows, scales)
            self._touched = self._distinct([row.partners for row in rows])
            self._kept[self._touched] *= norms.right[self._touched]
        self._query = query

    def _distinct(self, rows: list[npt.NDArray[np.int32]]) -> IntArray:
        """Each partner once: the last place of each wins a slot, which for a few would cost more than a dict."""
        if len(rows) == 1:
            return rows[0].astype(np.int64)
        partners = np.concatenate(rows, dtype=np.int64)
        if len(partners) <= FEW_PARTNERS:
            return np.array(list(dict.fromkeys(partners.tolist())), np.int64)
        places = np.arange(len(partners), dtype=np.int32)
        self._slots[partners] = places
        distinct: IntArray = partners[self._slots[partners] == places]
        return distinct

    def _clear(self, size: int) -> None:
        self._query = None
        if self._touched is not None and len(self._touched):
            self._kept[self._touched] = 0.0
        if len(self._kept) < size:
            self._kept = np.zeros(max(size, 2 * len(self._kept)))
            self._slots = np.zeros(len(self._kept), np.int32)
        self._values, self._touched = self._kept, _NOTHING

    def _norms(self, query: Query) -> Norms:
        return self._pairs.norms(self._norm, round(query.now_s * 1000))


def _summed_rows(rows: Sequence[Row], scales: FloatArray, norms: Norms, size: int) -> FloatArray:
    """The values of all items; those beyond the norms have no total and are nobody's partners."""
    values = np.zeros(size)
    add_rows(values, rows, scales)
    known = min(size, len(norms.right))
    values[:known] *= norms.right[:known]
    return values


class RawCoVisitSource:
    """The plain co-visitation of the base formula: decayed pair count, maximum over the anchors."""

    name = "co_visitation_raw"

    def __init__(self, pairs: PairCounts) -> None:
        self._pairs = pairs

    def candidates(self, query: Query, limit: int) -> IntArray:
        return best(self._dense(query), limit, query.shelf.ties)

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
        return items[best(scores, limit, query.shelf.ties[items])] if len(items) > limit else items

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        return looked_up(*self._own(query), items)

    def _own(self, query: Query) -> tuple[IntArray, FloatArray]:
        if self._memo[0] is not query:
            self._memo = (query, *self._computed(query))
        return self._memo[1], self._memo[2]

    def _computed(self, query: Query) -> tuple[IntArray, FloatArray]:
        history = query.history
        bought = (history.types == _PURCHASE).nonzero()[0]
        if not len(bought):
            return _NOTHING, np.zeros(0)
        ts = history.ts_s[bought]
        fresh = 0.5 ** (np.maximum(query.now_s - ts, 0.0) / REPURCHASE_HALF_LIFE_S)
        past: dict[int, list[tuple[float, float]]] = {}
        for item, at, counts in zip(history.items[bought].tolist(), ts.tolist(), fresh.tolist(), strict=True):
            past.setdefault(item, []).append((at, counts))
        items = sorted(past)
        return np.array(items, np.int64), np.array([_due(past[item], query.now_s) for item in items])


def _due(past: list[tuple[float, float]], now_s: float) -> float:
    """What one item's purchases (when, and what each still counts) say; the sum is exact, so in any order the same."""
    if len(past) == 1:
        return past[0][1]
    moments = [at for at, _ in past]
    last = max(moments)
    gap = (last - min(moments)) / (len(past) - 1)
    due = min(max((now_s - last) / max(gap, 1.0), 0.3), 1.0) if gap > 0 else 1.0
    return math.fsum([counts for _, counts in past]) * due


class TagProfileSource:
    """Overlap of an item's tags with the shopper's tag profile (top tags of their recent events, weights sum to 1)."""

    name = "personalization"

    def __init__(self, popularity: PopularitySource) -> None:
        self._popularity = popularity
        self._memo: tuple[object, FloatArray] = (None, np.zeros(0))
        self._reach: IntArray = _NOTHING
        self._reach_tags: IntArray = np.empty((0, 0), np.int64)
        self._strengths: tuple[object, FloatArray] = (None, np.zeros(0))

    def candidates(self, query: Query, limit: int) -> IntArray:
        profile = self.profile(query)
        if not np.count_nonzero(profile):
            return _NOTHING
        reach = self._popularity.best(query, REACH)
        if reach is not self._reach:
            self._reach = reach
            self._reach_tags = np.ascontiguousarray(query.shelf.tags[reach[:REACH]].T, np.int64)
        return reach[best(_overlap(profile, self._reach_tags), limit, query.shelf.ties[reach])]

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        profile = self.profile(query)
        return _overlap(profile, np.ascontiguousarray(query.shelf.tags[items].T, np.int64))

    def _starter(self, query: Query) -> FloatArray:
        """The tags of the most popular items by popularity, weights summing to 1: a profile for those without one."""
        popular = self._popularity.best(query, STARTER_ITEMS)[:STARTER_ITEMS]
        weights = _summed(query.shelf, popular, self._popularity.scores(query, popular))
        return _only_top(weights, query.settings.profile_top_n, query.shelf.tag_names)

    def _strengths_of(self, type_weights: Mapping[int, float]) -> FloatArray:
        """The weight of each event type by number, and a 0 behind the last for all types without one."""
        if self._strengths[0] is not type_weights:
            table = np.zeros(max(type_weights, default=-1) + 2)
            for type_, weight in type_weights.items():
                table[type_] = weight
            self._strengths = (type_weights, table)
        return self._strengths[1]

    def profile(self, query: Query) -> FloatArray:
        """Weight per tag code; one extra cell at the end catches the padding and stays 0."""
        if self._memo[0] is query:
            return self._memo[1]
        history, settings = query.history, query.settings
        keep = (history.ts_s >= query.now_s - settings.profile_window_days * 86400).nonzero()[0][-PROFILE_ITEMS:]
        items, types = history.items[keep], history.types[keep]
        if len(query.session):
            items = np.concatenate([items, query.session])
            types = np.concatenate([types, np.zeros(len(query.session), np.int64)])
        weights = np.zeros(query.shelf.tag_count + 1)
        if len(items):
            weights = _summed(query.shelf, items, self._strengths_of(settings.type_weights).take(types, mode="clip"))
            weights = _only_top(weights, settings.profile_top_n, query.shelf.tag_names)
        starter = settings.profile_starter_weight
        if starter > 0 and len(set(items.tolist())) < settings.profile_min_events:
            weights = (1 - starter) * weights + starter * self._starter(query)
        self._memo = (query, weights)
        return weights


def _summed(shelf: Shelf, items: IntArray, strengths: FloatArray) -> FloatArray:
    """What the items' strengths add up to for each tag code, and 0 in one extra cell."""
    tags = shelf.tags[items]
    counted: FloatArray
    counted = np.bincount((tags + 1).ravel(), strengths.repeat(tags.shape[1]), shelf.tag_count + 1)  # type: ignore[assignment]  # with weights they are floats
    counted[:-1] = counted[1:]  # the first cell caught the padding
    counted[-1] = 0.0
    return counted


def _overlap(profile: FloatArray, tags: IntArray) -> FloatArray:
    """Sum of the profile over each column of tags, added up as a tree of eight so that the order never varies.

    Fewer columns are the tree without its empty branches.
    """
    found: FloatArray = profile.take(tags)
    if len(found) > 8:
        found = found.reshape(-1, 8, found.shape[1]).sum(0)
    while len(found) > 1:
        found = found[0::2] + found[1::2]
    whole: FloatArray = found[0]
    return whole


def _only_top(weights: FloatArray, count: int, names: Sequence[str]) -> FloatArray:
    """The heaviest tags, made to sum to 1; equal weights by name, the sum exact: no replica's code order shows."""
    held = weights.nonzero()[0]
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
        return _NOTHING if dense is None else best(dense, limit, query.shelf.ties)

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
        if not np.count_nonzero(known):
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
