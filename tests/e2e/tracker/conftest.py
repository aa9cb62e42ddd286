"""A tiny page, the real tracker, and a server that writes down every report and answers as it is told."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

JS = Path(__file__).parents[3] / "shop_app" / "static" / "js"
PAGE = """<!doctype html><title>fixture</title>
<body style="margin:0"><main data-surface="pdp" data-page-item="MUG-1">{body}</main>
<script type="module" id="tracker" src="/js/tracker.js" data-endpoint="/t/events" data-consent="{consent}"></script>"""


def widget(*items: str, request_id: str = "req-1", style: str = "height:100px") -> str:
    cards = "".join(
        f'<article data-item-id="{item}" data-rank="{rank}" data-recommended="true" style="{style}">'
        f'<a href="/next?via=home.top_picks:{rank}">The {item}</a></article>'
        for rank, item in enumerate(items, 1)
    )
    return f'<section data-surface="home" data-widget="top_picks" data-request-id="{request_id}">{cards}</section>'


@dataclass
class Recorder:
    """Reports in the order they came. `stored` holds what a server would keep: one event per id."""

    url: str = ""
    body: str = ""
    consent: str = "analytics"
    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    deferred: bool = False
    reports: list[list[dict[str, Any]]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, raw: bytes) -> bytes:
        self.arrivals.append(time.monotonic())
        self.sizes.append(len(raw))
        events = json.loads(raw)["events"]
        self.reports.append(events)
        if self.status == 202:
            self.stored |= {event["id"]: event for event in events}
        word = "deferred" if self.deferred else "accepted"
        return json.dumps({"results": [{"id": event["id"], "status": word} for event in events]}).encode()

    def wait_for(self, count: int, within_s: float = 8) -> list[dict[str, Any]]:
        """What is stored, once it is `count` events."""
        deadline = time.monotonic() + within_s
        while len(self.stored) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return list(self.stored.values())


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder(body=widget("A", "B"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/js/"):
                return self._send(200, (JS / self.path[4:]).read_bytes(), "text/javascript")
            return self._send(200, PAGE.format(body=recorder.body, consent=recorder.consent).encode(), "text/html")

        def do_POST(self) -> None:
            answer = recorder.take(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(recorder.status, answer, "application/json", recorder.headers)

        def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    recorder.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield recorder
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, Any]:
    """The fixture pages have addresses of their own; no shop is started.

    This replaces the arguments of the flows as a whole: another `base_url` alone would be kept for the session and
    leave flows that run later without an address.
    """
    return {"viewport": {"width": 1280, "height": 1000}, "reduced_motion": "reduce"}


@pytest.fixture
def waiting(page: Page) -> Any:
    """Reads how many events wait in the browser's storage."""
    return lambda: page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('event:')).length")
