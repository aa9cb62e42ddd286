"""Part 0: where our server says something of its own, it wins over the base API."""

import hashlib
from typing import Any
from uuid import uuid4

import pytest

from recsys_engine.http import ServerSettings
from recsys_engine.http.settings import api_keys_from
from tests.contract.conformance.conftest import ORG, Client, code, purchases, shelf

LIST = "/v1/recommendations"


@pytest.fixture
def shop(call: Client) -> Client:
    call.items(*shelf())
    call.events(*purchases())
    return call


@pytest.mark.contract("0.1")
def test_every_list_carries_its_request_id_and_ranks(shop: Client) -> None:
    shop.post("/v1/bandit/policies:upsert", {"policies": [{"policy_id": "a", "active": True}]})
    asked: dict[str, dict[str, Any]] = {
        LIST: {"k": 3},
        "/v1/rerank": {"items": [{"item_id": "p1"}, {"item_id": "p2"}]},
        "/v1/bandit/recommendations": {"surface": "home", "k": 3},
    }
    for path, body in asked.items():
        answer = shop("POST", path, body)
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
        ranks = [item["rank"] for item in answer.json()["items"]]
        assert ranks == list(range(1, len(ranks) + 1))
        assert ranks

    neighbours = shop("GET", "/v1/items/p1/similar", headers={"X-Request-Id": "mine-1"})
    assert neighbours.headers["X-Request-Id"] == "mine-1"
    assert neighbours.json()[0]["rank"] == 1
    stored = shop.get("/v1/audit/decisions", request_id=answer.json()["request_id"])["decisions"]
    assert len(stored) == 1


@pytest.mark.contract("0.2")
def test_context_steers_and_the_basket_is_never_offered(shop: Client) -> None:
    aliased = shop.post(LIST, {"surface": "cart"})["trace"]["extras"]["surface"]
    nested = shop.post(LIST, {"context": {"surface": "cart"}})["trace"]["extras"]["surface"]
    beside = shop.list_(context={"item_id": "p0", "cart_item_ids": ["p1", "p2"], "session_item_ids": ["p3"]}, k=20)

    assert aliased == nested == "cart"
    assert not {"p0", "p1", "p2"} & set(beside)
    assert "p3" in beside
    explained = shop.post(LIST, {"explain_level": "full", "context": {"cart_item_ids": ["p1"]}})
    assert "p1" in explained["items"][0]["explain"]["anchors"]


@pytest.mark.contract("0.3")
def test_limits_bind_pins_boosts_and_fill(shop: Client) -> None:
    rule = {"surface": "home", "name": "r", "action": "PIN", "target_type": "ITEM"}
    shop.post("/v1/admin/rules", {**rule, "item_ids": ["p11", "p9"]}, 201)
    shop.post("/v1/admin/rules", {**rule, "action": "BOOST", "boost_value": 9, "item_ids": ["p7"]}, 201)
    shop.post("/v1/admin/rules", {**rule, "action": "BLOCK", "item_ids": ["p9"]}, 201)
    home = {"context": {"surface": "home"}, "k": 20}

    assert shop.list_(**home)[0] == "p11"
    assert "p9" not in shop.list_(**home)
    assert set(shop.list_(**home, constraints={"price_between": [None, 6]})) == {f"p{n}" for n in range(7)}
    assert set(shop.list_(**home, constraints={"price_between": [10, None]})) == {"p10", "p11"}
    kept = shop.list_(**home, constraints={"exclude_tags_any": ["brand:b2", "CATEGORY:C1"]})
    assert set(kept) == {"p0", "p4", "p6", "p10"}
    shop.items({"item_id": "p11", "available": False})
    assert "p11" not in shop.list_(**home)


@pytest.mark.contract("0.4")
def test_later_settings_win_in_the_documented_order(shop: Client) -> None:
    def per_brand(**body: Any) -> int:
        return len(shop.list_(context={"surface": "home"}, user_id="u0", k=20, **body)) // 3

    def configure(**config: Any) -> None:
        shop.post("/v1/admin/recommendation/config", {"config": config})

    assert per_brand() == 4
    configure(brand_cap=3)
    assert per_brand() == 3
    configure(brand_cap=3, surface_profiles={"home": {"brand_cap": 2}})
    assert per_brand() == 2
    shop.post("/v1/segment-profiles:upsert", {"profiles": [{"profile_id": "one", "brand_cap": 1}]})
    shop.post(
        "/v1/segments:upsert",
        {"segment": {"segment_id": "s", "name": "S", "profile_id": "one", "active": True}},
    )
    assert per_brand() == 1
    shop.post("/v1/bandit/policies:upsert", {"policies": [{"policy_id": "a", "active": True, "brand_cap": 3}]})
    asked = {"surface": "home", "user_id": "u0", "k": 20}
    assert len(shop.list_("/v1/bandit/recommendations", **asked)) == 9
    assert len(shop.list_("/v1/bandit/recommendations", **asked, overrides={"brand_cap": 2})) == 6


