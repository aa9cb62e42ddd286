"""The Flask application around the route table: reading, refusing, answering."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter, PathConverter

from recsys_engine.contract import answers
from recsys_engine.contract.checks import is_valid_id
from recsys_engine.contract.encoding import json_text
from recsys_engine.contract.errors import ContractError, EngineUnavailableError
from recsys_engine.contract.limits import MAX_BODY_BYTES
from recsys_engine.http.bandit_routes import BANDIT_ROUTES
from recsys_engine.http.control_routes import CONTROL_ROUTES
from recsys_engine.http.cors import allow_origin
from recsys_engine.http.guard import RateLimit, authorise, key_of, org_of
from recsys_engine.http.list_door import ADMITTED, ListDoor
from recsys_engine.http.list_metrics import LISTS, count_list_of
from recsys_engine.http.metrics import Metrics
from recsys_engine.http.names import with_known_names
from recsys_engine.http.openapi import openapi
from recsys_engine.http.reading import json_object
from recsys_engine.http.routes import ROUTES, Call, Reply, Route
from recsys_engine.http.settings import ServerSettings
from recsys_engine.http.tenants import Tenants
from recsys_engine.service.intake import new_id

log = logging.getLogger(__name__)

ALL_ROUTES = (*ROUTES, *CONTROL_ROUTES, *BANDIT_ROUTES)
MODEL_VERSION = "hybrid_v1"
OPEN_PATHS = frozenset({"/health", "/readyz", "/version", "/metrics", "/openapi.json"})


@dataclass(slots=True)
class Server:
    """What the handlers share."""

    settings: ServerSettings
    tenants: Tenants
    limit: RateLimit
    metrics: Metrics = field(default_factory=Metrics)


class _Anything(PathConverter):
    """Any id of an item, slashes included."""

    regex = ".+?"
    part_isolating = False


class _One(BaseConverter):
    """The id of a rule, an override or a decision; never a verb of its own."""

    regex = "(?!dry-run$)[^/:]+"
    part_isolating = True


def create_engine_app(settings: ServerSettings, clock: Callable[[], datetime] | None = None) -> Flask:
    """The stand-alone recommender server as a WSGI application."""
    app = Flask("recsys_engine", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    limit = RateLimit(settings.rate_per_minute, settings.rate_burst, time.monotonic)
    server = Server(settings, Tenants(settings, clock or partial(datetime.now, UTC)), limit)
    app.extensions["recsys_server"] = server
    app.url_map.converters.update(anything=_Anything, one=_One)
    app.url_map.merge_slashes = False  # an id may begin with one, and a redirect is no answer of the contract
    app.before_request(partial(_admit, server))
    app.after_request(partial(_finish, server))
    for route in ALL_ROUTES:
        endpoint = f"{route.method} {route.path}"
        app.add_url_rule(route.path, endpoint, partial(_answer, server, route), methods=[route.method])
    _add_operations(app, server)
    app.register_error_handler(ContractError, _refused)
    app.register_error_handler(EngineUnavailableError, _unavailable)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _crashed)
    app.wsgi_app = ListDoor(app.wsgi_app, settings, server.tenants, limit, server.metrics)  # type: ignore[method-assign]
    return app


def _admit(server: Server) -> None:
    g.started = time.perf_counter()
    server.metrics.running(1)
    sent = request.headers.get("X-Request-Id", "")
    g.request_id = sent if is_valid_id(sent) else new_id()
    if request.path in OPEN_PATHS or request.method == "OPTIONS":
        return
    headers = request.headers
    g.org_id = org_of(headers.get("X-Org-ID", ""))
    key = key_of(headers.get("X-API-Key", ""), headers.get("Authorization", ""))
    endpoint = request.url_rule.endpoint if request.url_rule else ""
    authorise(server.settings.api_keys, key, g.org_id, _ROLE_OF.get(endpoint, "serve"))
    wait_s = 0.0 if ADMITTED in request.environ else server.limit.wait_s(key or request.remote_addr or "")
    if wait_s > 0:
        g.retry_after = max(1, round(wait_s + 0.5))
        raise ContractError("rate_limited", "too many requests", {"retry_after_s": g.retry_after})


_ROLE_OF = {f"{route.method} {route.path}": route.role for route in ALL_ROUTES}


def _answer(server: Server, route: Route, **path: str) -> Response:
    body: Mapping[str, Any] = (
        _body(route_allows_empty=route.path.endswith("/cancel")) if route.method in {"POST", "PUT"} else {}
    )
    if route.body is not None:
        body = with_known_names(body, route.body)
    headers = {"X-User-Email": request.headers.get("X-User-Email", "")}
    call = Call(partial(server.tenants.engine, g.org_id), body, request.args, path, g.request_id, headers)
    answer = route.handler(call)
    if route.path in LISTS:
        count_list_of(server.metrics, body, answer)
    if isinstance(answer, Reply):
        response = _json(answer.body, route.status)
        response.headers.update(answer.headers)
        return response
    return _json(answer, route.status)


def _body(*, route_allows_empty: bool) -> dict[str, Any]:
    raw = request.get_data(cache=False)
    if not raw.strip() and route_allows_empty:
        return {}
    return json_object(raw)


def _json(value: Any, status: int = 200) -> Response:
    return Response(json_text(value) + "\n", status, mimetype="application/json")


def _finish(server: Server, response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    origin = request.headers.get("Origin")
    if origin:
        allow_origin(server.settings.cors_origins, origin, response.headers, is_preflight=request.method == "OPTIONS")
    rule = request.url_rule.rule if request.url_rule else "unknown"
    seconds = time.perf_counter() - g.get("started", time.perf_counter())
    server.metrics.answered(seconds, request.method, rule, str(response.status_code))
    return response


def _error(status: int, code: str, message: str, details: Any = None) -> Response:
    moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    body = answers.Refusal(error=code, message=message, correlation_id=g.get("request_id", ""), timestamp=moment)
    if details:
        body["details"] = details
    return _json(body, status)


def _refused(error: ContractError) -> Response:
    response = _error(error.status, error.code, error.message, dict(error.details))
    if "retry_after" in g:
        response.headers["Retry-After"] = str(g.retry_after)
    return response


def _unavailable(error: EngineUnavailableError) -> Response:
    log.warning("engine_unavailable", extra={"error": str(error), "request_id": g.get("request_id")})
    response = _error(503, "service_unavailable", "the engine cannot answer now")
    response.headers["Retry-After"] = str(max(1, round(error.retry_after_s or 1)))
    return response


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        return _error(413, "body_too_large", f"at most {MAX_BODY_BYTES} bytes", {"max": MAX_BODY_BYTES})
    codes = {404: "not_found", 405: "method_not_allowed", 408: "request_timeout"}
    status = error.code or 500
    response = _error(status, codes.get(status, "invalid_request" if status < 500 else "internal"), error.name)
    if status == 405 and error.get_response().headers.get("Allow"):
        response.headers["Allow"] = error.get_response().headers["Allow"]
    return response


def _crashed(error: Exception) -> Response:
    log.error("engine_request_crashed", exc_info=error, extra={"request_id": g.get("request_id")})
    return _error(500, "internal", "unexpected error")


@cache
def _document() -> dict[str, Any]:
    """Made when it is first asked for: it takes longer than the rest of a start, and few ask."""
    return openapi(ALL_ROUTES)


def _add_operations(app: Flask, server: Server) -> None:
    def health() -> Response:
        return _json(answers.Healthy(status="ok"))

    def readyz() -> Response:
        verdict = server.tenants.ready()
        body = answers.Readiness(
            status="ok" if verdict.is_ok else "degraded", failing=list(verdict.failing), details=dict(verdict.details)
        )
        return _json(body, 200 if verdict.is_ok else 503)

    def version() -> Response:
        settings = server.settings
        body = answers.Version(
            git_commit=settings.git_commit, build_time=settings.build_time, model_version=MODEL_VERSION
        )
        return _json(body)

    def metrics() -> Response:
        server.metrics.gauge("recsys_tenants_open", server.tenants.count)
        return Response(server.metrics.text(), mimetype="text/plain; version=0.0.4")

    app.add_url_rule("/health", "health", health)
    app.add_url_rule("/readyz", "readyz", readyz)
    app.add_url_rule("/version", "version", version)
    app.add_url_rule("/metrics", "metrics", metrics)
    app.add_url_rule("/openapi.json", "openapi", lambda: _json(_document()))
