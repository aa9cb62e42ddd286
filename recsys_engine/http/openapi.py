"""OpenAPI 3.1 and JSON Schema from the marshmallow schemas and the route table."""

import re
from collections.abc import Iterable
from typing import Any

from marshmallow import Schema

from recsys_engine.contract.json_schema import json_schema
from recsys_engine.http.routes import Route

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error", "timestamp"],
    "properties": {
        "error": {"type": "string"},
        "message": {"type": "string"},
        "details": {"type": "object"},
        "correlation_id": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
    },
}


def openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Recsys", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": {"Error": ERROR_SCHEMA},
            "securitySchemes": {"ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "tags": [route.role],
        "security": [{"ApiKey": []}, {}],
        "parameters": _parameters(route),
        "responses": {
            str(route.status): {"description": "done", "content": {"application/json": {"schema": {}}}},
            "default": {
                "description": "refused or failed",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _body(route.body)}}}
    return operation


def _body(schema: type[Schema]) -> dict[str, Any]:
    return json_schema(schema)


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