@pytest.mark.contract("0.4")
@pytest.mark.parametrize(
    ("knob", "good", "bad"),
    [
        ("popularity_halflife_days", 4.5, 0),
        ("covis_window_days", 1.5, -1),
        ("popularity_fanout", 300, 0),
        ("mmr_lambda", 0.25, 1.01),
        ("brand_cap", 0, -1),
        ("category_cap", 200, 201),
        ("purchased_window_days", 0.5, 5000),
        ("profile_window_days", 30.5, 0),
        ("profile_boost", 0.7, -0.1),
        ("profile_top_n", 64, 1001),
        ("profile_starter_blend_weight", 1, 1.5),
        ("blend_alpha", 0.3, -1),
    ],
)
def test_a_knob_in_range_is_taken_and_one_out_of_range_is_named(
    call: Client, knob: str, good: float, bad: float
) -> None:
    assert call("POST", LIST, {"overrides": {knob: good}}).status_code == 200
    refused = call("POST", LIST, {"overrides": {knob: bad}})
    assert code(refused) == (400, "invalid_override")
    assert refused.json()["details"]["field"] == f"overrides.{knob}"


@pytest.mark.contract("0.5")
def test_an_explicit_blend_scores_exactly_by_its_weights(shop: Client) -> None:
    plain = shop.post(LIST, {})
    blended = shop.post(
        LIST, {"user_id": "u0", "explain_level": "full", "blend": {"pop": 0.5, "cooc": 0.3, "als": 0.2}}
    )
    popular = shop.post(LIST, {"blend": {"pop": 2.0}, "k": 1})["items"][0]

    name, _, digest = plain["model_version"].partition("@")
    assert name
    assert digest
    assert blended["model_version"].startswith("blend_v1@")
    for item in blended["items"]:
        parts = {name: part["contribution"] for name, part in item["explain"]["contributions"].items()}
        assert set(parts) <= {"recent_popularity", "co_visitation_raw", "embedding_similarity"}
        assert sum(parts.values()) == pytest.approx(item["score"], abs=1e-9)
        assert parts.get("recent_popularity", 0) <= 0.5
    assert (popular["item_id"], popular["score"]) == ("p0", 2.0)
    shop.post("/v1/admin/recommendation/config", {"config": {"brand_cap": 2}})
    assert shop.post(LIST, {})["model_version"] != plain["model_version"]


@pytest.mark.contract("0.6")
def test_an_upsert_keeps_clears_and_defaults(call: Client) -> None:
    vector = [1.0] + [0.0] * 383
    call.items({"item_id": "a", "price": 3.5, "tags": ["x"], "brand": "B", "props": {"t": 1}, "embedding": vector})
    call.items({"item_id": "b", "embedding": vector, "tags": ["y"]}, {"item_id": "c", "tags": ["z"]})
    call.items({"item_id": "a", "description": "new"})
    kept = call.get("/v1/items", item_id="a")["items"][0]
    call.items({"item_id": "a", "price": None, "brand": None})
    cleared = call.get("/v1/items", item_id="a")["items"][0]

    assert (kept["available"], kept["price"], kept["tags"], kept["props"], kept["brand"], kept["description"]) == (
        True,
        3.5,
        ["x"],
        {"t": 1},
        "B",
        "new",
    )
    assert cleared["price"] is None
    assert "brand" not in cleared
    near = call.list_(context={"item_id": "a"}, blend={"pop": 0, "cooc": 0, "als": 1}, k=1)
    assert near == ["b"], "the vector outlived an upsert without one"


