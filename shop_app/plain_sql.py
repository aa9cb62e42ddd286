"""Statements on hot paths that go past the ORM and the statement layer, which take longer than the database does."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, CompoundSelect, Select, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from shop_app.extensions import Base, db


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
