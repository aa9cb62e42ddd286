"""Unbound extension objects: the database, login, CSRF, htmx, rate limits, migrations."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Flask, current_app, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx
from limits.storage import RedisStorage
from sqlalchemy import (
    Column,
    CompoundSelect,
    CursorResult,
    DateTime,
    Delete,
    Engine,
    MetaData,
    Select,
    Table,
    Update,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator
from werkzeug.wrappers import Response

from shop_app.core.unit_of_work import WRITE_OPTION

SQLITE_BUSY_TIMEOUT_MS = 15_000
"""How long a writer waits for the lock before it gives up: longer than any transaction of ours."""
WRITER_LOOKS_EVERY_S = 0.0005
IN_GATE = "in_writer_gate"
SQLITE_CHECKPOINT_PAGES = 8_000
"""How long the write-ahead log grows (32 MB) before it is folded in; SQLite's 1,000 pages are thirty beacons."""
SQLITE_CACHE_KIB = 32_768
"""Most memory a connection keeps pages in; the default 2 MB re-reads index pages once there are a million rows."""

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table of the shop."""

    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(model_class=Base)


class Logins(LoginManager):  # type: ignore[misc]  # it has no types
    """Flask-Login without its session protection: a hash of address and browser, made in every request, that marks a
    session as not fresh when it differs. No page asks whether a session is fresh, and the mark signs a cookie anew.
    """

    def _session_protection_failed(self) -> bool:
        return False


login_manager = Logins()
csrf = CSRFProtect()
htmx = Htmx()
RedisStorage.DEPENDENCIES = {"redis": None}  # or it imports the client of Valkey, too, at every start
limiter = Limiter(key_func=get_remote_address, headers_enabled=True)


class Migrations:
    """Stands for Flask-Migrate until a command about migrations asks: Alembic is a tenth of a process's start."""

    def __init__(self, app: Flask, directory: str) -> None:
        self._app, self._directory = app, directory
        app.extensions["migrate"] = self

    def __getattr__(self, name: str) -> Any:
        from flask_migrate import Migrate  # noqa: PLC0415 - see above

        Migrate(self._app, db, self._directory, compare_type=True, render_as_batch=True)  # takes this one's place
        return getattr(self._app.extensions["migrate"], name)


def handle(name: str) -> Any:
    """What the composition root put under `name`: recsys, clock, settings. For job shells, which have no request."""
    return current_app.extensions[name]