@pytest.mark.contract("0.7")
def test_every_event_gets_its_own_verdict(call: Client) -> None:
    good = {"user_id": "u", "item_id": "p", "type": 0, "source_event_id": "one"}
    call.events(good)
    answer = call.events(
        good,
        {**good, "item_id": "other"},
        {"user_id": "u", "item_id": "p", "type": 0},
        {"user_id": "u", "type": 0, "ts": "2026-03-01T12:06:00Z"},
        {"user_id": "u", "type": 0, "ts": "1999-12-31T23:59:59Z"},
        {"user_id": "u", "type": 0, "ts": "2026-03-01T12:04:00Z", "source_event_id": "soon"},
        {"user_id": "", "type": 0, "source_event_id": "nobody"},
    )

    assert (answer["status"], answer["accepted"], answer["duplicates"]) == ("accepted", 2, 1)
    assert [(one["index"], one["code"]) for one in answer["rejected"]] == [
        (1, "id_conflict"),
        (3, "invalid_timestamp"),
        (4, "invalid_timestamp"),
        (6, "invalid_user_id"),
    ]
    assert answer["rejected"][0]["source_event_id"] == "one"
    assert answer["rejected"][3]["path"] == "user_id"
    rows = {row["source_event_id"]: row for row in call.get("/v1/events")["items"]}
    assert rows["one"]["value"] == 1
    assert rows["soon"]["ts"] == "2026-03-01T12:00:00Z", "a little ahead is now"
    nothing = call("POST", "/v1/events:batch", {"events": [{"user_id": "u"}]})
    assert nothing.status_code == 400
    assert nothing.json()["details"]["index"] == 0


@pytest.mark.contract("0.8")
@pytest.mark.parametrize(
    ("path", "body", "status", "limit"),
    [
        ("/v1/items:upsert", {"items": [{"item_id": "p"}] * 501}, 413, 500),
        ("/v1/users:upsert", {"users": [{"user_id": "p"}] * 1001}, 413, 1000),
        ("/v1/events:batch", {"events": [{}] * 1001}, 413, 1000),
        (LIST, {"k": 201}, 400, 200),
        (LIST, {"k": 0}, 400, 200),
        (LIST, {"k": -1}, 400, 200),
    ],
)
def test_a_limit_is_refused_with_its_number(
    call: Client, path: str, body: dict[str, Any], status: int, limit: int
) -> None:
    answer = call("POST", path, body)

    assert answer.status_code == status
    assert answer.json()["details"]["max"] == limit


@pytest.mark.contract("0.8")
@pytest.mark.parametrize(
    "event",
    [
        {"user_id": "u" * 201, "type": 0},
        {"user_id": "two words", "type": 0},
        {"user_id": "u\u200bu", "type": 0},
        {"user_id": "u", "type": 0, "item_id": "i" * 201},
        {"user_id": "u", "type": 0, "value": 1_000_001},
        {"user_id": "u", "type": 0, "value": 10**350},
        {"user_id": "u", "type": 0, "source_event_id": "s" * 201},
    ],
    ids=range(7),
)
def test_values_and_ids_out_of_bounds_are_refused(call: Client, event: dict[str, Any]) -> None:
    assert call("POST", "/v1/events:batch", {"events": [event]}).status_code == 400


@pytest.mark.contract("0.8")
def test_a_body_over_the_limit_is_refused_before_it_is_read(call: Client) -> None:
    answer = call("POST", "/v1/items:upsert", raw=b'{"namespace":"' + b"a" * 5_000_000 + b'"}')

    assert code(answer) == (413, "body_too_large")
    assert answer.json()["details"]["max"] == 5_000_000


@pytest.mark.contract("0.9")
def test_an_empty_delete_needs_to_be_meant(shop: Client) -> None:
    for kind in ("items", "users", "events"):
        for body in ({}, {"item_id": "", "user_id": ""}):
            assert shop("POST", f"/v1/{kind}:delete", body).status_code == 400
    assert shop.get("/v1/items")["total"] == 12

    assert shop.post("/v1/items:delete", {"confirm_all": True})["deleted_count"] == 12
    assert shop.get("/v1/items")["total"] == 0


@pytest.mark.contract("0.9")
def test_forgetting_counts_what_went_and_takes_it_out_of_every_list(shop: Client) -> None:
    before = shop.post(LIST, {"explain_level": "full", "k": 12})["items"]
    shop.post("/v1/users:upsert", {"users": [{"user_id": "gone", "traits": {"a": 1}}]}, 202)
    shop.events(*[{"user_id": "gone", "item_id": "p11", "type": 3, "source_event_id": f"g{n}"} for n in range(30)])
    shop.post(LIST, {"user_id": "gone"})
    shop.post("/v1/bandit/policies:upsert", {"policies": [{"policy_id": "a", "active": True}]})
    shop.post("/v1/bandit/decide", {"surface": "home", "user_id": "gone", "context": {}})
    assert shop.list_(k=1) == ["p11"]

    counts = shop.post("/v1/users:forget", {"user_ids": ["gone", "nobody"]})

    assert counts == {"users": 1, "events": 30, "decisions": 1, "bandit_contexts": 1}
    assert shop.get("/v1/events", user_id="gone")["total"] == 0
    assert shop.post(LIST, {"explain_level": "full", "k": 12})["items"] == before


