"""Counting answers and calls in memory, and adding the counts to the tables every few seconds.

A page pays about a microsecond for being counted and never waits for a write. Killed with -9, a process loses the
counts of its last seconds, and nothing else.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from sqlalchemy import delete, extract, select

from shop_app.core.clock import Clock
from shop_app.extensions import db, insert_into
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable
from shop_app.recsys.models import BOUNDS_MS, AnswerMinute, CallMinute

VERBS = (
    "recommend", "rerank", "similar", "send_events", "append_history", "upsert_items", "upsert_users",
    "list_events", "list_items", "list_users", "delete_events", "delete_items", "delete_users", "forget_users",
)  # fmt: skip
"""What is counted of a gateway: the verbs whose number follows from traffic or from the size of the catalogue."""

LIVE = timedelta(days=3)
"""How long counts are kept by the minute; older ones are kept by the hour."""
KEPT = timedelta(days=400)
TIDIED_AT_ONCE = 5000

Counts = type[AnswerMinute] | type[CallMinute]
Key = tuple[Counts, datetime, tuple[str, ...]]
"""A table, a minute, and the values of the table's `place`."""
Sums = dict[str, int]


@dataclass
class Meter:
    """Counts of this process since the last `write`. `arm` is called once for the first count after a `take`."""

    clock: Clock
    arm: Callable[[], None] = lambda: None
    _sums: dict[Key, Sums] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def count_answer(
        self, slot: str, source: str, reason: str, *, took_s: float, cpu_s: float, is_hit: bool = False
    ) -> None:
        """One widget was answered, in `took_s` seconds of which this thread worked `cpu_s`."""
        took_ms = took_s * 1000
        sums = {"answers": 1, "hits": int(is_hit), "took_us": round(took_s * 1e6), "cpu_us": round(cpu_s * 1e6)}
        sums |= {f"within_{bound}": int(took_ms <= bound) for bound in BOUNDS_MS}
        self._add((AnswerMinute, self._minute(), (slot, source, reason)), sums)

    def count_call(
        self, verb: str, outcome: str, *, things: int, took_s: float, cpu_s: float, wire_bytes: int = 0
    ) -> None:
        """One call of the recommender ended: ok, rejected or unavailable."""
        sums = {"calls": 1, "things": things, "took_us": round(took_s * 1e6), "cpu_us": round(cpu_s * 1e6)}
        self._add((CallMinute, self._minute(), (verb, outcome)), sums | {"wire_bytes": wire_bytes})

    def take(self) -> Mapping[Key, Sums]:
        """What was counted since the last time; it is forgotten here."""
        with self._lock:
            taken, self._sums = self._sums, {}
        return taken

    def put_back(self, taken: Mapping[Key, Sums]) -> None:
        """`taken` could not be written: it is counted again with what came since."""
        for key, sums in taken.items():
            self._add(key, sums)

    def _minute(self) -> datetime:
        return self.clock.now().replace(second=0, microsecond=0)

    def _add(self, key: Key, sums: Sums) -> None:
        with self._lock:
            is_first = not self._sums
            known = self._sums.setdefault(key, dict.fromkeys(sums, 0))
            for name, value in sums.items():
                known[name] += value
        if is_first:
            self.arm()


def write(taken: Mapping[Key, Sums]) -> int:
    """Add counts to their rows, made when missing; returns how many rows. The caller's transaction."""
    for (model, minute, values), sums in sorted(taken.items(), key=_in_order):
        place = {"minute": minute, **dict(zip(model.place, values, strict=True))}
        statement = insert_into(model).values(**place, **sums)
        more = {name: model.__table__.c[name] + statement.excluded[name] for name in sums}
        db.session.execute(statement.on_conflict_do_update(index_elements=list(place), set_=more))
    return len(taken)


def _in_order(counted: tuple[Key, Sums]) -> tuple[str, datetime, tuple[str, ...]]:
    """Every process takes its row locks in the same order."""
    (model, minute, values), _ = counted
    return model.__tablename__, minute, values


def count_calls(gateway: Any, meter: Meter) -> None:
    """From now on every call of `gateway` is counted, with its outcome, its CPU time and what it carried."""
    moved = getattr(gateway, "moved_bytes", lambda: 0)
    for verb in VERBS:
        if hasattr(gateway, verb):
            setattr(gateway, verb, _counted(verb, getattr(gateway, verb), meter, moved))


def _counted(verb: str, call: Callable[..., Any], meter: Meter, moved_bytes: Callable[[], int]) -> Callable[..., Any]:
    @functools.wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        began, worked, moved = time.perf_counter(), time.thread_time(), moved_bytes()
        outcome, answer = "unavailable", None
        try:
            answer = call(*args, **kwargs)
            outcome = "ok"
        except RecsysRejected:
            outcome = "rejected"
            raise
        except RecsysUnavailable:
            raise
        finally:
            meter.count_call(
                verb,
                outcome,
                things=_things(args, answer),
                took_s=time.perf_counter() - began,
                cpu_s=time.thread_time() - worked,
                wire_bytes=moved_bytes() - moved,
            )
        return answer

    return run


def _things(args: Sequence[Any], answer: Any) -> int:
    """How much a call carried: what was sent, else what came back."""
    if args and isinstance(args[0], (list, tuple)):
        return len(args[0])
    found = getattr(answer, "items", None) or getattr(answer, "rows", ())
    return len(found) if isinstance(found, (list, tuple)) else 0


def tidy(now: datetime) -> int:
    """Put a batch of minutes older than `LIVE` into their hours, and forget hours older than `KEPT`.

    Returns how many minutes went. The caller's transaction.
    """
    return _tidied(AnswerMinute, now) + _tidied(CallMinute, now)


def _tidied(model: type[AnswerMinute] | type[CallMinute], now: datetime) -> int:
    minute = model.minute
    db.session.execute(delete(model).where(minute < now - KEPT))
    old = select(model).where(minute < now - LIVE, extract("minute", minute) != 0)
    hours: dict[Key, Sums] = {}
    rows: list[Any] = list(db.session.scalars(old.order_by(minute).limit(TIDIED_AT_ONCE)))
    for row in rows:
        key = (model, row.minute.replace(minute=0), tuple(getattr(row, name) for name in model.place))
        known = hours.setdefault(key, dict.fromkeys(model.sums, 0))
        for name in model.sums:
            known[name] += getattr(row, name)
        db.session.delete(row)
    write(hours)
    return len(rows)
