"""A TCP proxy between the worker and Recsys that breaks deliveries in the ways networks and servers do.

Every connection carries one request. Deliveries (`POST …/events:batch`) are disturbed while a mode is armed, the rest
passes. Independently a share of all deliveries is handed over twice, as a client that lost an answer would.
"""

import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

DELIVERY = b"POST /v1/events:batch "
HELD_S = 2.5
"""Longer than the worker waits for an answer (2 s)."""
TRICKLE_PAUSE_S = 0.1
UPSTREAM_PATIENCE_S = 15.0
POISON_MARK = b'"poison:'


@dataclass(slots=True)
class _Armed:
    mode: str
    left: int


class FaultProxy:
    """Listens on a port of its own; `port` never changes, also when it refuses for a while."""

    def __init__(self, upstream_port: int, *, double_share: float, rng: random.Random) -> None:
        self._upstream_port = upstream_port
        self._double_share = double_share
        self._rng = rng
        self._lock = threading.Lock()
        self._armed: _Armed | None = None
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._is_refusing = False
        self.hits: Counter[str] = Counter()
        self.deliveries = 0
        self.handed_over = 0
        self.doubled = 0
        self.passed = 0
        self.refused_batches = 0
        self.holding = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, mode: str, hits: int) -> None:
        """Disturb the next `hits` deliveries in this way."""
        with self._lock:
            self._armed = _Armed(mode, hits)

    def disarm(self) -> None:
        """Let everything pass again."""
        with self._lock:
            self._armed = None

    def is_spent(self) -> bool:
        """Whether everything armed has hit."""
        with self._lock:
            return self._armed is None

    def refuse(self) -> None:
        """Nobody listens any more: connecting fails at once."""
        self._is_refusing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def accept_again(self) -> None:
        """Listen on the same port as before."""
        self._listener = _listen(self.port)
        self._is_refusing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        listener = self._listener
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(UPSTREAM_PATIENCE_S)
            request = _read_request(client)
            if not request:
                return
            if not request.startswith(DELIVERY):
                client.sendall(self._forward(request))
                return
            MODES[self._mode()](self, client, request)

    def _mode(self) -> str:
        """What to do with this delivery."""
        with self._lock:
            self.deliveries += 1
            mode = "pass"
            if self._armed:
                mode = self._armed.mode
                self._armed.left -= 1
                if not self._armed.left:
                    self._armed = None
            self.hits[mode] += 1
            return mode

    def _forward(self, request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self._upstream_port), UPSTREAM_PATIENCE_S) as server:
            server.sendall(_closing(request))
            return _read_all(server)

    def _deliver(self, request: bytes, *, is_doubled: bool = False) -> bytes:
        """Hand over once, or twice; the answer is that of the first time."""
        with self._lock:
            self.handed_over += 1
            is_doubled = is_doubled or self._rng.random() < self._double_share
            self.doubled += is_doubled
        answer = self._forward(request)
        if is_doubled:
            self._forward(request)
        return answer

    # -- ways to disturb -------------------------------------------------------------------------------------------

    def pass_on(self, client: socket.socket, request: bytes) -> None:
        client.sendall(self._deliver(request))
        self.passed += 1

    def doubled_on_purpose(self, client: socket.socket, request: bytes) -> None:
        client.sendall(self._deliver(request, is_doubled=True))

    def reset(self, client: socket.socket, _: bytes) -> None:
        _reset(client)

    def time_out_before(self, client: socket.socket, _: bytes) -> None:
        self._hold(client)

    def time_out_after_commit(self, client: socket.socket, request: bytes) -> None:
        self._deliver(request)
        self._hold(client)

    def answer_500(self, client: socket.socket, _: bytes) -> None:
        client.sendall(_answer(500, "Internal Server Error", b'{"error": "internal"}'))

    def answer_503(self, client: socket.socket, _: bytes) -> None:
        client.sendall(_answer(503, "Service Unavailable", b'{"error": "service_unavailable"}', "Retry-After: 1\r\n"))

    def answer_429(self, client: socket.socket, _: bytes) -> None:
        client.sendall(_answer(429, "Too Many Requests", b'{"error": "rate_limited"}', "Retry-After: 1\r\n"))

    def half_close(self, client: socket.socket, request: bytes) -> None:
        """Committed; half of the answer, then no more, while the other direction stays open."""
        answer = self._deliver(request)
        client.sendall(answer[: len(answer) // 2])
        client.shutdown(socket.SHUT_WR)
        self._hold(client)

    def cut_answer(self, client: socket.socket, request: bytes) -> None:
        """Committed; the connection breaks in the body of the answer."""
        answer = self._deliver(request)
        client.sendall(answer[:-10])
        _reset(client)

    def cut_request(self, client: socket.socket, request: bytes) -> None:
        """Recsys sees half a request; the worker a broken connection."""
        with socket.create_connection(("127.0.0.1", self._upstream_port), UPSTREAM_PATIENCE_S) as server:
            server.sendall(_closing(request)[: len(request) // 2])
        _reset(client)

    def trickle(self, client: socket.socket, request: bytes) -> None:
        """Committed; the answer comes byte by byte, slower than anybody waits."""
        for byte in self._deliver(request):
            client.sendall(bytes([byte]))
            time.sleep(TRICKLE_PAUSE_S)

    def garbage(self, client: socket.socket, request: bytes) -> None:
        """Committed; a box in between answers with a page of its own."""
        self._deliver(request)
        client.sendall(_answer(200, "OK", b"<html>Please sign in to the network</html>"))

    def refuse_whole_batch(self, client: socket.socket, request: bytes) -> None:
        """As the base server: one bad event and none of the batch is taken, without a word which."""
        if POISON_MARK in request:
            self.refused_batches += 1
            client.sendall(_answer(400, "Bad Request", b'{"error": "invalid_event", "message": "bad batch"}'))
        else:
            self.pass_on(client, request)

    def _hold(self, client: socket.socket) -> None:
        """Keep the connection silent until the other side has given up."""
        with self._lock:
            self.holding += 1
        client.settimeout(HELD_S)
        with contextlib.suppress(OSError):
            client.recv(1)
        with self._lock:
            self.holding -= 1


MODES: dict[str, Callable[[FaultProxy, socket.socket, bytes], None]] = {
    "pass": FaultProxy.pass_on,
    "doubled": FaultProxy.doubled_on_purpose,
    "reset": FaultProxy.reset,
    "time_out_before": FaultProxy.time_out_before,
    "time_out_after_commit": FaultProxy.time_out_after_commit,
    "answer_500": FaultProxy.answer_500,
    "answer_503": FaultProxy.answer_503,
    "answer_429": FaultProxy.answer_429,
    "half_close": FaultProxy.half_close,
    "cut_answer": FaultProxy.cut_answer,
    "cut_request": FaultProxy.cut_request,
    "trickle": FaultProxy.trickle,
    "garbage": FaultProxy.garbage,
    "refuse_whole_batch": FaultProxy.refuse_whole_batch,
}


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener


def _read_request(client: socket.socket) -> bytes:
    """Head and body by Content-Length; empty when the other side closed without asking."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    parts = [bytearray(body)]
    missing = _content_length(head) - len(body)
    while missing > 0:
        more = client.recv(65536)
        if not more:
            return b""
        parts.append(bytearray(more))
        missing -= len(more)
    return head + b"\r\n\r\n" + b"".join(parts)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _closing(request: bytes) -> bytes:
    """The same request on a connection that ends with its answer."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body


def _read_all(server: socket.socket) -> bytes:
    parts = []
    while more := server.recv(65536):
        parts.append(more)
    if not parts:
        raise ConnectionError("no answer")
    return b"".join(parts)


def _reset(client: socket.socket) -> None:
    """Close with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _answer(status: int, reason: str, body: bytes, more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
