"""What only HTTP shows: headers, codes, keys, limits, hostile bodies. Every call goes to a started server."""

import hashlib
import json
import threading
from datetime import UTC, datetime
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests
from werkzeug.serving import make_server

from recsys_engine.http import ServerSettings, create_engine_app
from recsys_engine.http.settings import api_keys_from, settings_from_env
from tests.contract.documented import witnessed

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0002"


def start(settings):
    app = create_engine_app(settings, lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))
    started = make_server("127.0.0.1", 0, witnessed(app), threaded=True)
    threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True).start()
    return app, started


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    app, started = start(ServerSettings(f"sqlite:///{tmp_path_factory.mktemp('http')}/e.db", rate_per_minute=0))
    yield f"http://127.0.0.1:{started.port}"
    started.shutdown()
    app.extensions["recsys_server"].tenants.close()
    started.server_close()


@pytest.fixture
def call(base):
    namespace = f"ns-{uuid4()}"

    def send(method, path, body=None, *, raw=None, org=ORG, **more):
        headers = {"X-Org-ID": org} if org is not None else {}
        headers |= more.pop("headers", {})
        data = raw if raw is not None else json.dumps({"namespace": namespace, **(body or {})}).encode()
        if method == "GET":
            more.setdefault("params", {"namespace": namespace})
            data = None
        return requests.request(method, base + path, data=data, headers=headers, timeout=20, **more)

    send.namespace = namespace
    return send


def code(response):
    return response.status_code, response.json()["error"]


def test_the_organisation_header_is_required_but_not_for_operations(call):
    assert code(call("GET", "/v1/items", org=None)) == (400, "missing_org_id")
    assert code(call("GET", "/v1/items", org="acme")) == (400, "invalid_org_id")
    for path in ("/health", "/readyz", "/version", "/metrics", "/openapi.json"):
        assert call("GET", path, org=None).status_code == 200


def test_ingestion_answers_202_and_empty_arrays_are_fine(call):
    for path, name in (("/v1/items:upsert", "items"), ("/v1/users:upsert", "users"), ("/v1/events:batch", "events")):
        for body in ({name: []}, {}):
            answer = call("POST", path, body)
            assert answer.status_code == 202
            assert answer.json()["status"] == "accepted"


def test_namespaces_and_organisations_do_not_see_each_other(call):
    call("POST", "/v1/items:upsert", {"items": [{"item_id": "p1"}]})

    assert call("GET", "/v1/items").json()["total"] == 1
    assert call("GET", "/v1/items", params={"namespace": "other"}).json()["total"] == 0
    assert call("GET", "/v1/items", org=str(uuid4())).json()["total"] == 0


def test_a_missing_namespace_is_refused_where_rows_are_concerned(call):
    assert code(call("GET", "/v1/items", params={})) == (400, "missing_namespace")
    assert code(call("POST", "/v1/items:upsert", raw=b'{"items":[]}')) == (400, "missing_namespace")
    assert call("POST", "/v1/recommendations", raw=b"{}").status_code == 200


def test_the_request_id_is_echoed_and_stored_with_the_list(call):
    answer = call("POST", "/v1/recommendations", {"k": 3}, headers={"X-Request-Id": "req-1"})

    assert answer.headers["X-Request-Id"] == answer.json()["request_id"] == "req-1"
    assert call("GET", "/health").headers["X-Request-Id"]
    assert call("GET", "/v1/items/p/similar").headers["X-Request-Id"]


def test_every_event_is_judged_alone(call):
    answer = call("POST", "/v1/events:batch", {"events": [{"user_id": "u", "item_id": "p", "type": 0}, {"type": 0}, 7]})

    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [
        (1, "invalid_user_id"),
        (2, "invalid_json_type"),
    ]


def test_a_bad_timestamp_names_its_index(call):
    answer = call("POST", "/v1/events:batch", {"events": [{"user_id": "u", "type": 0, "ts": "yesterday"}]})

    assert code(answer) == (400, "invalid_timestamp")
    assert answer.json()["details"]["index"] == 0


def test_list_limits_fall_back_and_pages_end(call):
    call("POST", "/v1/items:upsert", {"items": [{"item_id": f"p{n}", "props": {"a": 1}} for n in range(3)]})

    page = call("GET", "/v1/items", params={"namespace": call.namespace, "limit": "5000"}).json()

    assert (page["limit"], page["total"], page["has_more"]) == (100, 3, False)
    assert "next_offset" not in page
    assert page["items"][0]["props"] == {"a": 1}


