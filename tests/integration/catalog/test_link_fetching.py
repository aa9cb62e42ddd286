"""A foreign server is asked for one address and can lead the asker nowhere else. Against a server on this machine."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from shop_app.catalog.links.fetching import MAX_BYTES, Answer, Verdict, allowed_hosts, dial_tls, is_public, look

HOST = "pictures.example.com"
PUBLIC = "93.184.215.14"
PICTURE = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 4\r\n\r\n\x89PNG"


class Stub:
    """Listens, reads a request, does what it was told. `dial` leads every public address to it and notes which."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self.behave = behave
        self.requests: list[bytes] = []
        self.dialled: list[tuple[str, str]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):
                    self.requests.append(client.recv(65536))
                    self.behave(client)

    def dial(self, address: str, host: str, timeout_s: float) -> socket.socket:
        self.dialled.append((address, host))
        return socket.create_connection(self._listener.getsockname(), timeout=timeout_s)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def stub() -> Iterator[Callable[..., Stub]]:
    made: list[Stub] = []

    def make(answer: bytes | Callable[[socket.socket], None]) -> Stub:
        made.append(Stub(answer if callable(answer) else lambda client: client.sendall(answer)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(server: Stub, url: str = f"https://{HOST}/a.png", *, addresses: tuple[str, ...] = (PUBLIC,), limit_s: float = 5,
        wants_picture: bool = True) -> Answer:  # fmt: skip
    return look(
        url, hosts=frozenset({HOST}), wants_picture=wants_picture, resolve=lambda _: addresses, dial=server.dial,
        limit_s=limit_s,
    )  # fmt: skip


def test_a_picture_that_answers_is_fine_and_only_its_path_is_asked_for(stub) -> None:
    server = stub(PICTURE)

    answer = ask(server, f"https://{HOST}/a%20b.png?size=2#part")

    assert answer == Answer(Verdict.FINE, 200, "image/png", 4)
    request = server.requests[0].decode()
    assert request.startswith("GET /a%20b.png?size=2 HTTP/1.1\r\n")
    assert f"Host: {HOST}\r\n" in request
    assert "cookie" not in request.lower()


@pytest.mark.parametrize(
    ("answer", "verdict", "status"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", Verdict.REDIRECT, 302),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://pictures.example.com/b.png\r\n\r\n", Verdict.REDIRECT, 301),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Verdict.STATUS, 404),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Verdict.STATUS, 204),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", Verdict.NOT_A_PICTURE, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 0\r\n\r\n", Verdict.NOT_A_PICTURE, 200),
        (b"220 mail.example.com ESMTP\r\n", Verdict.GARBAGE, 0),
        (b"", Verdict.GARBAGE, 0),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", Verdict.GARBAGE, 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nContent-Type: image/png\r\n\r\nx", Verdict.TOO_LARGE, 200),
    ],
    ids=lambda value: value.name if isinstance(value, Verdict) else None,
)
def test_what_is_not_a_picture_has_its_own_verdict_and_no_redirect_is_followed(stub, answer, verdict, status) -> None:
    server = stub(answer)

    found = ask(server)

    assert (found.verdict, found.status) == (verdict, status)
    assert len(server.dialled) == 1


