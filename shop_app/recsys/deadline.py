"""Connections that end a read at the call's deadline. A read time-out alone starts anew with every byte that comes, so
a server that answers in drops would hold a worker for as long as it likes. They also count what goes over the network.
"""

import io
import socket
import threading
import time
from typing import Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_call = threading.local()


def read_until(deadline_s: float) -> None:
    """Every read of this thread ends at `deadline_s` of the monotonic clock, with `TimeoutError`."""
    _call.deadline_s = deadline_s


def moved_bytes() -> int:
    """What this thread has sent and received over such connections so far: headers and bodies, as HTTP has them."""
    return getattr(_call, "moved_bytes", 0)


def _count(number: int) -> None:
    _call.moved_bytes = moved_bytes() + number


class DeadlineAdapter(HTTPAdapter):
    """requests' adapter over such connections."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open until the answer is read

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int | None:
        left_s = getattr(_call, "deadline_s", float("inf")) - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer came too slowly")
        if left_s != float("inf"):
            self._sock.settimeout(left_s)
        received = self._raw.readinto(into)
        _count(received or 0)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Socket:
    """The connection's socket; it is read up to a deadline, and what it carries is counted."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock))

    def sendall(self, data: bytes, *flags: int) -> None:
        self._sock.sendall(data, *flags)
        _count(len(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        self.sock = cast("socket.socket", _Socket(cast("socket.socket", self.sock)))


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.sock = cast("socket.socket", _Socket(cast("socket.socket", self.sock)))


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