def test_knobs_may_be_fractional_and_are_checked(call):
    good = {"overrides": {"popularity_halflife_days": 4.5, "mmr_lambda": 0.5}}
    bad = {"overrides": {"mmr_lambda": -1}}

    assert call("POST", "/v1/recommendations", good).status_code == 200
    answer = call("POST", "/v1/recommendations", bad)
    assert code(answer) == (400, "invalid_override")
    assert answer.json()["details"]["field"] == "overrides.mmr_lambda"


def test_k_defaults_and_reasons_only_on_request(call):
    call("POST", "/v1/items:upsert", {"items": [{"item_id": f"p{n}"} for n in range(25)]})

    plain = call("POST", "/v1/recommendations").json()["items"]
    told = call("POST", "/v1/recommendations", {"include_reasons": True, "explain_level": "full"}).json()["items"]

    assert len(plain) == 20
    assert not {"reasons", "explain"} & set(plain[0])
    assert {"reasons", "explain"} <= set(told[0])


def test_rerank_without_items_is_refused(call):
    assert code(call("POST", "/v1/rerank", {"items": []})) == (400, "empty_items")
    assert code(call("POST", "/v1/rerank", {"items": [{"item_id": " "}]})) == (400, "invalid_items")


def test_surface_has_a_top_level_alias(call):
    answer = call("POST", "/v1/recommendations", {"surface": "listing"}).json()

    assert answer["trace"]["extras"]["surface"] == "listing"


def test_unknown_paths_and_methods_use_the_error_shape(call):
    assert code(call("GET", "/v1/nothing")) == (404, "not_found")
    refused = call("GET", "/v1/recommendations")
    assert code(refused) == (405, "method_not_allowed")
    assert "POST" in refused.headers["Allow"]


@pytest.mark.parametrize("item_id", ["a/b", "/b", "b/", "//", "a//b", "similar", "/similar"])
def test_an_item_whose_id_holds_slashes_has_neighbours(call, item_id):
    vectors = [[1.0, n / 10] + [0.0] * 382 for n in range(2)]
    items = [{"item_id": name, "embedding": v} for name, v in zip((item_id, "p"), vectors, strict=True)]
    call("POST", "/v1/items:upsert", {"items": items})

    answer = call("GET", f"/v1/items/{quote(item_id, safe='')}/similar")

    assert [item["item_id"] for item in answer.json()] == ["p"]


def test_a_doubled_slash_is_another_path_and_no_redirect(call):
    assert code(call("GET", "/v1/items/")) == code(call("GET", "/v1//items")) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/admin/rules/dry-run", {"POST", "OPTIONS"}),
        ("GET", "/v1/audit/decisions/d:replay", {"POST", "OPTIONS"}),
        ("POST", "/v1/audit/decisions/d", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_verb_is_no_id_of_its_neighbour(call, method, path, allowed):
    answer = call(method, path)

    assert code(answer) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == allowed


HOSTILE = {
    "empty": b"",
    "not json": b"{",
    "not utf-8": b'{"a":"\xff"}',
    "nan": b'{"k": NaN}',
    "infinity": b'{"constraints":{"price_between":[Infinity]}}',
    "huge number": b'{"k": 1e999}',
    "endless digits": b'{"k": ' + b"9" * 5000 + b"}",
    "array": b"[]",
    "deep": b'{"context":' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
    "very deep": b'{"context":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "lone surrogate": b'{"user_id":"\\ud800"}',
    "surrogate in context": b'{"context":{"x":"\\udfff"}}',
    "nul": b'{"user_id":"a\\u0000b"}',
    "k is text": b'{"k":"20"}',
    "k is true": b'{"k":true}',
    "k is too big": b'{"k":100000}',
    "user is a list": b'{"user_id":["u"]}',
    "blank user": b'{"user_id":"a b"}',
    "long user": json.dumps({"user_id": "u" * 5000}).encode(),
    "cart is text": b'{"context":{"cart_item_ids":"p1"}}',
    "cart too long": json.dumps({"context": {"cart_item_ids": ["p"] * 5000}}).encode(),
    "surface is a number": b'{"context":{"surface":7}}',
    "date": b'{"constraints":{"created_after":"then"}}',
    "price": b'{"constraints":{"price_between":["1"]}}',
    "three prices": b'{"constraints":{"price_between":[1,2,3]}}',
    "namespace is a number": b'{"namespace":5}',
    "namespace with blanks": b'{"namespace":"a b"}',
    "blend is text": b'{"blend":"all"}',
    "level": b'{"explain_level":"loud"}',
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_requests_are_refused_by_name(call, name):
    answer = call("POST", "/v1/recommendations", raw=HOSTILE[name])

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert answer.json()["correlation_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE engine_items;--", "{{7*7}}", "<script>alert(1)</script>", "%s%n", "../../etc"]
)
def test_sql_and_template_text_is_only_text(call, text):
    assert (
        call("POST", "/v1/items:upsert", {"items": [{"item_id": "p", "description": text, "tags": [text]}]}).status_code
        == 202
    )
    answer = call("POST", "/v1/recommendations", {"constraints": {"include_tags_any": [text]}})

    assert [item["item_id"] for item in answer.json()["items"]] == ["p"]
    assert call("GET", "/v1/items").json()["items"][0]["description"] == text


def test_a_body_of_ten_megabytes_is_refused(call):
    answer = call("POST", "/v1/events:batch", raw=b'{"namespace":"' + b"a" * 10_000_000 + b'"}')

    assert code(answer) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("path", "name", "most"), [("/v1/items:upsert", "items", 500), ("/v1/events:batch", "events", 1000)]
)
def test_too_many_elements_are_refused(call, path, name, most):
    answer = call("POST", path, {name: [{}] * (most + 1)})

    assert code(answer) == (413, f"too_many_{name}")
    assert answer.json()["details"]["max"] == most


def test_openapi_lists_every_route(call):
    document = call("GET", "/openapi.json", org=None).json()

    assert document["openapi"].startswith("3.1")
    assert {"/v1/recommendations", "/v1/items/{item_id}/similar", "/v1/users:forget"} <= set(document["paths"])
    body = document["paths"]["/v1/items:upsert"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["items"]["items"]["required"] == ["item_id"]


def test_no_route_answers_an_empty_object_with_a_server_error(call):
    for path, verbs in call("GET", "/openapi.json", org=None).json()["paths"].items():
        for verb in verbs:
            answer = call(verb.upper(), path.replace("{", "").replace("}", ""), {})
            assert answer.status_code < 500, (verb, path, answer.text)


def test_metrics_count_requests(call):
    call("POST", "/v1/recommendations", {})

    text = call("GET", "/metrics", org=None).text

    assert 'http_requests_total{method="POST",route="/v1/recommendations",status="200"}' in text
    assert "http_request_duration_seconds_bucket" in text


@pytest.fixture
def guarded(tmp_path):
    def digest(key):
        return hashlib.sha256(key.encode()).hexdigest()

    keys = api_keys_from(
        f"{digest('old')}:admin:*,{digest('new')}:admin:*,{digest('feed')}:ingest:{ORG},{digest('web')}:serve:{ORG}"
    )
    app, started = start(ServerSettings(f"sqlite:///{tmp_path}/e.db", keys, rate_per_minute=60, rate_burst=8))

    def send(path, body, key=None, org=ORG, **headers):
        headers = {"X-Org-ID": org, **({"X-API-Key": key} if key else {}), **headers}
        return requests.post(f"http://127.0.0.1:{started.port}{path}", json=body, headers=headers, timeout=20)

    yield send
    started.shutdown()
    app.extensions["recsys_server"].tenants.close()
    started.server_close()


def test_keys_have_roles_and_organisations(guarded):
    items, ask = ("/v1/items:upsert", {"namespace": "n"}), ("/v1/recommendations", {"namespace": "n"})

    assert code(guarded(*items)) == (401, "unauthorized")
    assert code(guarded(*items, key="wrong")) == (401, "unauthorized")
    assert guarded(*items, key="feed").status_code == 202
    assert code(guarded(*ask, key="feed")) == (403, "forbidden")
    assert guarded(*ask, key="web").status_code == 200
    assert code(guarded(*items, key="web")) == (403, "forbidden")
    assert code(guarded(*ask, key="web", org=str(uuid4()))) == (403, "forbidden")
    assert guarded(*items, key="old").status_code == guarded(*items, key="new").status_code == 202
    assert guarded(*items, Authorization="Bearer new").status_code == 202


def test_the_rate_limit_says_when_to_come_back(guarded):
    answers = [guarded("/v1/recommendations", {}, key="web") for _ in range(10)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].json()["error"] == "rate_limited"
    assert int(refused[0].headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({}, "RECSYS_DATABASE_URL"),
        ({"RECSYS_DATABASE_URL": "sqlite:///x", "RECSYS_API_KEYS": "secret:admin:*"}, "RECSYS_API_KEYS"),
        ({"RECSYS_DATABASE_URL": "sqlite:///x", "RECSYS_RATE_LIMIT_RPM": "many"}, "RECSYS_RATE_LIMIT_RPM"),
    ],
)
def test_bad_settings_stop_the_start_and_name_the_variable(env, name):
    with pytest.raises(ValueError, match=name):
        settings_from_env(env)
