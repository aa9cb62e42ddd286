"""Connections that end a read at the call's deadline. A read time-out alone starts anew with every byte that comes, so
a server that answers in drops would hold a worker for as long as it likes.
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
        return self._raw.readinto(into)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Socket:
    """The connection's socket; only what is read from it is another."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock))

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
