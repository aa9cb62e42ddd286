"""OpenAPI 3.1: requests from the marshmallow schemas, answers from what the handlers say they return."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from marshmallow import Schema

from recsys_engine.contract import answers
from recsys_engine.contract.answer_schema import answer_schema
from recsys_engine.contract.errors import STATUS_OF_CODE
from recsys_engine.contract.json_schema import json_schema
from recsys_engine.http.routes import Reply, Route

_EVERYWHERE = {
    code: STATUS_OF_CODE[code]
    for code in ("unauthorized", "forbidden", "body_too_large", "rate_limited", "internal", "service_unavailable")
}
"""Codes of every verb, beside the bad requests (400)."""
_HEADERS: dict[str, Any] = {
    "X-Request-Id": {"description": "the caller's, or one born here", "required": True, "schema": {"type": "string"}},
    "Retry-After": {"description": "seconds", "required": True, "schema": {"type": "integer", "minimum": 1}},
}
_REASONS = {
    400: "the request makes no sense; error says how",
    401: "no key, or an unknown one",
    403: "the key may not do that here",
    404: "no such thing",
    409: "somebody else was faster, or the id is taken",
    413: "too much for one call",
    422: "a value that cannot be",
    429: "too many requests",
    500: "our mistake",
    503: "not now",
}


@dataclass(frozen=True, slots=True)
class Door:
    """A path of operations, without tenant or key: what it answers by status, and as which kind of text."""

    path: str
    summary: str
    answers: Mapping[int, Any]
    media: str = "application/json"


DOORS = (
    Door("/health", "Is the process up", {200: answers.Healthy}),
    Door("/readyz", "May it be asked", {200: answers.Readiness, 503: answers.Readiness}),
    Door("/version", "What runs here", {200: answers.Version}),
    Door("/metrics", "Counters, for Prometheus", {200: str}, "text/plain"),
    Door("/openapi.json", "This document", {200: answers.Json}),
)


def openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    components: dict[str, dict[str, Any]] = {}
    refusal = answer_schema(answers.Refusal, components)
    for route in routes:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, refusal, components)
    for door in DOORS:
        paths[door.path] = {"get": _door(door, components)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Recsys", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {name: _refused(status, [name], refusal) for name, status in _EVERYWHERE.items()}
            | {"bad_request": _response(_REASONS[400], refusal)},
            "headers": _HEADERS,
            "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        },
    }


def _door(door: Door, components: dict[str, Any]) -> dict[str, Any]:
    found = {
        str(status): _response(
            "done" if status < 400 else _REASONS[status], answer_schema(kind, components), door.media
        )
        for status, kind in door.answers.items()
    }
    return {
        "operationId": door.path.strip("/").removesuffix(".json"),
        "summary": door.summary,
        "tags": ["operations"],
        "security": [{}],
        "responses": {**found, "500": {"$ref": "#/components/responses/internal"}},
    }


def _operation(route: Route, refusal: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "tags": [route.role],
        "security": [{"ApiKey": []}, {}],
        "parameters": _parameters(route),
        "responses": _responses(route, refusal, components),
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body(route.body)}}}
    return operation


def _body(schema: type[Schema]) -> dict[str, Any]:
    return json_schema(schema)


def _responses(route: Route, refusal: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    answered = get_type_hints(route.handler, include_extras=True)["return"]
    if get_origin(answered) is Reply:
        answered = get_args(answered)[0]
    found = {str(route.status): _response("done", answer_schema(answered, components))}
    found["400"] = {"$ref": "#/components/responses/bad_request"}
    for status, codes in sorted(_refusals(route).items()):
        is_common = len(codes) == 1 and codes[0] in _EVERYWHERE
        shared = {"$ref": f"#/components/responses/{codes[0]}"}
        found[str(status)] = shared if is_common else _refused(status, codes, refusal)
    return found


def _refusals(route: Route) -> dict[int, list[str]]:
    """Status → the error codes it comes with on this route."""
    codes = {*_EVERYWHERE, *route.refuses}
    if route.body is None:
        codes.remove("body_too_large")
    if "<one:" in route.path:
        codes.add("not_found")  # what no id can be
    found: dict[int, list[str]] = {}
    for code in sorted(codes):
        found.setdefault(STATUS_OF_CODE[code], []).append(code)
    return found


def _refused(status: int, codes: list[str], refusal: dict[str, Any]) -> dict[str, Any]:
    waits = status in {429, 503}
    return _response(_REASONS[status], {**refusal, "properties": {"error": {"enum": codes}}}, waits=waits)


def _response(
    description: str, schema: dict[str, Any], media: str = "application/json", *, waits: bool = False
) -> dict[str, Any]:
    headers = ("X-Request-Id", "Retry-After") if waits else ("X-Request-Id",)
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {media: {"schema": schema}},
    }


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "X-Org-ID", "in": "header", "required": True, "schema": {"type": "string", "format": "uuid"}}
    ]
    found += [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"<(?:\w+:)?(\w+)>", route.path)
    ]
    found += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query]
    return found
