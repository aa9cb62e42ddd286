"""The live state of one tenant in one process: a pure function of a prefix of the log."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from recsys_engine.domain import FloatArray
from recsys_engine.signals.catalog import Catalog
from recsys_engine.signals.decay import DAY_MS, weight_at
from recsys_engine.signals.histories import ITEM, TS_MS, TYPE, VALUE, Histories
from recsys_engine.signals.interactions import basket_partners, covisit_partners, recent_rows, sequence_partners
from recsys_engine.signals.packing import Arrays, packed, part, under, unpacked
from recsys_engine.signals.pairs import PairCounts
from recsys_engine.signals.popularity import Popularity
from recsys_engine.signals.sessions import Sessions, sessions_from
from recsys_engine.store.log import EventRow

PAIR_HALF_LIFE_MS = 90 * DAY_MS
SEQUENCE_HALF_LIFE_MS = 30 * DAY_MS
PAIR_KINDS = ("covisit", "sequence", "basket")
UNNAMED_ORDER_MS = 30 * 60_000
"""Purchases without an order id belong together when they fall into the same half hour."""


@dataclass(frozen=True, slots=True)
class CounterSettings:
    """What the counters are built with; a change means a rebuild."""

    epoch_ms: int
    half_lives_ms: Mapping[int, int] = field(default_factory=dict)
    default_half_life_ms: int = 14 * DAY_MS
    covisit_window_ms: int = 28 * DAY_MS
    category_pace: Mapping[str, float] = field(default_factory=dict)
    """Folded category name → factor on every half-life of its items' popularity."""


