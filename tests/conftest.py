"""What every test may ask for: an app on a fresh database, a clock that stands still, a client."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import NullPool, create_engine, make_url, text

from shop_app.app import create_app
from shop_app.config import Settings, load_settings
from shop_app.core.clock import FixedClock
from shop_app.extensions import db

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture(scope="session", autouse=True)
def _templates_are_compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every test makes an app of its own; compiling the same templates for each would be half the time of the suite."""
    Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))}


@pytest.fixture
def database_url(tmp_path: Path, worker_database: str | None, sqlite_with_tables: Path) -> str:
    """The shop's tables without a row: a SQLite file, or this process's PostgreSQL when TEST_DATABASE_URL is set."""
    if worker_database:
        _delete_every_row(worker_database)
        return worker_database
    path = tmp_path / "shop.sqlite3"
    shutil.copyfile(sqlite_with_tables, path)
    return f"sqlite:///{path}"


@pytest.fixture
def empty_database_url(tmp_path: Path) -> Iterator[str]:
    """A database without a table."""
    base = os.environ.get("TEST_DATABASE_URL")
    if not base:
        yield f"sqlite:///{tmp_path}/empty.sqlite3"
        return
    yield from _a_postgres_database(base, f"shop_empty_{os.getpid()}")


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "shop.sqlite3"
    _make_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def worker_database() -> Iterator[str | None]:
    """A PostgreSQL database of this process's own, beside the one TEST_DATABASE_URL names; dropped at the end."""
    base = os.environ.get("TEST_DATABASE_URL")
    if not base:
        yield None
        return
    for url in _a_postgres_database(base, f"shop_test_{os.getpid()}"):
        _make_tables(url)
        yield url


def _a_postgres_database(base: str, name: str) -> Iterator[str]:
    server = create_engine(base, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield make_url(base).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def _make_tables(url: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    db.metadata.create_all(engine)


def _delete_every_row(url: str) -> None:
    """As good as new tables, at a fiftieth of the time. The engine's tables, where a test put them here, are left alone."""
    deletes = "; ".join(f'DELETE FROM "{table.name}"' for table in reversed(db.metadata.sorted_tables))
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '20s'; {deletes}"))
        connection.execute(
            text(
                "SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences "
                "WHERE last_value > 0 AND sequencename NOT LIKE 'engine%'"
            )
        )


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load_settings(
        {
            "SECRET_KEY": "test-secret-" * 4,
            "DATABASE_URL": database_url,
            "REDIS_URL": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15"),
            "RECSYS_DATABASE_URL": f"sqlite:///{tmp_path}/recsys.sqlite3",
            "VAR_DIR": str(tmp_path / "var"),
            "QA_MODE": "on",
            "RATE_LIMITS": "off",
        }
    )


@pytest.fixture
def app(settings: Settings, clock: FixedClock) -> Iterator[Flask]:
    app = create_app(settings, clock=clock)
    app.config["TESTING"] = True
    app.config["WTF_CSRF_ENABLED"] = False
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
