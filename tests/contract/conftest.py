"""Every test here runs against each gateway: the engine in this process and the engine behind a started HTTP server."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from werkzeug.serving import make_server

from recsys_engine.http import ServerSettings, create_engine_app
from shop_app.recsys.embedded import EmbeddedGateway
from shop_app.recsys.remote import RemoteGateway
from tests.contract.documented import SURPRISES, witnessed

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0001"


class SettableClock:
    """A clock that stands still until told otherwise."""

    def __init__(self):
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self):
        return self.now

    def advance(self, **parts):
        self.now += timedelta(**parts)


@pytest.fixture
def clock():
    return SettableClock()


@pytest.fixture
def database_url(tmp_path, worker_database):
    """A fresh SQLite file, or the PostgreSQL database of this test process when TEST_DATABASE_URL is set."""
    return worker_database or f"sqlite:///{tmp_path / 'engine.db'}"


@pytest.fixture(autouse=True)
def _answers_are_documented():
    """No server of a test answered what its own document does not say."""
    SURPRISES.clear()
    yield
    assert SURPRISES == []


@pytest.fixture
def witness(database_url, clock):
    """The server's application behind a witness."""
    app = create_engine_app(ServerSettings(database_url, rate_per_minute=0), clock)
    yield witnessed(app)
    app.extensions["recsys_server"].tenants.close()


@pytest.fixture
def server(witness):
    """A started server; yields its base URL."""
    started = make_server("127.0.0.1", 0, witness, threaded=True)
    thread = threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{started.port}"
    started.shutdown()
    thread.join()
    started.server_close()


@pytest.fixture
def namespace():
    return f"ns-{uuid4()}"


@pytest.fixture(params=["embedded", "remote"])
def gateway(request, clock, namespace, database_url):
    if request.param == "embedded":
        made = EmbeddedGateway(database_url, ORG, namespace, clock)
    else:
        made = RemoteGateway(request.getfixturevalue("server"), ORG, namespace, timeout_s=20)
    yield made
    made.close()
