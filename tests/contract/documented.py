"""A witness before the server: every answer that leaves is held against the OpenAPI document the server publishes."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

from recsys_engine.contract.answer_schema import answer_schema
from recsys_engine.contract.encoding import json_text

SURPRISES: list[str] = []
"""What was answered but not documented; a fixture looks here after each test."""
Document = dict[str, Any]
Operation = tuple[str, str]
FORMATS = FormatChecker(())


@FORMATS.checks("date-time", ValueError)
def _is_moment(value: Any) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


class Witness:
    """WSGI middleware. ``seen``: which operations (method, path of the document) answered with which status."""

    def __init__(self, app: Callable[..., Iterable[bytes]], document: Document) -> None:
        self.document = document
        self.seen: set[tuple[Operation, int, str]] = set()
        self._app = app
        self._validators: dict[str, Draft202012Validator] = {}
        self._paths = [(_pattern(path), path) for path in sorted(document["paths"], key=_letters, reverse=True)]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        told: list[Any] = []

        def told_of(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            told[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]
            return start_response(status, headers, *more)

        made = self._app(environ, told_of)
        body = b"".join(made)
        if hasattr(made, "close"):
            made.close()
        method, path = environ["REQUEST_METHOD"], environ["RAW_URI"].split("?")[0]
        if method not in {"OPTIONS", "HEAD"}:
            SURPRISES.extend(f"{method} {path} {told[0]}: {one}" for one in self.judge(method, path, *told, body))
        return [body]

    def judge(self, method: str, path: str, status: int, headers: dict[str, str], body: bytes) -> list[str]:
        """What of an answer is not documented."""
        operation = self._operation(method, path)
        if operation is None:
            return self._stray(status, body)
        documented = self.document["paths"][operation[1]][operation[0]]["responses"].get(str(status))
        if documented is None:
            return [f"no such status: {body[:200]!r}"]
        documented = self._resolved(documented)
        media = headers.get("content-type", "").split(";")[0]
        if not documented.get("content", {}).get(media, {}).get("schema") and media != "text/plain":
            return [f"no schema for {media}"]
        problems = [f"no {name}" for name, one in documented["headers"].items() if not self._has(headers, name, one)]
        value = json.loads(body) if media == "application/json" else body.decode()
        schema = documented["content"][media]["schema"]
        error = best_match(self._validator(schema).iter_errors(value))
        self.seen.add((operation, status, value.get("error", "") if status >= 400 else ""))
        return [*problems, f"{error.json_path} {error.message[:300]}"] if error else problems

    def _operation(self, method: str, path: str) -> Operation | None:
        plain = path.replace("%3A", ":")
        template = next((template for pattern, template in self._paths if pattern.fullmatch(plain)), None)
        known = template is not None and method.lower() in self.document["paths"][template]
        return (method.lower(), template) if known else None

    def _stray(self, status: int, body: bytes) -> list[str]:
        """No operation of the document: refused in the documented shape."""
        error = best_match(self._validator({"$ref": "#/components/schemas/Refusal"}).iter_errors(json.loads(body)))
        return [] if 400 <= status < 500 and error is None else [f"an undocumented operation answered {body[:200]!r}"]

    def _has(self, headers: dict[str, str], name: str, documented: Document) -> bool:
        value = headers.get(name.lower())
        kind = self._resolved(documented)["schema"]["type"]
        return value is not None and (kind != "integer" or value.isdigit())

    def _resolved(self, node: Document) -> Document:
        if "$ref" not in node:
            return node
        found: Any = self.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return dict(found)

    def _validator(self, schema: Document) -> Draft202012Validator:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**schema, "components": self.document["components"]}
            self._validators[key] = Draft202012Validator(whole, format_checker=FORMATS)
        return self._validators[key]


def _letters(path: str) -> int:
    """How much of a path is said outright: of two that match, the one that says more is meant."""
    return len(re.sub(r"\{\w+\}", "", path))


def _pattern(path: str) -> re.Pattern[str]:
    """An item's id may hold slashes (it is a path of its own); no other id may."""
    parts = re.split(r"\{(\w+)\}", path)
    return re.compile(
        "".join(re.escape(p) if n % 2 == 0 else (".+" if p == "item_id" else "[^/]+") for n, p in enumerate(parts))
    )


def undocumented(kind: Any, value: Any) -> list[str]:
    """What of a value is not as its type of ``contract.answers`` says."""
    components: dict[str, Any] = {}
    whole = {**answer_schema(kind, components), "components": {"schemas": components}}
    found = Draft202012Validator(whole, format_checker=FORMATS).iter_errors(json.loads(json_text(value)))
    return [f"{error.json_path} {error.message}" for error in found]


def witnessed(app: Flask) -> Witness:
    """The application behind a witness who read the document it publishes."""
    return Witness(app, app.test_client().get("/openapi.json").get_json())


def operations(document: Document) -> list[Operation]:
    """Every operation of a document: method, path."""
    return [(method, path) for path, verbs in document["paths"].items() for method in verbs]