def context_opener() -> Callable[[], AbstractContextManager[Any]]:
    """Opens a context of this app, with a database session of its own, in whatever thread it is called."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - outlives this context
    return app.app_context


def or_zero(count: Callable[[], int]) -> int:
    """`count()`, or 0 when the database does not answer: a page that says so must still have its frame."""
    try:
        return count()
    except SQLAlchemyError:
        db.session.rollback()
        return 0


def cookie(name: str) -> str | None:
    """A cookie of this shop as the browser sent it, or None."""
    return request.cookies.get(_cookie_name(name))


def keep_cookie(response: Response, name: str, value: str, max_age_s: int) -> None:
    """Set a cookie no script can read. Over HTTPS its name starts with `__Host-`: no other host can plant one."""
    secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    response.set_cookie(
        _cookie_name(name), value, max_age=max_age_s, secure=secure, httponly=True, samesite="Lax", path="/"
    )


def drop_cookie(response: Response, name: str) -> None:
    """Take a cookie back."""
    secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    response.delete_cookie(_cookie_name(name), secure=secure, httponly=True, samesite="Lax", path="/")


def _cookie_name(name: str) -> str:
    return f"__Host-{name}" if current_app.config["SESSION_COOKIE_SECURE"] else name


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in aware UTC on every database. SQLite forgets the zone; this puts it back and refuses naive input."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time has no place in the database")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def insert_into(model: type[Base]) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT of the database in use: one that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    table = model.__table__
    assert isinstance(table, Table)
    return (postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert)(table)


@dataclass(frozen=True, slots=True)
class _Given:
    """Stands in a compiled statement for a value that comes with each call; `place` is that within a list."""

    name: str
    place: int = -1

    def of(self, values: Mapping[str, Any]) -> Any:
        return values[self.name] if self.place < 0 else values[self.name][self.place]


@dataclass(frozen=True, slots=True)
class _Compiled:
    sql: str
    names: tuple[str, ...]
    parts: tuple[Any, ...]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]
    is_positional: bool

    def values(self, given: Mapping[str, Any]) -> Any:
        found = tuple(part.of(given) if isinstance(part, _Given) else part for part in self.parts)
        return found if self.is_positional else dict(zip(self.names, found, strict=True))

    def converted(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        whole = list(row)
        for place, convert in self.converters:
            whole[place] = convert(whole[place])
        return tuple(whole)


class PlainRead:
    """A SELECT that many requests ask, compiled once and handed to the driver: SQLAlchemy's layers take several times
    as long as a small statement itself.

    Its parameters are `bindparam`s; lists are expanding ones, compiled for each length. Rows are tuples in the order
    of the columns and pass the columns' result types. It reads in the session's transaction when there is one, and
    sees what was flushed there; otherwise on a connection of its own, without opening a session.
    """

    def __init__(self, query: "Select[Any] | CompoundSelect[Any]") -> None:
        self._query = query
        self._compiled: dict[tuple[str, tuple[tuple[str, int], ...]], _Compiled] = {}

    def __call__(self, **given: Any) -> Sequence[tuple[Any, ...]]:
        compiled = self._for(given)
        if db.session.registry.has() and db.session().in_transaction():
            found = db.session.connection().exec_driver_sql(compiled.sql, compiled.values(given)).all()
        else:
            found = self._read_alone(compiled, given)
        return [compiled.converted(row) for row in found] if compiled.converters else found

    def _read_alone(self, compiled: _Compiled, given: Mapping[str, Any]) -> Sequence[Any]:
        """What the driver refuses is asked again by the session, which knows a lost connection from a wrong value."""
        dbapi: Any = db.engine.dialect.loaded_dbapi
        try:
            with closing(db.engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
                cursor.execute(compiled.sql, compiled.values(given))
                return cursor.fetchall()
        except dbapi.Error:
            return db.session.connection().exec_driver_sql(compiled.sql, compiled.values(given)).all()

    def _for(self, given: Mapping[str, Any]) -> _Compiled:
        dialect = db.engine.dialect
        lists = tuple((name, len(value)) for name, value in given.items() if isinstance(value, list))
        key = dialect.name, lists
        if key not in self._compiled:
            self._compiled[key] = self._compile(given, dialect)
        return self._compiled[key]

    def _compile(self, given: Mapping[str, Any], dialect: Dialect) -> _Compiled:
        stand_ins = {
            name: [_Given(name, place) for place in range(len(value))] if isinstance(value, list) else _Given(name)
            for name, value in given.items()
        }
        whole = self._query.compile(dialect=dialect)
        assert isinstance(whole, SQLCompiler)
        state = whole.construct_expanded_state(stand_ins)
        names = tuple(state.positiontup or state.parameters)
        converters = (
            (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for place, column in enumerate(self._query.selected_columns)
        )
        return _Compiled(
            sql=state.statement,
            names=names,
            parts=tuple(state.parameters[name] for name in names),
            converters=tuple((place, convert) for place, convert in converters if convert is not None),
            is_positional=state.positiontup is not None,
        )


def rows_changed(statement: Update | Delete) -> int:
    """Run a conditional UPDATE or DELETE and say how many rows it met: 0 means the condition did not hold."""
    result = db.session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount


def empty_write_ahead_log() -> None:
    """Move SQLite's write-ahead log into the database and cut it: it keeps old pages, with rows deleted since.

    Best effort: while somebody reads it is left for next time. PostgreSQL has nothing to do.
    """
    if db.engine.dialect.name == "sqlite":
        connection = db.engine.raw_connection()  # outside every transaction, or SQLite refuses
        try:
            connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]  # open
        finally:
            connection.close()


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


def insert_rows(model: type[Base], columns: Sequence[str], rows: Sequence[tuple[Any, ...]], conflict: str = "") -> None:
    """Insert many rows past the unit of work and the statement layer, which together take as long as the database.

    Values are in the order of `columns` and pass through the columns' own types; constant defaults of other columns
    apply. `conflict` is the SQL behind the values, such as `ON CONFLICT DO NOTHING`. PostgreSQL gets them by COPY.
    """
    if not rows:
        return
    table = model.__table__
    assert isinstance(table, Table)
    connection = db.session.connection()
    rest = [c for c in table.columns if c.name not in columns and c.default is not None and c.default.is_scalar]
    chosen = [table.columns[name] for name in columns] + rest
    constants = tuple(column.default.arg for column in rest)
    stored = _as_stored(chosen, [row + constants for row in rows], connection.dialect)
    preparer = connection.dialect.identifier_preparer
    name = preparer.format_table(table)
    names = ", ".join(preparer.format_column(column) for column in chosen)
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite or conflict:
        marks = ", ".join(["?" if is_sqlite else "%s"] * len(chosen))
        connection.exec_driver_sql(f"INSERT INTO {name} ({names}) VALUES ({marks}) {conflict}", stored)  # noqa: S608 # nosec B608 - our own names
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({names}) FROM STDIN") as copy:
        for row in stored:
            copy.write_row(row)


def _as_stored(columns: Sequence[Column[Any]], rows: list[tuple[Any, ...]], dialect: Dialect) -> list[tuple[Any, ...]]:
    """The rows as the driver takes them. Equal values of a column are converted once."""
    whole = list(zip(*rows, strict=True))
    for place, column in enumerate(columns):
        convert = column.type.dialect_impl(dialect).bind_processor(dialect)
        if convert is not None:
            whole[place] = _converted(whole[place], convert)
    return list(zip(*whole, strict=True))


def _converted(values: tuple[Any, ...], convert: Callable[[Any], Any]) -> tuple[Any, ...]:
    if any(isinstance(value, (dict, list)) for value in values[:1]):
        return tuple(convert(value) for value in values)
    known = {value: convert(value) for value in set(values)}
    return tuple(known[value] for value in values)
