"""Beacons that wait for the log at the same time go into it in one transaction (group commit).

A commit costs as much as the rows of a beacon, and writers that alternate make each other read their pages again. So
the first of the waiting threads of a process writes for all of them; each still gets its own answer, and only after
the commit. A beacon whose rows the database refuses does not take the others with it: then each is written alone.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from shop_app.tracking.log_rows import Row, Shared

MOST_AT_ONCE = 32
"""Beacons of one transaction: other writers of SQLite wait that long, some 10 ms."""


@dataclass(slots=True)
class Waiting:
    """The rows of one beacon, and what became of them: the ids that were new, or what the database said."""

    rows: Sequence[Row]
    shared: Shared
    new: set[str] | None = None
    error: SQLAlchemyError | None = None
    is_done: bool = False


Store = Callable[[Sequence[Waiting]], list[set[str]]]
"""Writes the rows of all of them in one transaction; returns the new ids of each, or raises and has written nothing."""


class GroupIntake:
    """The door to the log of one process; threads share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = threading.Lock()
        self._waiting: list[Waiting] = []
        self._line = threading.Lock()

    def add(self, rows: Sequence[Row], shared: Shared) -> set[str]:
        """Store the rows; returns the ids that were new, when they are safe.

        Raises:
            SQLAlchemyError: what the database said to these rows; nothing of them is stored.
            RuntimeError: the thread that was writing for this one was stopped; nothing of them is stored.

        """
        mine = Waiting(rows, shared)
        with self._line:
            self._waiting.append(mine)
        with self._turn:  # whoever gets the turn finds its rows stored by the one before, or stores for all in line
            while not mine.is_done:
                with self._line:
                    group, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                self._store_all(group)
        if mine.new is None:
            raise mine.error or RuntimeError("the thread that wrote for others was stopped")
        return mine.new

    def _store_all(self, group: Sequence[Waiting]) -> None:
        try:
            for waiting, new in zip(group, self._store(group), strict=True):
                waiting.new = new
        except SQLAlchemyError as error:
            if len(group) == 1:
                group[0].error = error
            else:
                for waiting in group:
                    self._store_all([waiting])
        finally:  # also when this thread is being stopped: nobody must wait for it
            for waiting in group:
                waiting.is_done = True
