"""What every test may ask for: an app on a fresh database, a clock that stands still, a client."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url, text

from shop_app.app import create_app
from shop_app.config import Settings, load_settings
from shop_app.core.clock import FixedClock
from shop_app.extensions import db

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def database_url(tmp_path: Path, worker_database: str | None) -> str:
    """A fresh SQLite file, or the PostgreSQL database of this test process when TEST_DATABASE_URL is set."""
    return worker_database or f"sqlite:///{tmp_path}/shop.sqlite3"


@pytest.fixture(scope="session")
def worker_database() -> Iterator[str | None]:
    """A PostgreSQL database of this process's own, beside the one TEST_DATABASE_URL names; dropped at the end."""
    base = os.environ.get("TEST_DATABASE_URL")
    if not base:
        yield None
        return
    name = f"shop_test_{os.getpid()}"
    server = create_engine(base, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield make_url(base).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


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
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.session.remove()
        db.drop_all()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
