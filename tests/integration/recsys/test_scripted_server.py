"""The remote gateway against a server that answers by script: what is sent, what is retried, what is given up."""

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from recsys_engine.contract import Constraints, Context, DeleteFilter, Event, Item, RecommendRequest, User
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable
from shop_app.recsys.remote import RemoteGateway

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0001"
ACCEPTED = (202, {"status": "accepted", "accepted": 1, "duplicates": 0, "rejected": []}, {})


@dataclass
class Script:
    """Answers in order, the last one for ever; and every request that came in."""

    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=lambda: [ACCEPTED])
    seen: list[tuple[str, str, Any, dict[str, str]]] = field(default_factory=list)

    def next(self) -> tuple[int, Any, dict[str, str]]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def url(script: Script) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            script.seen.append((self.command, self.path, body, dict(self.headers)))
            status, reply, headers = script.next()
            data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = answer  # noqa: N815  (the names http.server calls)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def gateway(url: str) -> Iterator[RemoteGateway]:
    made = RemoteGateway(url, ORG, "shop", api_key="key-1", timeout_s=5, retries=2)
    yield made
    made.close()


@pytest.mark.ticket("RS-029", "RS-085")
def test_every_call_names_tenant_namespace_and_key(gateway: RemoteGateway, script: Script) -> None:
    gateway.send_events([Event(user_id="u_1", item_id="MUG", type=3, value=2.0, source_event_id="e1")])

    ((method, path, body, headers),) = script.seen
    assert (method, path) == ("POST", "/v1/events:batch")
    assert (headers["X-Org-ID"], headers["X-API-Key"]) == (ORG, "key-1")
    assert body["namespace"] == "shop"
    assert body["events"][0] == {
        **body["events"][0],
        "user_id": "u_1",
        "item_id": "MUG",
        "type": 3,
        "value": 2.0,
        "source_event_id": "e1",
    }


@pytest.mark.ticket("RS-031", "RS-085")
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again_and_then_succeeds(gateway: RemoteGateway, script: Script, status: int) -> None:
    script.answers = [(status, {"error": "internal"}, {}), ACCEPTED]

    result = gateway.send_events([Event(user_id="u_1", item_id="MUG", type=0, source_event_id="e1")])

    assert result.accepted == 1
    assert len(script.seen) == 2
    assert script.seen[0][2] == script.seen[1][2]


@pytest.mark.ticket("RS-031", "RS-085")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
def test_our_own_fault_is_never_tried_again(gateway: RemoteGateway, script: Script, status: int) -> None:
    script.answers = [(status, {"error": "invalid_json", "message": "no", "details": {"field": "items"}}, {})]

    with pytest.raises(RecsysRejected, match="no") as refusal:
        gateway.upsert_users([User("u_1", {"locale": "en-GB"})])

    assert refusal.value.code == "invalid_json"
    assert len(script.seen) == 1


@pytest.mark.ticket("RS-085")
def test_a_wait_longer_than_our_patience_is_handed_up_with_its_length(gateway: RemoteGateway, script: Script) -> None:
    script.answers = [(429, {"error": "rate_limited"}, {"Retry-After": "120"})]

    with pytest.raises(RecsysUnavailable) as later:
        gateway.similar("MUG", 3)

    assert later.value.retry_after_s == 120
    assert len(script.seen) == 1


@pytest.mark.parametrize("reply", [b"<html>proxy error</html>", b"{", b"\xff\xfe"])
def test_an_answer_that_is_no_json_is_the_server_s_fault(gateway: RemoteGateway, script: Script, reply: bytes) -> None:
    script.answers = [(200, reply, {})]

    with pytest.raises(RecsysUnavailable):
        gateway.similar("MUG", 3)


def test_nobody_there_is_unavailable() -> None:
    gateway = RemoteGateway("http://127.0.0.1:9", ORG, "shop", timeout_s=1, retries=0)

    with pytest.raises(RecsysUnavailable):
        gateway.health()

    gateway.close()


@pytest.mark.ticket("RS-085")
def test_the_base_server_gets_only_what_it_understands(url: str, script: Script) -> None:
    gateway = RemoteGateway(url, ORG, "shop", timeout_s=5, retries=0, server="base")
    script.answers = [(200, {"model_version": "popularity_v1", "items": [{"item_id": "A", "score": 1.5}]}, {})]

    answer = gateway.recommend(
        RecommendRequest(user_id="u_1", k=3, context=Context(surface="cart", cart_item_ids=("B",)))
    )

    assert answer.items[0].item_id == "A"
    assert answer.request_id, "that server sends none, so the caller makes one"
    assert "B" in script.seen[0][2]["constraints"]["exclude_item_ids"]
    with pytest.raises(RecsysRejected, match="exclude tags"):
        gateway.recommend(RecommendRequest(k=3, constraints=Constraints(exclude_tags_any=("brand:x",))))
    with pytest.raises(RecsysRejected, match="whole"):
        gateway.upsert_items([Item("A", price=2.0)])
    assert len(script.seen) == 1, "what cannot be done is refused here, not sent"
    gateway.close()


@pytest.mark.parametrize("verb", ["delete_items", "delete_users", "delete_events"])
def test_an_empty_filter_never_leaves_the_shop(gateway: RemoteGateway, script: Script, verb: str) -> None:
    with pytest.raises(RecsysRejected):
        getattr(gateway, verb)(DeleteFilter(item_id="", user_id=""))

    assert script.seen == []


class _Drop(socketserver.StreamRequestHandler):
    """Sends an answer byte by byte: the first one at once, the others for as long as anybody listens."""

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 100_000:
                self.wfile.write(bytes([byte]))
                if self.server.is_over.wait(0.01):  # type: ignore[attr-defined]
                    return


@pytest.mark.ticket("RS-029", "RS-031")
def test_an_answer_in_drops_is_given_up_at_the_deadline() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Drop) as server:
        server.daemon_threads, server.is_over = True, threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        slow = RemoteGateway(f"http://127.0.0.1:{server.server_address[1]}", ORG, "shop", timeout_s=0.1, retries=0)

        with pytest.raises(RecsysUnavailable):
            slow.similar("MUG", 3)

        slow.close()
        server.is_over.set()  # type: ignore[attr-defined]
        server.shutdown()
