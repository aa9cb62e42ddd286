"""Each shopper's own events as arrays, oldest first in log order."""

import numpy as np

from recsys_engine.domain import EMPTY_HISTORY, FloatArray, History, IntArray
from recsys_engine.signals.packing import Arrays, packed, unpacked

# Columns of a user's matrix. Everything fits a float64 exactly (basket codes have 48 bits).
ITEM, TS_MS, TYPE, VALUE, BASKET = range(5)
_FIRST_CAPACITY = 8


class Histories:
    """User index → matrix of events. Rows from the build are shared slices until the user's first new event."""

    def __init__(self) -> None:
        self.user_ids: list[str] = []
        self.user_index: dict[str, int] = {}
        self._base = np.empty((0, 5))
        self._offsets = np.zeros(1, np.int64)
        self._own: dict[int, tuple[FloatArray, int]] = {}

    def index_of(self, user_id: str) -> int:
        """The user's index, given on first sight."""
        known = self.user_index.get(user_id)
        if known is None:
            known = self.user_index[user_id] = len(self.user_ids)
            self.user_ids.append(user_id)
        return known

    def load(self, users: IntArray, rows: FloatArray) -> None:
        """Take over a whole log: ``rows`` has the five columns in log order, ``users`` the index of each row."""
        order = np.argsort(users, kind="stable")
        self._base = np.ascontiguousarray(rows[order])
        self._offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=len(self.user_ids)))])
        self._own.clear()

    def frozen(self) -> "Histories":
        """A copy that later events leave alone: rows are only ever added behind the size kept here."""
        still = Histories()
        still.user_ids, still._base, still._offsets = list(self.user_ids), self._base, self._offsets
        still._own = dict(self._own)
        return still

    def arrays(self) -> Arrays:
        """Everything ``take`` needs. Users without an event are left out: nothing of an erased person is kept."""
        counts = np.zeros(len(self.user_ids), np.int64)
        counts[: len(self._offsets) - 1] = np.diff(self._offsets)
        for user, (_, size) in self._own.items():
            counts[user] = size
        users = np.flatnonzero(counts).tolist()
        rows = np.concatenate([self._base[:0], *(self.rows(user) for user in users)])
        offsets = np.concatenate([[0], np.cumsum(counts[users])])
        return {"user_ids": packed([self.user_ids[user] for user in users]), "rows": rows, "offsets": offsets}

    def take(self, arrays: Arrays) -> None:
        """Take over what ``arrays`` gave."""
        self.user_ids = unpacked(arrays["user_ids"])
        self.user_index = {user_id: user for user, user_id in enumerate(self.user_ids)}
        self._base, self._offsets = arrays["rows"], arrays["offsets"]
        self._own.clear()

    def rows(self, user: int) -> FloatArray:
        """The user's matrix, a view; do not write to it."""
        own = self._own.get(user)
        if own is not None:
            return own[0][: own[1]]
        if user + 1 < len(self._offsets):
            return self._base[self._offsets[user] : self._offsets[user + 1]]
        return self._base[:0]

    def has_events(self, user_id: str) -> bool:
        """Is there anything of this user?"""
        user = self.user_index.get(user_id)
        return user is not None and len(self.rows(user)) > 0

    def append(self, user: int, row: tuple[int, int, int, float, int]) -> None:
        """Add one event at the end."""
        matrix, size = self._room(user, 1)
        matrix[size] = row
        self._own[user] = (matrix, size + 1)

    def extend(self, user: int, rows: FloatArray) -> None:
        """Add some events at the end."""
        matrix, size = self._room(user, len(rows))
        matrix[size : size + len(rows)] = rows
        self._own[user] = (matrix, size + len(rows))

    def _room(self, user: int, count: int) -> tuple[FloatArray, int]:
        """The user's own matrix with room for so many more rows, and how many it has."""
        own = self._own.get(user)
        if own is not None and own[1] + count <= len(own[0]):
            return own
        stored = self.rows(user)
        matrix = np.empty((max(_FIRST_CAPACITY, 2 * len(stored), len(stored) + count), 5))
        matrix[: len(stored)] = stored
        return matrix, len(stored)

    def replace(self, user: int, rows: FloatArray) -> None:
        """Put other rows in place of a user's history."""
        self._own[user] = (rows.copy(), len(rows))

    def rows_of_item(self, item: int) -> FloatArray:
        """Every event of an item, in no particular order."""
        users = np.repeat(np.arange(len(self._offsets) - 1), np.diff(self._offsets))
        moved = np.fromiter(self._own, np.int64, len(self._own))
        base = self._base[(self._base[:, ITEM] == item) & ~np.isin(users, moved)]
        own = [matrix[:size][matrix[:size, ITEM] == item] for matrix, size in self._own.values()]
        return np.concatenate([base, *own])

    def history(self, user_id: str | None, newest: int) -> History:
        """The last ``newest`` events of a user, empty for strangers."""
        user = self.user_index.get(user_id) if user_id else None
        if user is None:
            return EMPTY_HISTORY
        rows = self.rows(user)[-newest:]
        if not len(rows):
            return EMPTY_HISTORY
        return History(
            rows[:, ITEM].astype(np.int64),
            rows[:, TS_MS] / 1000.0,
            rows[:, TYPE].astype(np.int64),
            rows[:, VALUE].copy(),
            rows[:, BASKET].astype(np.int64),
        )
