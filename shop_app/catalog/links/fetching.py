"""Asking a foreign server for one address without being led anywhere else.

Only hosts somebody allowed, only HTTPS on its own port, no redirect, five seconds, five megabytes. The host's addresses
are looked up once, all of them must be public, and the connection goes to one of exactly these: a name that answers
something else at the next look-up (DNS rebinding) gains nothing.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

LIMIT_S = 5.0
"""From the look-up of the name to the last byte."""
MAX_BYTES = 5 * 1024 * 1024
CHUNK = 64 * 1024
PORT = 443
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that a translator turns into IPv4 ones (RFC 6052), private ones too."""
HEAD = "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: shop-link-check\r\nAccept-Encoding: identity\r\n"

Resolve = Callable[[str], Sequence[str]]
"""A host's addresses. Raises OSError when there is none."""
Dial = Callable[[str, str, float], socket.socket]
"""Connects to an address as a host, within so many seconds. Raises OSError."""


class Verdict(StrEnum):
    """What became of a look; each with the words for it."""

    FINE = "answers as it should"
    NOT_HTTPS = "is no plain https address"
    NOT_ALLOWED = "is on a host that may not be asked"
    NO_SUCH_HOST = "names a host that does not exist"
    PRIVATE = "leads to an address that is not public"
    UNREACHABLE = "cannot be connected to"
    BAD_CERTIFICATE = "has a certificate that is not good"
    REDIRECT = "redirects, which is not followed"
    STATUS = "answers with an error"
    NOT_A_PICTURE = "is no picture"
    TOO_LARGE = "is larger than five megabytes"
    TOO_SLOW = "takes longer than five seconds"
    GARBAGE = "answers something that is not HTTP"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a look found. `status` is 0 when none came."""

    verdict: Verdict
    status: int = 0
    media_type: str = ""
    size_bytes: int = 0


class _RefusedError(Exception):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def look(
    url: str,
    *,
    hosts: frozenset[str],
    wants_picture: bool,
    resolve: Resolve | None = None,
    dial: Dial | None = None,
    limit_s: float = LIMIT_S,
) -> Answer:
    """Ask for `url` and read the answer, never longer than `limit_s`, never more than `MAX_BYTES`."""
    deadline = time.monotonic() + limit_s
    try:
        parts = _allowed(url, hosts)
        host = str(parts.hostname)
        addresses = _public(_within(deadline, lambda: (resolve or addresses_of)(host)))
        with closing(_connect(addresses, host, dial or dial_tls, deadline)) as sock:
            return _ask(sock, parts, deadline, wants_picture=wants_picture)
    except _RefusedError as refused:
        return Answer(refused.verdict)
    except TimeoutError:
        return Answer(Verdict.TOO_SLOW)
    except ssl.SSLError:
        return Answer(Verdict.BAD_CERTIFICATE)
    except (http.client.HTTPException, ValueError):  # before its cousin: hanging up without a word is both
        return Answer(Verdict.GARBAGE)
    except OSError:
        return Answer(Verdict.UNREACHABLE)


def allowed_hosts(setting: str) -> frozenset[str]:
    """The names in a setting that separates them with commas."""
    return frozenset(name.strip().lower() for name in setting.split(",") if name.strip())


def is_public(address: str) -> bool:
    """Whether this is an address of the open internet, and no other way of writing one that is not."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address) and (
        found.ipv4_mapped or found.sixtofour or found.teredo or found in TRANSLATED
    ):
        return False
    return found.is_global and not found.is_multicast


def addresses_of(host: str) -> list[str]:
    """What the machine's resolver says, each once."""
    found = socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def dial_tls(address: str, host: str, timeout_s: float) -> socket.socket:
    """A TLS connection to `address`, whose certificate must be that of `host`."""
    plain = socket.create_connection((address, PORT), timeout=timeout_s)
    try:
        return _tls().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _allowed(url: str, hosts: frozenset[str]) -> SplitResult:
    if not url.isascii() or any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        raise _RefusedError(Verdict.NOT_HTTPS)
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme == "https" and parts.username is None and parts.port in (None, PORT)
    except ValueError:
        raise _RefusedError(Verdict.NOT_HTTPS) from None
    if not is_plain:
        raise _RefusedError(Verdict.NOT_HTTPS)
    if parts.hostname not in hosts:
        raise _RefusedError(Verdict.NOT_ALLOWED)
    return parts


def _public(addresses: Sequence[str]) -> Sequence[str]:
    if not addresses:
        raise _RefusedError(Verdict.NO_SUCH_HOST)
    if not all(is_public(address) for address in addresses):
        raise _RefusedError(Verdict.PRIVATE)
    return addresses


def _within(deadline: float, find: Callable[[], Sequence[str]]) -> Sequence[str]:
    """`find()`, given up at the deadline: the resolver of the machine has no time limit of its own."""
    found: list[Sequence[str]] = []

    def work() -> None:
        try:
            found.append(find())
        except (OSError, UnicodeError):
            found.append([])

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if not found:
        raise TimeoutError
    return found[0]


def _connect(addresses: Sequence[str], host: str, dial: Dial, deadline: float) -> socket.socket:
    """To the first that takes the connection; a bad certificate is the same everywhere."""
    trouble: OSError = ConnectionError("no address")
    for address in addresses:
        try:
            return dial(address, host, _left(deadline))
        except (TimeoutError, ssl.SSLError):
            raise
        except OSError as error:
            trouble = error
    raise trouble


def _ask(sock: socket.socket, parts: SplitResult, deadline: float, *, wants_picture: bool) -> Answer:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
    sock.settimeout(_left(deadline))
    sock.sendall((HEAD.format(path=path, host=parts.hostname) + "Accept: */*\r\nConnection: close\r\n\r\n").encode())
    response = http.client.HTTPResponse(_Socket(sock, deadline), method="GET")  # type: ignore[arg-type]
    response.begin()
    status, media_type = response.status, response.headers.get_content_type()[:100]
    if 300 <= status < 400:
        return Answer(Verdict.REDIRECT, status)
    if status != http.client.OK:
        return Answer(Verdict.STATUS, status)
    size = _read(response)
    verdict = Verdict.FINE
    if size > MAX_BYTES:
        verdict = Verdict.TOO_LARGE
    elif wants_picture and not (media_type.startswith("image/") and size):
        verdict = Verdict.NOT_A_PICTURE
    return Answer(verdict, status, media_type, size)


def _read(response: http.client.HTTPResponse) -> int:
    """How many bytes the body has; reading ends with the first chunk beyond what is allowed."""
    if (response.length or 0) > MAX_BYTES:
        return int(response.length or 0)
    size = 0
    while size <= MAX_BYTES and (chunk := response.read(CHUNK)):
        size += len(chunk)
    return size


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Socket:
    """What http.client asks of a socket, with reads that all end at one deadline, however slowly bytes drip."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(into)
