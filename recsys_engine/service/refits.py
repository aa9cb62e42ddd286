"""When the ranking learns anew, one run at a time, and how far it is."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from recsys_engine.contract.operations import RefitStatus
from recsys_engine.service.engine import Engine
from recsys_engine.service.models import ModelFile
from recsys_engine.signals.ranking.model import Told, tell_nobody
from recsys_engine.store.learning import erasures_after, purchases_after

FEWEST_NEW = 200
"""Purchase lines below which nothing new can be learned."""
NEW_SHARE = 0.05
"""Growth of the log from which a refit pays."""
PAUSE = timedelta(hours=1)
PAUSE_AFTER_ERASURE = timedelta(minutes=15)
"""An erased person leaves the aggregates of the learned model with the next refit, so that one comes sooner."""


class Refits:
    """One tenant's refits on this machine. The status stands in a file beside the model, as the model does."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        with engine.reading() as (_, tenant):
            self._tenant = tenant
        self._folder = folder
        self._path = folder / f"refit-{tenant}.json"

    def status(self) -> RefitStatus:
        """Where the ranking stands; counts what came since from the log."""
        told = self._read()
        with self._engine.reading() as (connection, tenant):
            new = purchases_after(connection, tenant, told.get("log_seq", 0))
            erasures = erasures_after(connection, tenant, told.get("log_seq", 0))
        state = told.get("state", "never")
        if state == "running" and self._is_free():
            state = "interrupted"
        started_at = _moment(told.get("started_at"))
        return RefitStatus(
            state=state,
            is_due=state != "running" and self._is_due(told, new, erasures, started_at),
            started_at=started_at,
            finished_at=_moment(told.get("finished_at")),
            done=told.get("done", 0),
            total=told.get("total", 0),
            what=told.get("what", ""),
            purchases=told.get("purchases", 0),
            new_purchases=new,
            erasures=erasures,
            error=told.get("error"),
        )

    def run(self, progress: Told = tell_nobody) -> bool:
        """Learn anew in this process; minutes of one core on a large log. Other processes pick the result up.

        False when another process is at it or there is no purchase to learn from.
        """
        with self._alone() as is_alone:
            return is_alone and self._learn(progress)

    def _learn(self, progress: Told) -> bool:
        lessons = self._engine.lessons()
        if not len(lessons.orders.item):
            return False
        before = self._read()
        now = self._engine.now()
        told: dict[str, Any] = {"state": "running", "started_at": now.isoformat(), "log_seq": before.get("log_seq", 0)}
        seq, purchases = self._engine.live_state().seq, len(lessons.orders.item)
        self._write(told)

        def tell(done: int, total: int, what: str) -> None:
            told.update(done=done, total=total, what=what)
            self._write(told)
            progress(done, total, what)

        try:
            ModelFile(self._folder, self._tenant).fit_here(lessons, now.timestamp(), tell)
        except Exception as error:
            self._write({**told, "state": "failed", "error": f"{type(error).__name__}: {error}"[:500]})
            raise
        finished = {"state": "done", "log_seq": seq, "purchases": purchases}
        self._write({**told, **finished, "finished_at": self._engine.now().isoformat()})
        return True

    def _is_due(self, told: dict[str, Any], new: int, erasures: int, started_at: datetime | None) -> bool:
        rested = self._engine.now() - (started_at or datetime.min.replace(tzinfo=UTC))
        if erasures and told.get("log_seq") and rested >= PAUSE_AFTER_ERASURE:
            return True
        return new >= max(FEWEST_NEW, NEW_SHARE * told.get("purchases", 0)) and rested >= PAUSE

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _is_free(self) -> bool:
        with self._alone() as is_alone:
            return is_alone

    def _read(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return told

    def _write(self, told: dict[str, Any]) -> None:
        with NamedTemporaryFile("w", dir=self._folder, prefix=self._path.stem, delete=False) as file:
            json.dump(told, file)
        Path(file.name).replace(self._path)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
