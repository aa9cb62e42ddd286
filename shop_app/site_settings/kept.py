"""What many requests read and hardly anybody changes, held in memory for a moment."""

from collections.abc import Callable
from itertools import product
from time import monotonic
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event

from shop_app.extensions import Base, db

T = TypeVar("T")
P = ParamSpec("P")
MOST = 200
"""Values of one kind held at once: beyond that all are read again."""
KEPT_S = 1.0
"""How long another process's edit may take to be seen here."""


class Kept(Generic[P, T]):
    """What `read` found for its arguments, for a second or `kept_s`, per database.

    It is forgotten at once when the sessions of this process write a row of `models`; statements past the session and
    other processes are seen when the time is over. The kept value is shared between threads: it must not be changed.
    """

    def __init__(self, read: Callable[P, T], *models: type[Base], kept_s: float = KEPT_S) -> None:
        self._read, self._kept_s = read, kept_s
        self._found: WeakKeyDictionary[Engine, dict[Any, tuple[float, T]]] = WeakKeyDictionary()
        for model, moment in product(models, ("after_insert", "after_update", "after_delete")):
            event.listen(model, moment, self._forget)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        now, key = monotonic(), (args, *sorted(kwargs.items())) if kwargs else args
        found = self._found.get(db.engine)
        if found is None:
            found = self._found.setdefault(db.engine, {})
        kept = found.get(key)
        if kept and now - kept[0] < self._kept_s:
            return kept[1]
        value = self._read(*args, **kwargs)
        if not db.session.dirty and not db.session.new:  # never what may yet be rolled back
            if len(found) >= MOST:
                found.clear()
            found[key] = (now, value)
        return value

    def _forget(self, *_: Any) -> None:
        self._found.clear()
