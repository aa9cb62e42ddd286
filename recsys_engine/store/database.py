"""Connections of the engine: one pool per process, SQLite (WAL) or PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from recsys_engine.contract.errors import EngineUnavailableError
from recsys_engine.store.tables import metadata, tenants

SQLITE_BUSY_TIMEOUT_MS = 10_000
SQLITE_CACHE_KIB = 32_768
"""Most memory a connection keeps pages in; the default 2 MB re-reads index pages once there are a million rows."""
SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON")
"""Deleted rows are overwritten, so that an erased person leaves no bytes behind."""


class Database:
    """Opens read and write transactions. ``url`` must name a file or a server: processes share it.

    Raises ``EngineUnavailableError`` when the database cannot be reached or stays locked.
    """

    def __init__(self, url: str) -> None:
        self._engine = _open(url)
        self._pid = os.getpid()
        self.is_sqlite = self._engine.dialect.name == "sqlite"

    def create_tables(self) -> None:
        """Create what is missing; safe to run at every start and by several processes at once."""
        with self.write() as connection:
            metadata.create_all(connection, checkfirst=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction."""
        with _outages_named(), self._own().connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction; on SQLite it takes the write lock at once, so it never fails half-way."""
        with (
            _outages_named(),
            self._own().connect().execution_options(engine_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def empty_write_ahead_log(self) -> None:
        """Cut SQLite's write-ahead log: it keeps old pages, with rows deleted since. Best effort while others read."""
        if self.is_sqlite:
            connection = self._own().raw_connection()  # outside every transaction, or SQLite refuses
            try:
                connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
            finally:
                connection.close()

    def _own(self) -> Engine:
        """The engine, without connections inherited through a fork."""
        if os.getpid() != self._pid:
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        return self._engine

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()


def tenant_id(connection: Connection, org_id: str, namespace: str) -> int:
    """The number of a tenant, created on first sight."""
    where = (tenants.c.org_id == org_id, tenants.c.namespace == namespace)
    found = connection.execute(select(tenants.c.id).where(*where)).scalar()
    if found is not None:
        return int(found)
    try:
        with connection.begin_nested():
            connection.execute(insert(tenants).values(org_id=org_id, namespace=namespace, seq=0, epoch_ms=0))
    except IntegrityError:  # another process was first
        pass
    return int(connection.execute(select(tenants.c.id).where(*where)).scalar_one())


def head(connection: Connection, tenant: int) -> tuple[int, int]:
    """``(seq, epoch_ms)`` of the tenant."""
    row = connection.execute(select(tenants.c.seq, tenants.c.epoch_ms).where(tenants.c.id == tenant)).one()
    return int(row.seq), int(row.epoch_ms)


def lock_head(connection: Connection, tenant: int) -> tuple[int, int]:
    """``(seq, epoch_ms)``, holding the tenant's row until commit so that writers queue in commit order."""
    row = connection.execute(
        update(tenants)
        .where(tenants.c.id == tenant)
        .values(seq=tenants.c.seq)
        .returning(tenants.c.seq, tenants.c.epoch_ms)
    ).one()
    return int(row.seq), int(row.epoch_ms)


def move_head(connection: Connection, tenant: int, seq: int, epoch_ms: int | None = None) -> None:
    """Record the last number given out in this transaction and, if given, a new epoch."""
    values = {"seq": seq} if epoch_ms is None else {"seq": seq, "epoch_ms": epoch_ms}
    connection.execute(update(tenants).where(tenants.c.id == tenant).values(**values))


def _open(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own transaction start is deferred; see _begin_sqlite
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "secure_delete=ON",
        f"busy_timeout={SQLITE_BUSY_TIMEOUT_MS}",
        f"cache_size=-{SQLITE_CACHE_KIB}",
    ):
        cursor.execute(f"PRAGMA {pragma}")  # nosemgrep: no-built-sql - our own words
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("engine_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _outages_named() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise EngineUnavailableError(f"engine database: {type(error.orig).__name__}") from error
