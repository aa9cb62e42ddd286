"""One HTTP call to a recommender: timeouts, size limit, retries of transient faults, and the two errors."""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from shop_app.recsys.deadline import DeadlineAdapter, read_until
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable

MAX_RESPONSE_BYTES = 20_000_000
_CHUNK_BYTES = 65_536
_TRANSIENT = frozenset({408, 425, 429})
_POOL = 16


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer: the JSON value and the request id the server used."""

    body: Any
    request_id: str


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: Mapping[str, Any] | None
    query: Mapping[str, Any] | None
    request_id: str | None
    is_500_final: bool


class Wire:
    """A pooled session to one server. Thread-safe.

    Each attempt has a connect and a read timeout and an overall deadline of ``timeout_s``; at most ``retries`` further
    attempts follow a transient fault (network, 408, 425, 429, 5xx), with full-jitter back-off from 50 ms. Calls
    that are not safe to repeat are sent once. Proxies and netrc of the environment are not used.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        connect_timeout_s: float,
        retries: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._timeouts = (min(connect_timeout_s, timeout_s), timeout_s)
        self._retries = retries
        self._sleep = sleep
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(headers)
        self._session.mount("http://", DeadlineAdapter(pool_maxsize=_POOL))
        self._session.mount("https://", DeadlineAdapter(pool_maxsize=_POOL))

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        is_repeatable: bool = True,
        request_id: str | None = None,
        is_500_final: bool = False,
    ) -> Reply:
        """Send and read; raises ``RecsysRejected`` or ``RecsysUnavailable``.

        ``request_id`` names the call at the server. ``is_500_final`` is for a route whose server says 500 to a caller's
        mistake: then a plain 500 is a rejection.
        """
        request = _Request(method, path, body, query, request_id, is_500_final)
        attempts = self._retries + 1 if is_repeatable else 1
        for attempt in range(attempts):
            try:
                return self._once(request)
            except RecsysUnavailable as error:
                pause_s = random.uniform(0, 0.05 * 2**attempt)
                too_long = (error.retry_after_s or 0) > self._timeout_s
                if attempt + 1 == attempts or too_long:
                    raise
                self._sleep(max(pause_s, error.retry_after_s or 0))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _once(self, request: "_Request") -> Reply:
        body, name = request.body, f"{request.method} {request.path}"
        try:
            data = None if body is None else json.dumps(body, allow_nan=False).encode()
        except ValueError as error:
            raise RecsysRejected("invalid_json", "the request holds numbers JSON cannot carry") from error
        read_until(time.monotonic() + self._timeout_s)
        try:
            with self._session.request(
                request.method,
                self._base_url + request.path,
                params=request.query,
                data=data,
                headers=_headers(request),
                timeout=self._timeouts,
                stream=True,
                allow_redirects=False,
            ) as response:
                content = _read(response)
        except requests.RequestException as error:
            raise RecsysUnavailable(f"{name}: {type(error).__name__}") from error
        return _told_apart(response, content, name, is_500_final=request.is_500_final)


def _headers(request: "_Request") -> dict[str, str]:
    headers = {} if request.body is None else {"Content-Type": "application/json"}
    if request.request_id:
        headers["X-Request-Id"] = request.request_id
    return headers


def _read(response: requests.Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_RESPONSE_BYTES:
            raise RecsysUnavailable(f"the answer is larger than {MAX_RESPONSE_BYTES} bytes")
    return bytes(content)


def _told_apart(response: requests.Response, content: bytes, name: str, *, is_500_final: bool) -> Reply:
    """Success, rejected or unavailable: the one place that decides."""
    status = response.status_code
    if 200 <= status < 300:
        try:
            return Reply(json.loads(content) if content.strip() else None, response.headers.get("X-Request-Id", ""))
        except ValueError as error:
            raise RecsysUnavailable(f"{name}: {status} without JSON") from error
    if (status >= 500 or status in _TRANSIENT) and not (status == 500 and is_500_final):
        raise RecsysUnavailable(f"{name}: {status}", _retry_after(response))
    problem = _problem(content)
    details = problem.get("details")
    raise RecsysRejected(
        str(problem.get("error") or f"http_{status}"),
        str(problem.get("message") or name),
        details if isinstance(details, dict) else None,
        status,
    )


def _problem(content: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None