@pytest.mark.contract("0.10")
def test_pages_are_stable_and_walk_by_cursor(call: Client) -> None:
    call.events(*purchases(7, ts="2026-02-01T00:00:00Z"))
    walked, cursor = [], None
    while True:
        page = call.get("/v1/events", limit=2, **({"cursor": cursor} if cursor else {}))
        walked += [row["source_event_id"] for row in page["items"]]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
    by_offset = [call.get("/v1/events", limit=1, offset=place)["items"][0]["source_event_id"] for place in range(7)]

    assert walked == by_offset
    assert sorted(walked) == [f"e{n}" for n in range(7)]
    assert code(call("GET", "/v1/events", query={"cursor": "nonsense"}))[0] == 400
    assert isinstance(page["items"][0]["meta"], dict)


@pytest.mark.contract("0.11")
@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("PUT", "/v1/admin/rules/nobody", {"surface": "s", "name": "n", "action": "BLOCK", "target_type": "ITEM",
                                           "item_ids": ["p"]}, (404, "rule_not_found")),
        ("POST", "/v1/admin/manual_overrides/nobody/cancel", {}, (404, "override_not_found")),
        ("GET", "/v1/audit/decisions/nobody", None, (404, "decision_not_found")),
        ("POST", "/v1/bandit/decide", {"surface": "home", "context": {}}, (404, "policy_not_found")),
        ("POST", "/v1/bandit/reward", {"decision_id": "d", "reward": 1, "source_event_id": "s"},
         (404, "decision_not_found")),
        ("POST", "/v1/admin/manual_overrides", {"action": "boost"}, (400, "invalid_json_type")),
        ("POST", "/v1/admin/manual_overrides", {"item_id": "p", "action": "boost", "boost_value": -1},
         (400, "invalid_json_type")),
    ],
)  # fmt: skip
def test_a_client_s_mistake_is_named_and_never_a_server_error(
    call: Client, method: str, path: str, body: Any, expected: tuple[int, str]
) -> None:
    assert code(call(method, path, body)) == expected


@pytest.mark.contract("0.11")
def test_an_empty_body_is_refused_on_every_writing_route(call: Client) -> None:
    document = call("GET", "/openapi.json").json()
    for path, verbs in document["paths"].items():
        for verb in verbs.keys() & {"post", "put"}:
            if not path.endswith("/cancel"):
                answer = call(verb.upper(), path.replace("{", "").replace("}", ""), raw=b"")
                assert code(answer) == (400, "invalid_json"), path


@pytest.mark.contract("0.12")
def test_bandit_decisions_are_rewarded_once_with_a_fraction(call: Client) -> None:
    call.post("/v1/bandit/policies:upsert", {"policies": [{"policy_id": "a", "active": True}]})
    choice = call.post("/v1/bandit/decide", {"surface": "home", "context": {"device": "phone"}, "user_id": "u"})
    again = call.post("/v1/bandit/decide", {"surface": "home", "context": {"device": "phone"}, "user_id": "u"})
    reward = {"decision_id": choice["decision_id"], "reward": 0.5, "source_event_id": "r1"}

    assert choice["propensity"] == 1.0
    assert choice["variant"] == again["variant"], "the hold-out is sticky"
    assert call.post("/v1/bandit/reward", reward)["duplicate"] is False
    assert call.post("/v1/bandit/reward", reward)["duplicate"] is True
    assert code(call("POST", "/v1/bandit/reward", {**reward, "reward": 1})) == (409, "id_conflict")
    assert code(call("POST", "/v1/bandit/reward", {**reward, "reward": 2, "source_event_id": "r2"}))[0] == 400


