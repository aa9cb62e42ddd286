"""What the OpenAPI document says of answers is what a started server answers: every operation, every refusal."""

import copy
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import requests
from werkzeug.serving import make_server

from recsys_engine.contract.limits import MAX_BODY_BYTES
from recsys_engine.http import ServerSettings, create_engine_app
from recsys_engine.http.settings import api_keys_from
from recsys_engine.http.tenants import Tenants
from tests.contract.documented import SURPRISES, Witness, operations, witnessed

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0004"
FREE_JSON = {
    ("EventRow", "meta"),
    ("ItemRow", "props"),
    ("Readiness", "details"),
    ("Refusal", "details"),
    ("SegmentRule", "rule"),
    ("ServedListInFull", "extras"),
    ("UserRow", "traits"),
}


@contextmanager
def started(settings: ServerSettings) -> Iterator[tuple[str, Witness]]:
    app = create_engine_app(settings, lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))
    witness = witnessed(app)
    server = make_server("127.0.0.1", 0, witness, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}", witness
    finally:
        server.shutdown()
        thread.join()
        app.extensions["recsys_server"].tenants.close()
        server.server_close()


@pytest.fixture
def document(witness):
    return witness.document


def tenants_verbs(document):
    """Operations of a tenant: those that need an organisation."""
    return [(method, path) for method, path in operations(document) if path.startswith("/v1/")]


def sent(session, base, operation, body=None, *, path=None, **more):
    """One call of an operation; braces are no part of an id."""
    method, template = operation
    url = base + (path or template.replace("{", "").replace("}", ""))
    data = None if method == "get" else more.pop("raw", json.dumps({"namespace": "n", **(body or {})}))
    query = {"namespace": "n", **(body or {})} if method == "get" else None
    headers = {"X-Org-ID": ORG, **more.pop("headers", {})}
    return session.request(method.upper(), url, data=data, params=query, headers=headers, timeout=20)


def refused(answer):
    return answer.status_code, answer.json()["error"]


def test_every_answer_has_a_schema_and_only_free_json_is_open(document):
    bare, open_objects = [], set()
    for method, path in operations(document):
        for status, answer in document["paths"][path][method]["responses"].items():
            found = answer
            if "$ref" in answer:
                found = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
            bare += [(method, path, status) for media in found["content"].values() if not media["schema"]]
    for name, schema in document["components"]["schemas"].items():
        assert schema["additionalProperties"] is False, name
        open_objects |= {
            (name, field) for field, one in schema["properties"].items() if one.get("additionalProperties") is True
        }

    assert bare == []
    assert open_objects == FREE_JSON


def test_every_operation_refuses_a_stranger_and_a_key_of_another_role_as_documented(database_url):
    keys = ",".join(f"{hashlib.sha256(key.encode()).hexdigest()}:{key}:*" for key in ("ingest", "serve"))
    with (
        requests.Session() as session,
        started(ServerSettings(database_url, api_keys_from(keys), rate_per_minute=0)) as (base, witness),
    ):
        for operation in tenants_verbs(witness.document):
            role = witness.document["paths"][operation[1]][operation[0]]["tags"][0]
            other = {"X-API-Key": "serve" if role == "ingest" else "ingest"}

            assert refused(sent(session, base, operation)) == (401, "unauthorized")
            assert refused(sent(session, base, operation, headers=other)) == (403, "forbidden")
            assert refused(sent(session, base, operation, headers={"X-Org-ID": "acme"})) == (400, "invalid_org_id")


def test_every_operation_says_that_a_caller_is_too_quick_or_a_body_too_large_as_documented(database_url):
    with (
        requests.Session() as session,
        started(ServerSettings(database_url, rate_per_minute=1, rate_burst=1)) as (base, witness),
    ):
        for operation in tenants_verbs(witness.document):
            sent(session, base, operation, headers={"X-API-Key": "a"})
            assert refused(sent(session, base, operation, headers={"X-API-Key": "a"})) == (429, "rate_limited")
            if operation[0] != "get":
                large = {"X-API-Key": " ".join(operation)}  # a caller who has not asked yet
                answer = sent(session, base, operation, raw=b" " * (MAX_BODY_BYTES + 1), headers=large)
                assert refused(answer) == (413, "body_too_large")


def test_an_engine_that_is_away_or_broken_is_documented(database_url, monkeypatch, tmp_path):
    nowhere = ServerSettings(f"sqlite:///{tmp_path}/no/such/folder/e.db", rate_per_minute=0)
    asked = [("post", "/v1/recommendations"), ("get", "/v1/items"), ("get", "/v1/admin/rules")]
    with requests.Session() as session, started(nowhere) as (base, _):
        for operation in asked:
            assert refused(sent(session, base, operation)) == (503, "service_unavailable")
        assert session.get(f"{base}/readyz", timeout=20).status_code == 503

    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr(Tenants, "engine", broken)
    with requests.Session() as session, started(ServerSettings(database_url, rate_per_minute=0)) as (base, _):
        for operation in asked:
            assert refused(sent(session, base, operation)) == (500, "internal")


