"""Which items changed since one last looked, so that a change costs its items and not the catalogue."""

from collections import deque
from collections.abc import Sequence
from itertools import islice

KEPT = 4096


class Journal:
    """Counts changes and remembers the items of the last 4,096."""

    def __init__(self, version: int = 0) -> None:
        self.version = version
        self._items: deque[int] = deque(maxlen=KEPT)

    def note(self, item: int) -> None:
        """One item changed."""
        self._items.append(item)
        self.version += 1

    def note_all(self, items: Sequence[int]) -> None:
        """Some items changed."""
        self._items.extend(items)
        self.version += len(items)

    def turn(self) -> None:
        """Many items changed: whoever looks must look at all."""
        self._items.clear()
        self.version += 1

    def since(self, version: int) -> list[int] | None:
        """The items changed since ``version``, ascending; None when they are too many to tell."""
        behind = self.version - version
        if not 0 <= behind <= len(self._items):
            return None
        return sorted(set(islice(reversed(self._items), behind)))
