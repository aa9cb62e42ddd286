"""A door in front of a shop that can be shut for events: it refuses them, loses the answer, or never answers."""

import contextlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import ClassVar
from urllib.parse import urlsplit

EVENTS_PATH = "/t/events"
OWN_PATH = "/__gate__/"
"""Addresses the gate answers itself: the script it put into the pages, and what that script reports."""
OWN_TO_THE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})
MODES = ("open", "refuse", "lose_answer", "hang")
PATIENCE_S = 60


class Gate:
    """Passes everything on. `mode` says what becomes of reports of events; `reports` counts them.

    The shop forbids storing its pages, which keeps them out of the back/forward cache too. Here they may be kept, so
    that the tracker meets that cache. With a `script` every page runs it too; what it posts is put into `news`.
    """

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind).netloc
        self.url = ""
        self.reports = 0
        self.script = ""
        self.news: Queue[str] = Queue()
        self._mode = "open"
        self._moved = threading.Event()

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        """`refuse` answers 503 and passes nothing on; `lose_answer` passes on and answers 503; `hang` waits."""
        if mode not in MODES:
            raise ValueError(mode)
        self._mode = mode
        moved, self._moved = self._moved, threading.Event()
        moved.set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Pass one request on, or not."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if handler.path.startswith(OWN_PATH):
            return self._answer_own_page(handler, body)
        mode = self._judge(handler.path)
        if mode == "hang":
            self._moved.wait(PATIENCE_S)
            mode = "refuse"  # whoever asked has most likely gone
        if mode == "refuse":
            return _send(handler, 503, [], b"")
        status, headers, content = self._ask(handler, body)
        if mode == "lose_answer":
            return _send(handler, 503, [], b"")
        if self.script and any(value.startswith("text/html") for _, value in headers):
            content += f'<script src="{OWN_PATH}script.js"></script>'.encode()
        return _send(handler, status, headers, content)

    def _answer_own_page(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if handler.command == "POST":
            self.news.put(body.decode())
        _send(handler, 200, [("Content-Type", "text/javascript")], self.script.encode())

    def _judge(self, path: str) -> str:
        if path != EVENTS_PATH:
            return "open"
        self.reports += 1
        return self._mode

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.behind, timeout=PATIENCE_S)
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "connection"}
        try:
            connection.request(handler.command, handler.path, body, {**headers, "Connection": "close"})
            response = connection.getresponse()
            return response.status, [_kept_in_cache(*header) for header in response.getheaders()], response.read()
        finally:
            connection.close()


@contextlib.contextmanager
def fault_gate(behind: str) -> Iterator[Gate]:
    """A gate in front of the shop at `behind`, on a port of its own."""
    gate = Gate(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        gate_of: ClassVar[Gate] = gate

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a browser that has gone
                super().handle()

        def do_GET(self) -> None:
            self.gate_of.answer(self)

        do_POST = do_GET  # noqa: N815 - the server looks for this name

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gate.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield gate
    finally:
        gate.mode = "open"
        server.shutdown()
        server.server_close()


def _kept_in_cache(name: str, value: str) -> tuple[str, str]:
    return (name, "private, no-cache") if name.lower() == "cache-control" and "no-store" in value else (name, value)


def _send(handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
    handler.send_response(status)
    for name, value in headers:
        if name.lower() not in OWN_TO_THE_HOP:
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