RULE = {"surface": "home", "name": "r", "action": "BLOCK", "target_type": "TAG", "target_key": "t"}
TWO_BODIES = [{"user_id": "u", "type": kind, "source_event_id": "e"} for kind in (0, 1)]
SEGMENT = {"segment_id": "s", "name": "s", "profile_id": "p"}
REWARD = {"decision_id": "none", "reward": 1, "source_event_id": "r"}
WHEN = {"created_after": "then"}
REFUSALS = [
    ("post /v1/items:upsert", {"items": [{"item_id": "p"}] * 501}, "too_many_items"),
    ("post /v1/users:upsert", {"users": [{"user_id": "u"}] * 1001}, "too_many_users"),
    ("post /v1/events:batch", {"events": [{"user_id": "u", "type": 0}] * 1001}, "too_many_events"),
    ("post /v1/events:batch", {"events": TWO_BODIES[:1]}, ""),
    ("post /v1/events:batch", {"events": TWO_BODIES[1:]}, "id_conflict"),
    *[(f"get /v1/{kind}", WHEN, "constraint_violation") for kind in ("items", "users", "events")],
    ("post /v1/event-types:upsert", {"types": [{"type": 0, "weight": -1}]}, "invalid_weight"),
    ("post /v1/event-types:upsert", {"types": [{"type": 0, "weight": 1, "half_life_days": 0}]}, "invalid_half_life"),
    ("put /v1/admin/rules/{rule_id}", RULE, "rule_not_found"),
    ("post /v1/admin/manual_overrides/{override_id}/cancel", {}, "override_not_found"),
    ("post /v1/segments:upsert", {"segment": {**SEGMENT, "profile_id": "none"}}, "foreign_key_violation"),
    ("post /v1/segment-profiles:upsert", {"profiles": [{"profile_id": "p"}]}, ""),
    ("post /v1/segments:upsert", {"segment": SEGMENT}, ""),
    ("post /v1/segment-profiles:delete", {"ids": ["p"]}, "foreign_key_violation"),
    ("post /v1/admin/recommendation/config", {"config": {}, "expected_version": 7}, "version_conflict"),
    ("post /v1/bandit/decide", {"surface": "home"}, "policy_not_found"),
    ("post /v1/bandit/recommendations", {"surface": "home"}, "policy_not_found"),
    ("post /v1/bandit/reward", REWARD, "decision_not_found"),
    ("post /v1/bandit/policies:upsert", {"policies": [{"policy_id": "a", "active": True}]}, ""),
    ("post /v1/bandit/reward", {**REWARD, "decision_id": "DECISION"}, ""),
    ("post /v1/bandit/reward", {**REWARD, "decision_id": "DECISION", "reward": 0}, "id_conflict"),
    ("get /v1/audit/decisions/{decision_id}", {}, "decision_not_found"),
    ("post /v1/audit/decisions/{decision_id}:replay", {}, "decision_not_found"),
]


def test_every_refusal_of_one_operation_alone_happens_as_documented(server, witness):
    with requests.Session() as session:
        decision = ""
        for name, body, code in REFUSALS:
            given = {**body, "decision_id": decision} if body.get("decision_id") == "DECISION" else body
            answer = sent(session, server, tuple(name.split()), given)
            assert answer.ok if code == "" else answer.json()["error"] == code, (name, answer.text)
            if name == "post /v1/bandit/policies:upsert":
                choice = sent(session, server, ("post", "/v1/bandit/decide"), {"surface": "home"})
                decision = choice.json()["decision_id"]
        for method, path in operations(witness.document):
            if "{" in path:  # only an item's id may hold a slash
                sent(session, server, (method, path), path=re.sub(r"\{\w+\}", "a%2Fb", path))

    happened = {(operation, code) for operation, _, code in witness.seen}
    documented = [
        ((method, path), code)
        for method, path in tenants_verbs(witness.document)
        for answer in witness.document["paths"][path][method]["responses"].values()
        for code in answer.get("content", {}).get("application/json", {}).get("schema", {}).get("properties", {})
        and answer["content"]["application/json"]["schema"]["properties"]["error"]["enum"]
        if code != "body_too_large"
    ]
    assert len(documented) >= 24
    assert [one for one in documented if one not in happened] == []


# -- the witness itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "surprise"),
    [
        ((200, "application/json", {"status": "ok"}), None),
        ((200, "application/json", {"status": "ok", "more": 1}), "'more' was unexpected"),
        ((200, "application/json", {}), "'status' is a required property"),
        ((200, "text/html", {"status": "ok"}), "no schema for text/html"),
        ((418, "application/json", {"status": "ok"}), "no such status"),
    ],
)
def test_the_witness_tells_of_what_is_not_documented(document, answer, surprise):
    status, media, body = answer
    witness = Witness(lambda *_: [], document)

    told = witness.judge(
        "GET", "/health", status, {"content-type": media, "x-request-id": "r"}, json.dumps(body).encode()
    )

    assert bool(told) == bool(surprise)
    assert all(surprise in one for one in told)


def test_the_witness_tells_of_an_answer_without_a_schema_a_header_or_an_operation(document):
    bare = copy.deepcopy(document)
    bare["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = {}
    headers = {"content-type": "application/json", "x-request-id": "r"}

    assert Witness(lambda *_: [], bare).judge("GET", "/health", 200, headers, b"{}") == [
        "no schema for application/json"
    ]
    del headers["x-request-id"]
    witness = Witness(lambda *_: [], document)
    assert witness.judge("GET", "/health", 200, headers, b'{"status":"ok"}') == ["no X-Request-Id"]
    assert witness.judge("GET", "/v1/secret", 200, headers, b'{"a":1}') != []


def test_a_surprise_at_the_server_reaches_the_test(server, witness):
    del witness.document["paths"]["/health"]["get"]["responses"]["200"]

    requests.get(f"{server}/health", timeout=20)

    assert SURPRISES == ['GET /health 200: no such status: b\'{"status":"ok"}\\n\'']
    SURPRISES.clear()