def test_a_page_may_be_anything_that_answers(stub) -> None:
    server = stub(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>")

    assert ask(server, wants_picture=False) == Answer(Verdict.FINE, 200, "text/html", 6)


def test_a_body_without_end_is_read_no_further_than_allowed(stub) -> None:
    sent = [0]

    def pour(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
        while True:
            client.sendall(b"x" * 65536)
            sent[0] += 65536

    found = ask(stub(pour), limit_s=60)

    assert found.verdict is Verdict.TOO_LARGE
    assert MAX_BYTES < found.size_bytes <= MAX_BYTES + 65536


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"]
)
def test_an_answer_in_drops_ends_at_the_limit(stub, first: bytes) -> None:
    def drip(client: socket.socket) -> None:
        client.sendall(first)
        for _ in range(600):
            client.sendall(b"1")
            time.sleep(0.05)

    found = ask(stub(drip), limit_s=0.4)

    assert found.verdict is Verdict.TOO_SLOW


def test_a_resolver_that_never_answers_ends_at_the_limit() -> None:
    gone = threading.Event()

    found = look(
        f"https://{HOST}/", hosts=frozenset({HOST}), wants_picture=True, limit_s=0.2,
        resolve=lambda _: [str(gone.wait(30))],
    )  # fmt: skip

    gone.set()
    assert found.verdict is Verdict.TOO_SLOW


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("https://other.example.com/a.png", Verdict.NOT_ALLOWED),
        ("https://pictures.example.com.evil.example/a.png", Verdict.NOT_ALLOWED),
        ("https://127.0.0.1/a.png", Verdict.NOT_ALLOWED),
        ("https:///a.png", Verdict.NOT_ALLOWED),
        ("http://pictures.example.com/a.png", Verdict.NOT_HTTPS),
        ("//pictures.example.com/a.png", Verdict.NOT_HTTPS),
        ("file:///etc/passwd", Verdict.NOT_HTTPS),
        ("https://pictures.example.com:8443/a.png", Verdict.NOT_HTTPS),
        ("https://pictures.example.com:x/a.png", Verdict.NOT_HTTPS),
        ("https://me:secret@pictures.example.com/a.png", Verdict.NOT_HTTPS),
        ("https://evil.example\\@pictures.example.com/a.png", Verdict.NOT_HTTPS),
        ("https://pictures.example.com/a b.png", Verdict.NOT_HTTPS),
        ("https://pictures.example.com/a\r\nHost: evil", Verdict.NOT_HTTPS),
        ("https://pictures.ex\u00e4mple.com/a.png", Verdict.NOT_HTTPS),
        ("https://[::1/a.png", Verdict.NOT_HTTPS),
    ],
)
def test_nothing_is_dialled_for_an_address_that_may_not_be_asked(stub, url: str, verdict: Verdict) -> None:
    server = stub(PICTURE)

    assert ask(server, url).verdict is verdict
    assert server.dialled == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1",
        "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:93.184.215.14", "2002:7f00:1::", "64:ff9b::7f00:1",
        "2001:0:7f00:1::", "2001:db8::1", "fe80::1%eth0",
    ],
)  # fmt: skip
def test_no_address_that_is_not_public_is_dialled_not_even_beside_a_public_one(stub, address: str) -> None:
    server = stub(PICTURE)

    assert not is_public(address)
    for addresses in ((address,), (PUBLIC, address), (address, PUBLIC)):
        assert ask(server, addresses=addresses).verdict is Verdict.PRIVATE
    assert server.dialled == []


def test_the_address_that_was_checked_is_the_one_that_is_dialled_whatever_the_name_says_next(stub) -> None:
    server, says = stub(PICTURE), iter([[PUBLIC], ["127.0.0.1"], ["169.254.169.254"]])

    answer = look(
        f"https://{HOST}/a.png", hosts=frozenset({HOST}), wants_picture=True, resolve=lambda _: next(says),
        dial=server.dial,
    )  # fmt: skip

    assert answer.verdict is Verdict.FINE
    assert server.dialled == [(PUBLIC, HOST)]
    assert next(says) == ["127.0.0.1"]  # the name was looked up once


def test_the_next_address_is_tried_when_one_does_not_answer(stub) -> None:
    server = stub(PICTURE)

    def dial(address: str, host: str, timeout_s: float) -> socket.socket:
        if address == PUBLIC:
            raise ConnectionRefusedError
        return server.dial(address, host, timeout_s)

    answer = look(
        f"https://{HOST}/", hosts=frozenset({HOST}), wants_picture=True, dial=dial,
        resolve=lambda _: (PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c"),
    )  # fmt: skip

    assert answer.verdict is Verdict.FINE


def test_a_host_that_does_not_exist_and_one_that_refuses_are_told_apart() -> None:
    def none(_: str) -> list[str]:
        raise socket.gaierror

    def refuse(*_: object) -> socket.socket:
        raise ConnectionRefusedError

    def found(**how: object) -> Verdict:
        return look(f"https://{HOST}/", hosts=frozenset({HOST}), wants_picture=True, **how).verdict

    assert found(resolve=none) is Verdict.NO_SUCH_HOST
    assert found(resolve=lambda _: [PUBLIC], dial=refuse) is Verdict.UNREACHABLE


def test_a_server_without_a_good_certificate_is_not_spoken_to(stub, monkeypatch) -> None:
    server = stub(PICTURE)
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda _, timeout: connect(server._listener.getsockname(), timeout)
    )

    answer = look(
        f"https://{HOST}/a.png", hosts=frozenset({HOST}), wants_picture=True, resolve=lambda _: [PUBLIC], dial=dial_tls
    )

    assert answer.verdict is Verdict.BAD_CERTIFICATE
    assert b"GET" not in b"".join(server.requests)


def test_hosts_are_read_from_the_setting() -> None:
    assert allowed_hosts(" Pictures.example.com, cdn.example.net ,,") == {HOST, "cdn.example.net"}
    assert allowed_hosts("") == frozenset()
