"""The short way to a list: ``POST /v1/recommendations`` answered before Flask sees it.

The long way costs as much again as a quick list. Only calls without a surprise take the short one: a plain body of
known length, no origin to judge, nothing to refuse. Whatever else comes, every refusal and every failure included, goes
on to Flask untouched and is answered there; both ways use the same guard, parsing, engine and counters, and a test
holds their answers against each other.
"""

import time
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from recsys_engine.contract.checks import is_valid_id
from recsys_engine.contract.encoding import recommendations_text
from recsys_engine.contract.parsing import is_plain_request, parse_recommend
from recsys_engine.http.guard import RateLimit, authorise, key_of, org_of
from recsys_engine.http.list_metrics import count_list
from recsys_engine.http.metrics import Metrics
from recsys_engine.http.reading import json_object
from recsys_engine.http.routes import DEFAULT_NAMESPACE
from recsys_engine.http.settings import ServerSettings
from recsys_engine.http.tenants import Tenants
from recsys_engine.service.intake import new_id

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ROUTE = "/v1/recommendations"
ADMITTED = "recsys.admitted"
"""In the environment of a call that has passed the rate limit already."""
MOST_BYTES = 65_536


class ListDoor:
    """WSGI middleware around the Flask application."""

    def __init__(
        self, inner: "WSGIApplication", settings: ServerSettings, tenants: Tenants, limit: RateLimit, metrics: Metrics
    ) -> None:
        self.inner = inner
        self._api_keys = settings.api_keys
        self._tenants = tenants
        self._limit = limit
        self._metrics = metrics

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != ROUTE or not _is_simple(environ):
            return self.inner(environ, start_response)
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(raw)
        started = time.perf_counter()
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if is_valid_id(sent) else new_id()
        self._metrics.running(1)
        try:
            payload = self._payload(environ, raw, request_id)
        except Exception:  # noqa: BLE001 - Flask's way meets the same again and says what it was
            payload = None
        if payload is None:
            self._metrics.running(-1)
            return self.inner(environ, start_response)
        self._metrics.answered(time.perf_counter() - started, "POST", ROUTE, "200")
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(payload)))]
        start_response("200 OK", [*headers, ("X-Request-Id", request_id)])
        return [payload]

    def _payload(self, environ: "WSGIEnvironment", raw: bytes, request_id: str) -> bytes | None:
        """The answer; None when the call needs the long way."""
        org_id = org_of(environ.get("HTTP_X_ORG_ID", ""))
        key = key_of(environ.get("HTTP_X_API_KEY", ""), environ.get("HTTP_AUTHORIZATION", ""))
        authorise(self._api_keys, key, org_id, "serve")
        if self._limit.wait_s(key or environ.get("REMOTE_ADDR", "")) > 0:
            return None
        environ[ADMITTED] = True
        body = json_object(raw)
        if not is_plain_request(body):
            return None
        request = parse_recommend(body, request_id)
        namespace = body.get("namespace") or DEFAULT_NAMESPACE
        answer = self._tenants.engine(org_id, namespace).recommend(request)
        items = [item.item_id for item in answer.items]
        count_list(self._metrics, (namespace, request.context.surface), items, answer.trace)
        return f"{recommendations_text(answer)}\n".encode()


def _is_simple(environ: "WSGIEnvironment") -> bool:
    """A POST of a body that is there in full, from no browser's page."""
    length = environ.get("CONTENT_LENGTH") or ""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and length.isascii()
        and length.isdigit()
        and 0 < int(length) <= MOST_BYTES
        and not environ.get("QUERY_STRING")
        and "HTTP_ORIGIN" not in environ
        and "HTTP_TRANSFER_ENCODING" not in environ
    )