@pytest.mark.contract("0.13")
def test_a_full_explanation_adds_up_and_a_missing_item_is_explained(shop: Client) -> None:
    rule = {"surface": "default", "name": "r", "action": "BOOST", "target_type": "ITEM", "item_ids": ["p5"]}
    shop.post("/v1/admin/rules", {**rule, "boost_value": 1.5}, 201)
    shop.post("/v1/admin/rules", {**rule, "action": "BLOCK", "item_ids": ["p6"]}, 201)
    answer = shop.post(LIST, {"user_id": "u0", "k": 12, "explain_level": "full"})

    for item in answer["items"]:
        told = item["explain"]
        total = sum(part["contribution"] for part in told["contributions"].values())
        assert total * told["multiplier"] + told["added"] == pytest.approx(item["score"], abs=1e-9)
        assert {"sources", "how", "propensity", "history", "mmr", "caps"} <= set(told)
    asked = {"user_id": "u0", "k": 3, "constraints": {"price_between": [None, 8]}}
    reasons = {
        item: shop.post("/v1/explain/missing", {**asked, "item_id": item}) for item in ("p0", "p6", "p9", "ghost")
    }
    assert (reasons["p0"]["stage"], reasons["p0"]["rank"]) == ("served", 2), "behind the boosted one"
    assert reasons["p6"]["stage"] == "rules"
    assert (reasons["p9"]["stage"], reasons["p9"]["reason"]) == ("filters", "price_above_max")
    assert (reasons["ghost"]["stage"], reasons["ghost"]["reason"]) == ("catalog", "unknown_item")


@pytest.mark.contract("0.14")
def test_an_accepted_event_is_in_the_very_next_list(shop: Client) -> None:
    assert shop.list_(user_id="new", k=1) == ["p0"]

    shop.events(*[{"user_id": "new", "item_id": "p8", "type": 3} for _ in range(2)])

    assert shop.list_(user_id="new", k=1) == ["p8"]


@pytest.mark.contract("0.15")
def test_the_operations_doors_need_no_tenant(shop: Client) -> None:
    shop.org = None
    for path in ("/health", "/readyz", "/version", "/metrics", "/openapi.json"):
        assert shop("GET", path).status_code == 200
    document = shop("GET", "/openapi.json").json()
    events = document["paths"]["/v1/events:batch"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert events["properties"]["events"]["maxItems"] == 1000
    assert shop("GET", "/readyz").json()["status"] == "ok"


@pytest.mark.contract("0.15")
def test_readiness_names_the_part_that_fails(start: Any, session: Any, tmp_path: Any) -> None:
    broken = Client(start(ServerSettings(f"sqlite:///{tmp_path}/no/such/folder/e.db", rate_per_minute=0)), session)

    answer = broken("GET", "/readyz")

    assert answer.status_code == 503
    assert answer.json()["failing"] == ["database"]
    assert broken("GET", "/health").status_code == 200
    later = broken("POST", LIST, {})
    assert (*code(later), later.headers["Retry-After"]) == (503, "service_unavailable", "1")


@pytest.mark.contract("0.16")
@pytest.mark.ticket("RS-070")
def test_keys_are_hashed_have_roles_and_overlap_for_a_rotation(start: Any, session: Any, tmp_path: Any) -> None:
    def entry(key: str, rest: str) -> str:
        return f"{hashlib.sha256(key.encode()).hexdigest()}:{rest}"

    keys = api_keys_from(
        ",".join(
            [
                entry("old", f"serve:{ORG}"),
                entry("new", f"serve:{ORG}"),
                entry("feed", f"ingest:{ORG}"),
                entry("root", "admin:*"),
            ]
        )
    )
    guarded = Client(start(ServerSettings(f"sqlite:///{tmp_path}/e.db", keys, rate_per_minute=0)), session)
    ask, feed, rule = (("POST", LIST), ("POST", "/v1/items:upsert"), ("GET", "/v1/admin/rules"))

    def status(key: str, call: tuple[str, str], org: str = ORG) -> int:
        guarded.org = org
        return guarded(*call, headers={"X-API-Key": key}).status_code

    assert {key: [status(key, call) for call in (ask, feed, rule)] for key in ("old", "new", "feed", "root")} == {
        "old": [200, 403, 403],
        "new": [200, 403, 403],
        "feed": [403, 202, 403],
        "root": [200, 202, 200],
    }
    assert status("old", ask, str(uuid4())) == 403
    assert status("root", ask, str(uuid4())) == 200
    guarded.org = ORG
    assert guarded("POST", LIST, headers={"Authorization": "Bearer new"}).status_code == 200
    assert not any("old" in repr(key) for key in keys), "the server never holds the key itself"
