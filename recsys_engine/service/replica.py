"""One tenant's state in this process: built once, kept up with the log, never more than a moment behind."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection

from recsys_engine.contract import Health
from recsys_engine.contract.errors import EngineUnavailableError
from recsys_engine.service.snapshots import Snapshots
from recsys_engine.signals.batches import learn
from recsys_engine.signals.build import load_events
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store import log as log_store
from recsys_engine.store.database import Database, head
from recsys_engine.store.log import EventRow, Operation
from recsys_engine.store.snapshots import ERASING

log = logging.getLogger(__name__)

TAIL_INTERVAL_S = 0.2
REBUILD_BEHIND = 20_000
"""Rows behind up to which a state always follows; a longer way is followed while it is the shorter part of the log,
for a row costs less than twice what it does in a build, and a build keeps lists waiting."""
MAX_TAIL_LAG_S = 5.0
APPLY_CHUNK = 250
"""Rows applied per hold of the lock, some 3 ms, so that requests are not kept waiting by a batch or a long tail."""


class Replica:
    """Holds the live state behind one lock. Readers call ``state()``, writers ``applied``."""

    def __init__(
        self,
        database: Database,
        tenant: int,
        *,
        clock: Callable[[], datetime],
        counters: Callable[[Connection, int, int], CounterSettings],
        on_built: Callable[[LiveState], None],
        on_settings: Callable[[Connection], None],
        user_hash: Callable[[str], str],
        snapshots: Snapshots | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._database = database
        self._tenant = tenant
        self._clock = clock
        self._counters = counters
        self._on_built = on_built
        self._on_settings = on_settings
        self._user_hash = user_hash
        self._snapshots = snapshots
        self._state: LiveState | None = None
        self._epoch_ms = 0
        self.last_tail: datetime | None = None

    @property
    def is_loaded(self) -> bool:
        return self._state is not None

    def state(self) -> LiveState:
        """The live state, built from the log on first use."""
        state = self._state
        if state is None:
            with self.lock:
                state = self._state or self._build()
        return state

    def applied(self, before_seq: int, epoch_ms: int, rows: Sequence[EventRow]) -> None:
        """Learn from rows this process just wrote: at once if nothing else lies between, else through the log."""
        if self._state is None:
            return
        for start in range(0, max(len(rows), 1), APPLY_CHUNK):
            with self.lock:
                state = self._state
                if state is None or state.seq != before_seq or epoch_ms != self._epoch_ms:
                    break
                learn(state, rows[start : start + APPLY_CHUNK])
                before_seq = state.seq
            time.sleep(0)  # whoever waits for a list takes the lock before the next part does
        else:
            return
        self.catch_up()

    def readiness(self, log_seq: int) -> Health:
        """Is the state close behind the log's row ``log_seq``?"""
        state = self.state()
        lag_s = 0.0
        if self.last_tail and state.seq < log_seq:
            lag_s = max((self._clock() - self.last_tail).total_seconds(), 0.0)
        details = {"log_seq": log_seq, "applied_seq": state.seq, "lag_s": lag_s, "items": state.catalog.size}
        return Health("degraded", ("tail",), details) if lag_s > MAX_TAIL_LAG_S else Health("ok", (), details)

    def drop(self) -> None:
        """Forget the live state: it is built from the log when it is next asked for."""
        with self.lock:
            self._state = None

    def catch_up(self) -> None:
        """Apply everything written since; rebuild when the counters' ground has moved."""
        state = self._state
        if state is None:
            return
        with self._database.read() as connection:
            seq, epoch_ms = head(connection, self._tenant)
            if epoch_ms != self._epoch_ms or seq - state.seq > max(REBUILD_BEHIND, state.seq):
                self._rebuild()
                return
            while state.seq < seq:
                if not self._apply_batch(connection, state, seq):
                    self._rebuild()
                    return
        self.last_tail = self._clock()

    def _apply_batch(self, connection: Connection, state: LiveState, seq: int) -> bool:
        """Apply the next rows; False when the counters must be built anew."""
        rows, until = self._next_rows(connection, state.seq, seq)
        if rows is None:
            return False
        for start in range(0, len(rows), APPLY_CHUNK):
            with self.lock:
                if self._state is not state:  # rebuilt meanwhile by another thread
                    state.seq = seq
                    return True
                self._apply_rows(connection, state, rows[start : start + APPLY_CHUNK])
        with self.lock:
            state.seq = max(state.seq, until)
        return True

    def _next_rows(self, connection: Connection, after: int, seq: int) -> tuple[list[tuple[int, Any]] | None, int]:
        """Rows after a number, in order, and the number they reach; no rows when the counters must be built anew."""
        events = log_store.events_after(connection, self._tenant, after)
        until = events[-1].seq if len(events) == log_store.TAIL_BATCH else seq
        rows: list[tuple[int, Any]] = [(event.seq, event) for event in events]
        rows += [(int(row.seq), row) for row in log_store.items_after(connection, self._tenant, after)]
        rows += [(row[0], row) for row in log_store.users_after(connection, self._tenant, after)]
        rows += [(row.seq, row) for row in log_store.operations_after(connection, self._tenant, after)]
        if any(isinstance(row, Operation) and row.kind == "rebuild" for _, row in rows):
            return None, until
        return sorted((row for row in rows if row[0] <= until), key=lambda row: row[0]), until

    def _apply_rows(self, connection: Connection, state: LiveState, rows: Sequence[tuple[int, Any]]) -> None:
        news = [(row_seq, row) for row_seq, row in rows if row_seq > state.seq]
        for are_events, part in groupby(news, key=lambda numbered: isinstance(numbered[1], EventRow)):
            if are_events:
                learn(state, [row for _, row in part])
                continue
            for row_seq, row in part:
                self._apply(connection, state, row)
                state.seq = row_seq

    def _apply(self, connection: Connection, state: LiveState, row: Any) -> None:
        if isinstance(row, Operation):
            self._operate(connection, state, row)
        elif isinstance(row, tuple) and not hasattr(row, "item_id"):
            state.traits[row[1]] = row[2]
        else:
            state.put_item(row)

    def _operate(self, connection: Connection, state: LiveState, operation: Operation) -> None:
        payload = operation.payload
        if operation.kind in ERASING and self._snapshots is not None:
            self._snapshots.drop_before(operation.seq)
        if operation.kind == "items_deleted":
            for item_id in payload["ids"]:
                state.catalog.remove(item_id)
        elif operation.kind == "users_deleted":
            for user_id in self._resolved(state, payload["user_hashes"]):
                state.traits.pop(user_id, None)
        elif operation.kind == "users_forgotten":
            for user_id in self._resolved(state, payload["user_hashes"]):
                state.forget_user(user_id)
        elif operation.kind == "events_deleted":
            users = self._resolved(state, payload["user_hashes"])
            left = log_store.events_of_users(connection, self._tenant, users, operation.seq)
            state.relearn_users(users, left)
        elif operation.kind == "settings":
            self._on_settings(connection)

    def _resolved(self, state: LiveState, user_hashes: Sequence[str]) -> list[str]:
        """Users known here by hash: operations outlive an erasure, so they never hold a user id."""
        wanted = set(user_hashes)
        known = {*state.histories.user_index, *state.traits}
        return sorted(user_id for user_id in known if self._user_hash(user_id) in wanted)

    def _rebuild(self) -> None:
        with self.lock:
            self._state = None
            self._build()

    def _build(self) -> LiveState:
        with self._database.read() as connection:
            seq, epoch_ms = head(connection, self._tenant)
            self._on_settings(connection)
            settings = self._counters(connection, self._tenant, epoch_ms)
            state = self._from_snapshot(connection, settings, seq) or self.from_log(connection, settings, seq)
        state.follow_sessions()
        self._epoch_ms = epoch_ms
        self._on_built(state)
        self._state = state
        self.last_tail = self._clock()
        log.info("engine_state_built", extra={"seq": seq, "items": state.catalog.size})
        return state

    def _from_snapshot(self, connection: Connection, settings: CounterSettings, seq: int) -> LiveState | None:
        state = self._snapshots.load(connection, settings, seq) if self._snapshots is not None else None
        while state is not None and state.seq < seq:
            rows, until = self._next_rows(connection, state.seq, seq)
            if rows is None:
                return None
            self._apply_rows(connection, state, rows)
            state.seq = until
        return state

    def from_log(self, connection: Connection, settings: CounterSettings, seq: int) -> LiveState:
        """A state of the rows up to ``seq``, over the catalogue of now."""
        state = LiveState(settings)
        for row in log_store.items_after(connection, self._tenant, 0):
            state.put_item(row)
        for _, user_id, traits in log_store.users_after(connection, self._tenant, 0):
            state.traits[user_id] = traits
        load_events(state, log_store.all_events(connection, self._tenant, seq))
        state.seq = seq
        return state

    def keep_snapshot(self) -> None:
        """Write a snapshot in the background when the last one has fallen behind."""
        state = self._state
        if self._snapshots is not None and state is not None:
            self._snapshots.keep_recent(state.seq, self.frozen)

    def frozen(self) -> LiveState:
        """A copy of the state as it is now, that later rows leave alone."""
        with self.lock:
            return self.state().frozen()


class Heartbeat:
    """A daemon thread that calls ``beat`` every interval; after a fork ``ensure`` starts a new one."""

    def __init__(self, beat: Callable[[], None], interval_s: float = TAIL_INTERVAL_S) -> None:
        self._beat = beat
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()

    def ensure(self) -> None:
        """Start the thread unless it runs."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._guard:
            if self._thread is None or not self._thread.is_alive():
                self._stop.clear()
                self._thread = threading.Thread(target=self._run, name="recsys-engine-tail", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop and wait for the last beat to finish."""
        self._stop.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            try:
                self._beat()
            except EngineUnavailableError as error:
                log.warning("engine_tail_failed", extra={"error": str(error)})
            except Exception:  # the thread must outlive a surprise; readiness reports the growing lag
                log.exception("engine_tail_crashed")
