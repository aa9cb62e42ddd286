"""One started server for all conformance tests; each test has a namespace of its own."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import requests
from werkzeug.serving import make_server

from recsys_engine.http import ServerSettings, create_engine_app
from tests.contract.documented import witnessed

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0003"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Moment:
    """The servers' clock: it stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Client:
    """Calls one server in one namespace."""

    base: str
    session: requests.Session
    namespace: str = field(default_factory=lambda: f"ns-{uuid4()}")
    org: str | None = ORG

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        headers = {"X-Org-ID": self.org} if self.org else {}
        headers |= more.pop("headers", {})
        query = {"namespace": self.namespace, **more.pop("query", {})}
        data = more.pop("raw", None)
        if data is None and method not in {"GET", "OPTIONS"}:
            data = json.dumps({"namespace": self.namespace, **(body or {})}).encode()
        params = query if method == "GET" else None
        return self.session.request(
            method, self.base + path, data=data, headers=headers, params=params, timeout=20, **more
        )

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET that succeeds."""
        answer = self("GET", path, query=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        """The JSON of a POST that succeeds."""
        answer = self("POST", path, body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def items(self, *items: dict[str, Any]) -> None:
        self.post("/v1/items:upsert", {"items": list(items)}, 202)

    def events(self, *events: dict[str, Any]) -> Any:
        return self.post("/v1/events:batch", {"events": list(events)}, 202)

    def list_(self, path: str = "/v1/recommendations", **body: Any) -> list[str]:
        return [item["item_id"] for item in self.post(path, body)["items"]]


def code(answer: requests.Response) -> tuple[int, str]:
    """Status and error code of a refusal."""
    return answer.status_code, answer.json()["error"]


def shelf(count: int = 12) -> list[dict[str, Any]]:
    """Items p0… with price n, three brands, two categories."""
    return [
        {
            "item_id": f"p{n}",
            "price": float(n),
            "tags": [f"brand:b{n % 3}", f"category:c{n % 2}", f"color:k{n % 4}"],
            "props": {"title": f"Product {n}"},
        }
        for n in range(count)
    ]


def purchases(count: int = 10, **more: Any) -> list[dict[str, Any]]:
    """Purchases u0…: the fewer the number of an item, the more often bought."""
    return [
        {"user_id": f"u{n}", "item_id": f"p{n % 4 if n % 3 else 0}", "type": 3, "source_event_id": f"e{n}", **more}
        for n in range(count)
    ]


Starter = Callable[..., str]


@pytest.fixture(scope="session")
def moment() -> Moment:
    return Moment()


@pytest.fixture(autouse=True)
def _clock_stands(moment: Moment) -> Iterator[None]:
    yield
    moment.now = NOW


@pytest.fixture
def advance(moment: Moment) -> Callable[..., None]:
    def forward(**parts: float) -> None:
        moment.now += timedelta(**parts)

    return forward


@pytest.fixture(scope="session")
def start(moment: Moment) -> Iterator[Starter]:
    """Starts servers; all of them stop at the end."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = []

    def started(settings: ServerSettings) -> str:
        app = create_engine_app(settings, moment)
        server = make_server("127.0.0.1", 0, witnessed(app), threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        running.append((app, server, thread))
        return f"http://127.0.0.1:{server.port}"

    yield started
    for app, server, thread in running:
        server.shutdown()
        thread.join()
        app.extensions["recsys_server"].tenants.close()
        server.server_close()


@pytest.fixture(scope="session")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="session")
def base_url(start: Starter, tmp_path_factory: pytest.TempPathFactory, worker_database: str | None) -> str:
    url = worker_database or f"sqlite:///{tmp_path_factory.mktemp('conformance')}/e.db"
    return start(ServerSettings(url, rate_per_minute=0, git_commit="abc123", build_time="2026-03-01T00:00:00Z"))


@pytest.fixture
def call(base_url: str, session: requests.Session) -> Client:
    return Client(base_url, session)
