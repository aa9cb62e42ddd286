"""Browsing sessions of all shoppers, found by what was looked at in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from recsys_engine.contract.entities import EventType
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.histories import ITEM, TS_MS, TYPE, Histories

SESSION_GAP_MS = 30 * 60_000
"""A longer pause between two views, clicks or adds of a shopper starts a new session."""
SESSION_REACH_MS = 60 * DAY_MS
"""Sessions that ended earlier are never looked at."""
ADD = int(EventType.ADD)
_FIRST_CAPACITY = 1024


@dataclass(slots=True)
class Session:
    """A run of one shopper's views, clicks and adds; the same item twice in a row counts once."""

    began_ms: int
    ended_ms: int
    items: list[int] = field(default_factory=list)

    def takes(self, ts_ms: int) -> bool:
        """Does an event at this time still belong to it?"""
        return abs(ts_ms - self.ended_ms) <= SESSION_GAP_MS

    def note(self, item: int, ts_ms: int) -> None:
        self.ended_ms = ts_ms
        if not self.items or self.items[-1] != item:
            self.items.append(item)


class Sessions:
    """All sessions, numbered by when they began; a forgotten one stays behind as an empty one.

    ``with_item`` names the sessions of an item, the latest last; ``ended_ms`` and ``sizes`` have one cell a session.
    """

    def __init__(self) -> None:
        self.all: list[Session] = []
        self.ended_ms = np.zeros(_FIRST_CAPACITY, np.int64)
        self.sizes = np.zeros(_FIRST_CAPACITY, np.int64)
        self.with_item: dict[int, list[int]] = {}
        self._of_user: dict[int, list[int]] = {}

    def add(self, user: int, item: int, type_: int, ts_ms: int) -> None:
        """Learn from one event; purchases and custom events belong to no session."""
        if type_ > ADD:
            return
        mine = self._of_user.get(user)
        if not mine or not self.all[mine[-1]].takes(ts_ms):
            self.put(user, Session(ts_ms, ts_ms))
        number = self._of_user[user][-1]
        session = self.all[number]
        if item not in session.items:
            self.with_item.setdefault(item, []).append(number)
        session.note(item, ts_ms)
        self._measure(number)

    def put(self, user: int, session: Session) -> None:
        """Take over a whole session; later ones go last."""
        number = len(self.all)
        self._of_user.setdefault(user, []).append(number)
        self.all.append(session)
        for item in set(session.items):
            self.with_item.setdefault(item, []).append(number)
        self._measure(number)

    def forget(self, user: int) -> None:
        """Take back everything a shopper contributed."""
        for number in self._of_user.pop(user, ()):
            for item in set(self.all[number].items):
                self.with_item[item].remove(number)
                if not self.with_item[item]:
                    del self.with_item[item]
            self.all[number] = Session(0, 0)
            self._measure(number)

    def _measure(self, number: int) -> None:
        """Keep when a session ended and how long it is where a query can pick them by number."""
        if number >= len(self.sizes):
            self.ended_ms, self.sizes = (
                np.concatenate([old, np.zeros_like(old)]) for old in (self.ended_ms, self.sizes)
            )
        self.ended_ms[number] = self.all[number].ended_ms
        self.sizes[number] = len(self.all[number].items)

    def contents(self) -> list[tuple[int, int, list[int]]]:
        """When each session began and ended and what was looked at, for comparing two states."""
        return sorted((session.began_ms, session.ended_ms, session.items) for session in self.all if session.items)


def sessions_from(histories: Histories) -> Sessions:
    """The sessions of everything recorded that are still within reach of the newest event."""
    rows = [(user, histories.rows(user)) for user in range(len(histories.user_ids))]
    newest = max((float(part[:, TS_MS].max()) for _, part in rows if len(part)), default=0.0)
    since = newest - SESSION_REACH_MS
    found = [
        (session.began_ms, user, session)
        for user, part in rows
        if len(part) and part[:, TS_MS].max() >= since
        for session in _runs(part[:, (ITEM, TYPE, TS_MS)].tolist())
        if session.ended_ms >= since
    ]
    made = Sessions()
    for _, user, session in sorted(found, key=lambda one: one[:2]):
        made.put(user, session)
    return made


def _runs(rows: Sequence[Sequence[float]]) -> Iterator[Session]:
    current: Session | None = None
    for item, type_, ts_ms in rows:
        if type_ > ADD:
            continue
        if current is None or not current.takes(int(ts_ms)):
            if current is not None:
                yield current
            current = Session(int(ts_ms), int(ts_ms))
        current.note(int(item), int(ts_ms))
    if current is not None:
        yield current
