"""Unbound extension objects: the database, login, CSRF, htmx, rate limits, migrations."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
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
    CursorResult,
    DateTime,
    Delete,
    MetaData,
    Table,
    Update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator
from werkzeug.wrappers import Response

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


def rows_changed(statement: Update | Delete) -> int:
    """Run a conditional UPDATE or DELETE and say how many rows it met: 0 means the condition did not hold."""
    result = db.session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount
