"""Parts 1, 2 and 13: what holds for every call."""

import hashlib
import json
import re
from typing import Any
from uuid import uuid4

import pytest

from recsys_engine.http import ServerSettings
from recsys_engine.http.settings import api_keys_from
from tests.contract.conformance.conftest import ORG, Client, code, purchases, shelf

LIST = "/v1/recommendations"


@pytest.mark.contract("1.1")
def test_bodies_are_json_whatever_they_are_labelled(call: Client) -> None:
    body = {"Namespace": call.namespace, "ITEMS": [{"Item_ID": "p1", "PRICE": 2, "Props": {"Title": "T"}}], "new": 1}

    sent = call(
        "POST", "/v1/items:upsert", raw=json.dumps(body).encode() + b" trailing", headers={"Content-Type": "x/y"}
    )

    assert (sent.status_code, sent.json()) == (202, {"status": "accepted"})
    (row,) = call.get("/v1/items")["items"]
    assert (row["item_id"], row["price"], row["props"]) == ("p1", 2.0, {"Title": "T"})
    exact = {"events": [{"user_id": "right", "USER_ID": "wrong", "type": 0}]}
    call.post("/v1/events:batch", exact, 202)
    assert call.get("/v1/events")["items"][0]["user_id"] == "right"


@pytest.mark.contract("1.2")
def test_every_answer_is_json(call: Client) -> None:
    for path in ("/v1/event-types", "/v1/items", "/v1/nothing", "/health", "/v1/items/p/similar"):
        answer = call("GET", path)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.content.endswith(b"\n")
        json.loads(answer.content)


@pytest.mark.contract("1.3")
def test_the_tenant_is_checked_everywhere_but_at_the_operations_doors(call: Client) -> None:
    call.org = None
    for method, path in (("GET", "/v1/items"), ("POST", LIST), ("GET", "/v1/nothing"), ("GET", "/nothing")):
        assert code(call(method, path)) == (400, "missing_org_id")
    assert call("OPTIONS", LIST).status_code == 200
    call.org = "acme"
    refused = call("GET", "/v1/items")
    assert code(refused) == (400, "invalid_org_id")
    assert refused.json()["details"]["value"] == "acme"


@pytest.mark.contract("1.4")
def test_namespaces_are_needed_or_default_and_are_apart(call: Client) -> None:
    for path, raw in (
        ("/v1/items:upsert", b'{"items":[]}'),
        ("/v1/events:batch", b"{}"),
        ("/v1/users:forget", b'{"user_ids":["u"]}'),
        ("/v1/items:delete", b'{"item_id":"p"}'),
        ("/v1/bandit/policies:upsert", b'{"policies":[]}'),
    ):
        assert code(call("POST", path, raw=raw)) == (400, "missing_namespace"), path
    for path in ("/v1/items", "/v1/event-types", "/v1/bandit/policies", "/v1/audit/decisions"):
        assert code(call("GET", path, query={"namespace": ""})) == (400, "missing_namespace"), path
    for method, path, raw in (("POST", LIST, b"{}"), ("POST", "/v1/rerank", b'{"items":[{"item_id":"p"}]}')):
        assert call(method, path, raw=raw).status_code == 200
    assert call("GET", "/v1/admin/rules", query={"namespace": ""}).status_code == 200

    call.items({"item_id": "p1"})
    here, other_org = call.get("/v1/items")["total"], Client(call.base, call.session, call.namespace, str(uuid4()))
    assert (here, other_org.get("/v1/items")["total"]) == (1, 0)
    assert call.get("/v1/items", namespace="elsewhere")["total"] == 0


@pytest.fixture
def guarded(start: Any, session: Any, tmp_path: Any) -> Client:
    """A server with one key for one organisation and three calls at once."""
    keys = api_keys_from(f"{hashlib.sha256(b'key').hexdigest()}:serve:{ORG}")
    settings = ServerSettings(f"sqlite:///{tmp_path}/e.db", keys, rate_per_minute=60, rate_burst=3)
    return Client(start(settings), session)


@pytest.mark.contract("1.5")
def test_unknown_keys_and_foreign_keys_are_told_apart(guarded: Client) -> None:
    assert code(guarded("POST", LIST)) == (401, "unauthorized")
    assert code(guarded("POST", LIST, headers={"X-API-Key": "nope"})) == (401, "unauthorized")
    guarded.org = str(uuid4())
    assert code(guarded("POST", LIST, headers={"X-API-Key": "key"})) == (403, "forbidden")


@pytest.mark.contract("1.6")
def test_checks_come_in_their_order(guarded: Client) -> None:
    with_key = {"X-API-Key": "key"}
    for _ in range(5):
        guarded("POST", LIST, headers=with_key)

    assert code(guarded("POST", LIST, headers=with_key)) == (429, "rate_limited")
    assert code(guarded("GET", "/v1/nothing", headers=with_key)) == (429, "rate_limited"), "the route comes last"
    assert code(guarded("POST", LIST)) == (401, "unauthorized"), "the key comes before the rate"
    guarded.org = None
    assert code(guarded("POST", LIST)) == (400, "missing_org_id"), "the organisation comes first"


@pytest.mark.contract("1.7")
def test_a_burst_passes_and_the_next_call_waits(guarded: Client) -> None:
    answers = [guarded("POST", LIST, headers={"X-API-Key": "key"}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 2
    assert answers[3].json()["details"]["retry_after_s"] == int(answers[3].headers["Retry-After"])


@pytest.mark.contract("1.8")
def test_only_named_origins_may_call_from_a_browser(call: Client, start: Any, tmp_path: Any) -> None:
    settings = ServerSettings(f"sqlite:///{tmp_path}/e.db", cors_origins=("https://shop.example", "https://*.test"))
    named = Client(start(settings), call.session)

    def asked(client: Client, origin: str) -> Any:
        return client("OPTIONS", LIST, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}).headers

    assert asked(named, "https://shop.example")["Access-Control-Allow-Origin"] == "https://shop.example"
    assert asked(named, "https://a.test")["Access-Control-Max-Age"] == "300"
    assert "X-API-Key" not in asked(named, "https://a.test")["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in asked(named, "https://evil.example")
    assert "Access-Control-Allow-Origin" not in asked(call, "https://shop.example")


@pytest.mark.contract("1.9")
def test_a_request_id_is_adopted_or_made(call: Client) -> None:
    refused = call("GET", "/v1/nothing", headers={"X-Request-Id": "given-7"})

    assert refused.headers["X-Request-Id"] == refused.json()["correlation_id"] == "given-7"
    made = {call("GET", "/health").headers["X-Request-Id"] for _ in range(2)}
    assert len(made) == 2
    assert "" not in made
    strange = call("GET", "/health", headers={"X-Request-Id": "x" * 500}).headers["X-Request-Id"]
    assert len(strange) < 100


@pytest.mark.contract("1.10")
def test_unknown_paths_and_methods(call: Client) -> None:
    assert code(call("GET", "/v1/nothing")) == (404, "not_found")
    assert code(call("DELETE", LIST)) == (405, "method_not_allowed")
    assert "POST" in call("GET", LIST).headers["Allow"]
    assert code(call("POST", "/V1/recommendations")) == (404, "not_found")
    assert code(call("GET", "/v1/admin/rules/some-id")) == (405, "method_not_allowed")


@pytest.mark.contract("1.11")
def test_the_shape_of_an_error(call: Client) -> None:
    body = call("POST", LIST, {"k": "many"}).json()

    assert set(body) == {"error", "message", "details", "correlation_id", "timestamp"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.?\d*Z", body["timestamp"])
    assert body["details"]["field"] == "k"


RULE = {"surface": "s", "name": "n", "action": "BLOCK", "target_type": "ITEM", "item_ids": ["p"]}
BRIEF = {
    "target_type": "item",
    "target_id": "p",
    "surface": "home",
    "from": "2026-02-01T00:00:00Z",
    "to": "2026-03-01T00:00:00Z",
}
MISTAKES: dict[str, tuple[str, Any, int]] = {
    "embedding_dim_mismatch": ("/v1/items:upsert", {"items": [{"item_id": "p", "embedding": [1, 2]}]}, 400),
    "invalid_timestamp": ("/v1/events:batch", {"events": [{"user_id": "u", "type": 0, "ts": "then"}]}, 400),
    "invalid_json_type": (LIST, {"k": "x"}, 400),
    "missing_fields": ("/v1/bandit/decide", {"context": {}}, 400),
    "empty_items": ("/v1/rerank", {"items": []}, 400),
    "invalid_items": ("/v1/rerank", {"items": [{"item_id": " "}]}, 400),
    "invalid_created_after": (LIST, {"constraints": {"created_after": "then"}}, 400),
    "invalid_rule": ("/v1/admin/rules", {**RULE, "item_ids": []}, 400),
    "invalid_action": ("/v1/admin/rules", {**RULE, "action": "HIDE"}, 400),
    "invalid_target_type": ("/v1/admin/rules", {**RULE, "target_type": "SHOP"}, 400),
    "invalid_expires_at": (
        "/v1/admin/manual_overrides",
        {"item_id": "p", "action": "suppress", "expires_at": "x"},
        400,
    ),
    "empty_profiles": ("/v1/segment-profiles:upsert", {"profiles": []}, 400),
    "missing_profile_id": ("/v1/segment-profiles:upsert", {"profiles": [{}]}, 400),
    "missing_segment_id": ("/v1/segments:upsert", {"segment": {"name": "S", "profile_id": "p"}}, 400),
    "empty_ids": ("/v1/segments:delete", {"ids": []}, 400),
    "missing_config": ("/v1/admin/recommendation/config", {}, 400),
    "invalid_config": ("/v1/admin/recommendation/config", {"config": {"mmr_lambda": 9}}, 400),
    "invalid_from": ("/v1/explain/llm", {**BRIEF, "from": "x"}, 400),
    "invalid_to": ("/v1/explain/llm", {**BRIEF, "to": "x"}, 400),
    "invalid_range": ("/v1/explain/llm", {**BRIEF, "to": BRIEF["from"]}, 400),
    "invalid_request": ("/v1/explain/llm", {**BRIEF, "surface": ""}, 400),
    "invalid_weight": ("/v1/event-types:upsert", {"types": [{"type": 0, "weight": 0}]}, 422),
    "invalid_half_life": ("/v1/event-types:upsert", {"types": [{"type": 0, "weight": 1, "half_life_days": 0}]}, 422),
    "foreign_key_violation": (
        "/v1/segments:upsert",
        {"segment": {"segment_id": "s", "name": "S", "profile_id": "nobody"}},
        422,
    ),
}


@pytest.mark.contract("1.12")
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_the_code_of_the_base_api(call: Client, name: str) -> None:
    path, body, status = MISTAKES[name]

    assert code(call("POST", path, body)) == (status, name)


@pytest.mark.contract("1.12")
def test_mistakes_in_queries_have_their_codes_too(call: Client) -> None:
    assert code(call("GET", "/v1/admin/rules", query={"enabled": "maybe"})) == (400, "invalid_enabled")
    assert code(call("GET", "/v1/admin/manual_overrides", query={"status": "odd"})) == (400, "invalid_status")
    assert code(call("GET", "/v1/audit/decisions", query={"from": "x"})) == (400, "invalid_from")
    assert code(call("POST", LIST, raw=b"{")) == (400, "invalid_json")


INDEX: dict[str, tuple[Any, int]] = {
    "POST /v1/items:upsert": ({"items": [{"item_id": "p1"}]}, 202),
    "POST /v1/users:upsert": ({"users": [{"user_id": "u"}]}, 202),
    "POST /v1/events:batch": ({"events": [{"user_id": "u", "type": 0}]}, 202),
    "GET /v1/items": (None, 200),
    "GET /v1/users": (None, 200),
    "GET /v1/events": (None, 200),
    "POST /v1/items:delete": ({"item_id": "p"}, 200),
    "POST /v1/users:delete": ({"user_id": "p"}, 200),
    "POST /v1/events:delete": ({"user_id": "p"}, 200),
    "POST /v1/users:forget": ({"user_ids": ["p"]}, 200),
    "POST /v1/recommendations": ({}, 200),
    "POST /v1/rerank": ({"items": [{"item_id": "p1"}]}, 200),
    "GET /v1/items/p1/similar": (None, 200),
    "GET /v1/event-types": (None, 200),
    "POST /v1/event-types:upsert": ({"types": [{"type": 0, "weight": 1}]}, 202),
    "POST /v1/bandit/policies:upsert": ({"policies": [{"policy_id": "a", "active": True}]}, 200),
    "GET /v1/bandit/policies": (None, 200),
    "POST /v1/bandit/decide": ({"surface": "home"}, 200),
    "POST /v1/bandit/recommendations": ({"surface": "home"}, 200),
    "POST /v1/segment-profiles:upsert": ({"profiles": [{"profile_id": "p"}]}, 200),
    "GET /v1/segment-profiles": (None, 200),
    "POST /v1/segments:upsert": ({"segment": {"segment_id": "s", "name": "S", "profile_id": "p"}}, 200),
    "GET /v1/segments": (None, 200),
    "POST /v1/segments:dry-run": ({"user_id": "u"}, 200),
    "POST /v1/segments:delete": ({"ids": ["s"]}, 200),
    "POST /v1/segment-profiles:delete": ({"ids": ["p"]}, 200),
    "POST /v1/admin/rules": (RULE, 201),
    "GET /v1/admin/rules": (None, 200),
    "POST /v1/admin/rules/dry-run": ({"surface": "s", "items": ["p"]}, 200),
    "POST /v1/admin/manual_overrides": ({"item_id": "p", "action": "suppress"}, 201),
    "GET /v1/admin/manual_overrides": (None, 200),
    "GET /v1/admin/recommendation/config": (None, 200),
    "POST /v1/admin/recommendation/config": ({"config": {}}, 200),
    "GET /v1/admin/recommendation/presets": (None, 200),
    "GET /v1/audit/decisions": (None, 200),
    "POST /v1/audit/search": ({}, 200),
    "POST /v1/explain/llm": (BRIEF, 200),
    "POST /v1/explain/missing": ({"item_id": "p"}, 200),
}


@pytest.mark.contract("2.1")
def test_every_route_of_the_index_answers_with_its_success_code(call: Client) -> None:
    wrong = {}
    for route, (body, status) in INDEX.items():
        answer = call(*route.split(), body)
        if answer.status_code != status:
            wrong[route] = answer.text
    rule_id = call.get("/v1/admin/rules")["rules"][0]["rule_id"]
    override_id = call.get("/v1/admin/manual_overrides")[0]["override_id"]
    decision_id = call.get("/v1/audit/decisions")["decisions"][0]["decision_id"]
    choice = call.post("/v1/bandit/decide", {"surface": "home"})["decision_id"]

    assert wrong == {}
    assert call("PUT", f"/v1/admin/rules/{rule_id}", RULE).status_code == 200
    assert call("POST", f"/v1/admin/manual_overrides/{override_id}/cancel", raw=b"").status_code == 404, (
        "no body: the default namespace"
    )
    assert call("POST", f"/v1/admin/manual_overrides/{override_id}/cancel").status_code == 200
    assert call("GET", f"/v1/audit/decisions/{decision_id}").status_code == 200
    reward = {"decision_id": choice, "reward": True, "source_event_id": "r"}
    assert call.post("/v1/bandit/reward", reward) == {"status": "accepted", "duplicate": False}


@pytest.mark.contract("13.1")
def test_health_is_the_process_and_readiness_its_parts(call: Client) -> None:
    assert call("GET", "/health").json() == {"status": "ok"}
    ready = call("GET", "/readyz").json()
    assert (ready["status"], ready["failing"]) == ("ok", [])


@pytest.mark.contract("13.2")
def test_version_names_commit_time_and_model(call: Client) -> None:
    assert call("GET", "/version").json() == {
        "git_commit": "abc123",
        "build_time": "2026-03-01T00:00:00Z",
        "model_version": "hybrid_v1",
    }


@pytest.mark.contract("13.3")
def test_metrics_have_their_contract_names(call: Client) -> None:
    call.items(*shelf())
    call.events(*purchases())
    call.post("/v1/admin/rules", {**RULE, "surface": "home", "item_ids": ["p1"]}, 201)
    call.post(LIST, {"context": {"surface": "home"}, "k": 4, "constraints": {"include_tags_any": ["color:k0"]}})

    text = call("GET", "/metrics").text
    where = f'namespace="{call.namespace}",surface="home"'

    assert f'http_requests_total{{method="POST",route="{LIST}",status="200"}}' in text
    assert f'http_request_duration_seconds_count{{method="POST",route="{LIST}"}}' in text
    assert "http_inflight_requests 1\n" in text
    for line in (
        f"policy_response_items_total{{{where}}} 3",
        f'policy_item_served_total{{item_id="p0",{where}}} 1',
        f"policy_constraint_leak_total{{{where}}} 0",
        f"policy_rule_blocked_items_total{{{where}}} 1",
        f'policy_rule_actions_total{{action="block",{where}}} 1',
        f"policy_include_filter_requests_total{{{where}}} 1",
    ):
        assert line in text