class LiveState:
    """Applies log rows one by one. ``seq`` is the last row applied."""

    def __init__(self, settings: CounterSettings) -> None:
        self.settings = settings
        self.seq = 0
        self.erasures = 0
        self.catalog = Catalog()
        self.histories = Histories()
        self.traits: dict[str, Mapping[str, object]] = {}
        self.popularity = Popularity(settings.epoch_ms, dict(settings.half_lives_ms), settings.default_half_life_ms)
        self.covisit = PairCounts(settings.epoch_ms, PAIR_HALF_LIFE_MS)
        self.sequence = PairCounts(settings.epoch_ms, SEQUENCE_HALF_LIFE_MS)
        self.basket = PairCounts(settings.epoch_ms, PAIR_HALF_LIFE_MS)
        self._sessions: Sessions | None = None

    @property
    def sessions(self) -> Sessions:
        """Browsing sessions: derived from the histories when first asked for, kept up with every event from then."""
        return self.follow_sessions() if self._sessions is None else self._sessions

    def follow_sessions(self) -> Sessions:
        """Derive the sessions now, before anybody waits for a list or writes from another thread."""
        if self._sessions is None:
            self._sessions = sessions_from(self.histories)
        return self._sessions

    def put_item(self, row: Any) -> None:
        """Apply one row of the items table; a category of another pace counts its popularity anew."""
        item = self.catalog.put(row)
        pace = self.settings.category_pace.get(self.catalog.category_of(item) or "", 1.0)
        if pace == self.popularity.pace.get(item, 1.0):
            return
        self.popularity.set_pace(item, pace)
        rows = self.histories.rows_of_item(item)
        self.popularity.recount(item, rows[:, TYPE].astype(np.int64), rows[:, VALUE], rows[:, TS_MS].astype(np.int64))

    def apply(self, event: EventRow) -> None:
        """Learn from one event. Impressions and events without an item teach nothing here."""
        self.seq = max(self.seq, event.seq)
        if event.is_impression or not event.item_id:
            return
        user = self.histories.index_of(event.user_id)
        item = self.catalog.index_of(event.item_id)
        earlier = self.histories.rows(user)
        row = (item, event.ts_ms, event.type, event.value, basket_code(event))
        self._count(earlier, row, 1)
        self.histories.append(user, row)
        self.note_visit(user, item, event.type, event.ts_ms)

    def note_visit(self, user: int, item: int, type_: int, ts_ms: int) -> None:
        """Keep the sessions up with one event, once they are followed."""
        if self._sessions is not None:
            self._sessions.add(user, item, type_, ts_ms)

    def forget_user(self, user_id: str) -> None:
        """Take back everything a user contributed; afterwards no signal differs from one that never saw them."""
        user = self.histories.user_index.get(user_id)
        self.traits.pop(user_id, None)
        if user is None:
            return
        self.erasures += 1
        rows = self.histories.rows(user)
        for place in range(len(rows)):
            self._count(rows[:place], rows[place].tolist(), -1)
        self.histories.replace(user, np.empty((0, 5)))
        if self._sessions is not None:
            self._sessions.forget(user)

    def relearn_users(self, user_ids: Iterable[str], events: Sequence[EventRow]) -> None:
        """Put ``events`` (all that is left of these users, in log order) in place of what they contributed."""
        for user_id in user_ids:
            traits = self.traits.get(user_id)
            self.forget_user(user_id)
            if traits is not None:
                self.traits[user_id] = traits
        for event in events:
            self.apply(event)

    def take_back(self, newest: Mapping[str, int]) -> None:
        """Unlearn each user's newest events, so many: the state is then as it was before them."""
        for user_id, count in newest.items():
            user = self.histories.index_of(user_id)
            rows = self.histories.rows(user)
            kept = len(rows) - count
            for place in range(kept, len(rows)):
                self._count(rows[:place], rows[place].tolist(), -1)
            self.histories.replace(user, rows[:kept])

    def disown(self, item_ids: Iterable[str]) -> None:
        """Forget the names of items that neither a row nor an event speaks of any more."""
        for item_id in item_ids:
            item = self.catalog.index.get(item_id)
            if item is not None and not self.catalog.is_stored(item) and not self.covisit.has_total(item):
                del self.catalog.index[item_id]

    def frozen(self) -> "LiveState":
        """A copy that later rows leave alone. Quick, so that whoever holds the lock keeps nobody waiting."""
        still = copy(self)
        still.traits = dict(self.traits)
        for name in ("catalog", "histories", "popularity", *PAIR_KINDS):
            setattr(still, name, getattr(self, name).frozen())
        return still

    def arrays(self) -> Arrays:
        """The whole state as named arrays, for a frozen copy; ``load`` makes an equal state of them."""
        return {
            "seq": np.array([self.seq]),
            "traits": packed(self.traits),
            **under("catalog", self.catalog.arrays()),
            **under("histories", self.histories.arrays()),
            **under("popularity", self.popularity.arrays()),
            **{name: array for kind in PAIR_KINDS for name, array in under(kind, getattr(self, kind).arrays()).items()},
        }

    def load(self, arrays: Arrays) -> None:
        """Take over what ``arrays`` gave, in an empty state of the same settings."""
        self.seq = int(arrays["seq"][0])
        self.traits = unpacked(arrays["traits"])
        self.catalog.load(part("catalog", arrays))
        self.histories.take(part("histories", arrays))
        self.popularity.load(part("popularity", arrays))
        for kind in PAIR_KINDS:
            getattr(self, kind).take(part(kind, arrays))

    def _count(self, earlier: FloatArray, row: Sequence[float], sign: int) -> None:
        item, ts_ms = int(row[ITEM]), int(row[TS_MS])
        epoch_ms = self.settings.epoch_ms
        self.popularity.add(item, int(row[TYPE]), float(row[VALUE]), ts_ms, sign)
        pair_weight = sign * weight_at(ts_ms, epoch_ms, PAIR_HALF_LIFE_MS)
        recent = recent_rows(earlier)
        self.covisit.add_both(item, covisit_partners(recent, row, self.settings.covisit_window_ms), pair_weight)
        self.covisit.add_total(item, pair_weight)
        step_weight = weight_at(ts_ms, epoch_ms, SEQUENCE_HALF_LIFE_MS)
        for other, lag in sequence_partners(recent, row).items():
            self.sequence.add(other, item, sign * (step_weight // lag))
        self.sequence.add_total(item, sign * step_weight)
        lines = basket_partners(earlier, row)
        if lines is None:
            return
        self.basket.add_both(item, lines, pair_weight)
        self.basket.add_total(item, pair_weight)


def basket_code(event: EventRow) -> int:
    """A number equal for lines of one order of one user; collisions within a user are negligible (48 bits)."""
    if event.order_id:
        return order_code(event.order_id)
    return -(event.ts_ms // UNNAMED_ORDER_MS)


def order_code(order_id: str) -> int:
    """48-bit code of an order id."""
    return int.from_bytes(blake2b(order_id.encode(), digest_size=6).digest(), "big")
