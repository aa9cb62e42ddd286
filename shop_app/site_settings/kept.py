"""Small tables that every request reads and hardly anybody writes, held in memory for a moment."""

from collections.abc import Callable
from time import monotonic
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event

from shop_app.extensions import Base, db

T = TypeVar("T")
KEPT_S = 1.0
"""How long another process's edit may take to be seen here."""


class Kept(Generic[T]):
    """What `read` found, for a second, per database; forgotten at once when this process writes a row of `model`.

    The kept value is shared between threads: it must not be changed.
    """

    def __init__(self, read: Callable[[], T], model: type[Base]) -> None:
        self._read = read
        self._found: WeakKeyDictionary[Engine, tuple[float, T]] = WeakKeyDictionary()
        for moment in ("after_insert", "after_update", "after_delete"):
            event.listen(model, moment, self._forget)

    def __call__(self) -> T:
        engine, now = db.engine, monotonic()
        kept = self._found.get(engine)
        if kept and now - kept[0] < KEPT_S:
            return kept[1]
        value = self._read()
        if not db.session.dirty and not db.session.new:  # never what may yet be rolled back
            self._found[engine] = (now, value)
        return value

    def _forget(self, *_: Any) -> None:
        self._found.clear()
