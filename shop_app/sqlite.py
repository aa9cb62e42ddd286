"""What a SQLite file needs to serve several processes: its settings, and a gate where its writers wait their turn."""

import fcntl
import os
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection

from shop_app.core.unit_of_work import WRITE_OPTION

SQLITE_BUSY_TIMEOUT_MS = 15_000
"""How long a writer waits for the lock before it gives up: longer than any transaction of ours."""
WRITER_LOOKS_EVERY_S = 0.0005
IN_GATE = "in_writer_gate"
SQLITE_CHECKPOINT_PAGES = 8_000
"""How long the write-ahead log grows (32 MB) before it is folded in; SQLite's 1,000 pages are thirty beacons."""
SQLITE_CACHE_KIB = 32_768
"""Most memory a connection keeps pages in; the default 2 MB re-reads index pages once there are a million rows."""


def prepare_sqlite(engine: Engine) -> None:
    """Give a SQLite engine WAL, foreign keys, a busy timeout and immediate write transactions."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        gate = WriterGate(engine.url.database)
        event.listen(engine, "begin", partial(_begin, gate))
        event.listen(engine, "checkin", partial(_leave, gate))


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # `_begin` decides how a transaction starts
    for pragma in (
        f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "secure_delete=ON",  # what an erased person leaves is overwritten, not only unlinked
        f"cache_size=-{SQLITE_CACHE_KIB}",
        f"wal_autocheckpoint={SQLITE_CHECKPOINT_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")  # nosemgrep: no-built-sql - our own words


class WriterGate:
    """Where writers of one SQLite file wait for each other, threads and processes, looking every half millisecond.

    SQLite itself looks again after 1, 2, 5, … 100 ms: with two busy processes its lock then lies idle half of the time
    while somebody waits. A writer that finds no gate (another program, or patience is over) still has SQLite's lock.
    """

    def __init__(self, database: str | None) -> None:
        self._path = f"{database}.writers" if database and database != ":memory:" else ""
        self._threads = threading.Lock()
        self._file = -1
        self._pid = 0

    def enter(self, patience_s: float) -> bool:
        """Wait for the turn; False when patience is over."""
        deadline = time.monotonic() + patience_s
        if not self._path or not self._threads.acquire(timeout=patience_s):
            return False
        with suppress(OSError):  # no file to lock: the threads' own lock is let go again, SQLite's still holds
            while time.monotonic() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(self._own_file(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
                time.sleep(WRITER_LOOKS_EVERY_S)
        self._threads.release()
        return False

    def leave(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._threads.release()

    def _own_file(self) -> int:
        """The lock file as this process opened it: one that a fork inherited would share its parent's lock."""
        if self._pid != os.getpid():
            self._file, self._pid = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), os.getpid()
        return self._file


def _begin(gate: WriterGate, connection: Connection) -> None:
    is_write = connection.get_execution_options().get(WRITE_OPTION, False)
    if is_write and gate.enter(SQLITE_BUSY_TIMEOUT_MS / 1000):
        connection.info[IN_GATE] = True
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def _leave(gate: WriterGate, _connection: Any, record: Any) -> None:
    """The connection is given back: its transaction is over."""
    if record.info.pop(IN_GATE, False):
        gate.leave()


def empty_write_ahead_log(engine: Engine) -> None:
    """Move SQLite's write-ahead log into the database and cut it: it keeps old pages, with rows deleted since.

    Best effort: while somebody reads it is left for next time. PostgreSQL has nothing to do.
    """
    if engine.dialect.name == "sqlite":
        connection = engine.raw_connection()  # outside every transaction, or SQLite refuses
        try:
            connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]  # open
        finally:
            connection.close()
