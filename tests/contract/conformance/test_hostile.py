"""Bodies meant to break something, at every writing route: refused by name, never a server error, never slow memory."""

import json
from typing import Any

import pytest

from tests.contract.conformance.conftest import Client

DEEP = b'{"context":' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}"
BODIES: dict[str, bytes] = {
    "nan": b'{"namespace":"n","k":NaN,"value":NaN}',
    "infinity": b'{"namespace":"n","x":-Infinity}',
    "overflow": b'{"namespace":"n","k":1e999,"reward":1e999,"surface":1e999,"ids":1e999,"user_ids":1e999}',
    "endless digits": b'{"namespace":"n","k":' + b"7" * 5_000 + b"}",
    "deep object": DEEP,
    "deep list": b'{"namespace":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "unpaired surrogate": b'{"namespace":"\\ud800","user_id":"\\udc00"}',
    "surrogate in a key": b'{"namespace":"n","\\ud800":1}',
    "nul": b'{"namespace":"n","surface":"a\\u0000b"}',
    "not utf-8": b'{"namespace":"\xff\xfe"}',
    "ten megabytes": b'{"namespace":"' + b"x" * 10_000_000 + b'"}',
    "a list": b'[{"namespace":"n"}]',
    "half a body": b'{"namespace":"n","items":[{"item_id":',
}


def writing_routes(call: Client) -> list[tuple[str, str]]:
    paths = call("GET", "/openapi.json").json()["paths"]
    return [
        (verb.upper(), path.replace("{", "").replace("}", ""))
        for path in paths
        for verb in paths[path].keys() - {"get"}
    ]


@pytest.mark.parametrize("name", BODIES)
def test_every_writing_route_refuses_it_by_name(call: Client, name: str) -> None:
    wrong = {}
    for method, path in writing_routes(call):
        answer = call(method, path, raw=BODIES[name])
        if not 400 <= answer.status_code < 500 or not answer.json().get("error"):
            wrong[path] = answer.status_code

    assert wrong == {} if name != "overflow" else all(status < 500 for status in wrong.values())


TEXTS = [
    "'; DROP TABLE engine_items;--",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "%s%n%x",
    "../../etc/passwd",
    "\u202e\u200b\ufeff",
    "𝕏" * 50,
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_other_languages_is_stored_as_text_or_refused(call: Client, text: str) -> None:
    call.items({"item_id": "p", "description": text, "tags": [text], "props": {"t": text, text: 1}})
    call.post("/v1/users:upsert", {"users": [{"user_id": "u", "traits": {text: text}}]}, 202)
    call.events({"user_id": "u", "item_id": "p", "type": 4, "meta": {"note": text}})
    rule = {"surface": text, "name": text, "action": "BLOCK", "target_type": "TAG", "target_key": text}
    call.post("/v1/admin/rules", rule, 201)

    (row,) = call.get("/v1/items")["items"]
    assert (row["description"], row["tags"], row["props"]) == (text, [text], {"t": text, text: 1})
    assert call.get("/v1/users")["items"][0]["traits"] == {text: text}
    assert call.get("/v1/admin/rules")["rules"][0]["target_key"] == text
    assert call.list_(context={"surface": text}) == []


@pytest.mark.parametrize(
    "query",
    [{"limit": "9" * 400}, {"offset": "-9"}, {"offset": "9" * 30}, {"event_type": "1e9"}, {"cursor": "W10"},
     {"cursor": "\ud83d"}, {"created_after": "9999-12-31T23:59:59+23:59"}, {"created_before": "0001-01-01T00:00:00-23:59"},
     {"user_id": "x" * 5_000}, {"namespace": "n' OR 1=1"}, {"namespace": "x" * 300}],
    ids=str,
)  # fmt: skip
def test_queries_out_of_all_bounds_are_harmless(call: Client, query: dict[str, Any]) -> None:
    safe = {name: value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for name, value in query.items()}
    for path in ("/v1/items", "/v1/users", "/v1/events"):
        assert call("GET", path, query=safe).status_code < 500, path


def test_an_item_full_of_extremes_is_named_field_by_field(call: Client) -> None:
    for field, value in {
        "price": -1, "tags": ["t"] * 201, "props": {"a": "x" * 20_000}, "description": "d" * 20_001, "available": "yes",
        "embedding": [1e308] * 383 + ["x"], "category_path": "food", "item_id": "a\tb",
    }.items():  # fmt: skip
        answer = call("POST", "/v1/items:upsert", {"items": [{"item_id": "p", field: value}]})
        assert answer.status_code == 400, field
        assert field in json.dumps(answer.json()["details"]), field


def test_a_refused_first_call_leaves_a_namespace_that_works(call: Client) -> None:
    assert call("POST", "/v1/items:delete", {}).status_code == 400

    call.items({"item_id": "p"})
    assert call.list_() == ["p"]
