"""Parts 7–12: bandit, segments, rules, configuration, audit, explain."""

import re
from hashlib import sha256
from typing import Any

import pytest

from tests.contract.conformance.conftest import Client, code, purchases, shelf

LIST = "/v1/recommendations"
POLICIES = "/v1/bandit/policies"
HOME = {"context": {"surface": "home"}, "k": 20}


@pytest.fixture
def shop(call: Client) -> Client:
    call.items(*shelf())
    call.events(*purchases())
    return call


def put_policies(call: Client, *policies: dict[str, Any]) -> None:
    call.post(f"{POLICIES}:upsert", {"policies": list(policies)})


@pytest.mark.contract("7.1")
def test_policies_are_replaced_whole_and_listed_active_first(call: Client) -> None:
    put_policies(call, {"policy_id": "a"}, {"policy_id": "c", "active": True}, {"policy_id": "b", "active": True})
    put_policies(call, {"policy_id": "b", "name": "B", "active": True, "brand_cap": 2, "notes": "n"})
    put_policies(call, {"policy_id": "b", "name": "B", "active": True, "mmr_lambda": 0.5})

    found = call.get(POLICIES)

    assert [policy["policy_id"] for policy in found] == ["b", "c", "a"]
    assert found[0] == {"policy_id": "b", "name": "B", "active": True, "mmr_lambda": 0.5}


@pytest.mark.contract("7.2")
def test_decide_chooses_among_the_active_or_the_named(call: Client) -> None:
    put_policies(call, {"policy_id": "on", "active": True}, {"policy_id": "off"})
    ask = {"surface": "home", "context": {}}

    choice = call.post("/v1/bandit/decide", ask)
    named = call.post("/v1/bandit/decide", {**ask, "candidate_policy_ids": ["off"]})

    assert choice["policy_id"] == "on"
    assert {"decision_id", "policy_id", "algorithm", "surface", "bucket_key", "explore", "propensity"} <= set(choice)
    assert choice["explain"] == {"surface": "home", "bucket": "ctx:", "emp_best": "on"}
    assert named["policy_id"] == "off"
    assert code(call("POST", "/v1/bandit/decide", {**ask, "candidate_policy_ids": ["ghost"]}))[0] == 404
    assert code(call("POST", "/v1/bandit/decide", {**ask, "context": {"n": 1}})) == (400, "invalid_json_type")


@pytest.mark.contract("7.3")
@pytest.mark.parametrize(
    ("context", "key"),
    [
        (None, "ctx:empty"),
        ({}, "ctx:"),
        ({" Device ": " Phone", "country": "GB"}, "ctx:country=gb|device=phone"),
    ],
)
def test_the_bucket_key_is_canonical(call: Client, context: Any, key: str) -> None:
    put_policies(call, {"policy_id": "a", "active": True})

    assert call.post("/v1/bandit/decide", {"surface": "home", "context": context})["bucket_key"] == key


@pytest.mark.contract("7.3")
def test_a_long_bucket_key_is_cut_and_hashed(call: Client) -> None:
    put_policies(call, {"policy_id": "a", "active": True})

    key = call.post("/v1/bandit/decide", {"surface": "home", "context": {"q": "x" * 500}})["bucket_key"]

    assert re.fullmatch(r"ctx:q=x{194}\|h=[0-9a-f]{16}", key)


@pytest.mark.contract("7.4")
def test_rewards_move_the_empirical_best_once_each(call: Client, advance: Any) -> None:
    put_policies(call, {"policy_id": "a", "active": True}, {"policy_id": "b", "active": True})

    def served(policy: str) -> str:
        asked = {"surface": "home", "context": {}, "candidate_policy_ids": [policy]}
        decision: str = call.post("/v1/bandit/decide", asked)["decision_id"]
        return decision

    for number in range(3):
        for policy, reward in (("a", 0), ("b", 1)):
            body = {"decision_id": served(policy), "reward": reward, "source_event_id": f"{policy}{number}"}
            assert call.post("/v1/bandit/reward", body) == {"status": "accepted", "duplicate": False}
            assert call.post("/v1/bandit/reward", body) == {"status": "accepted", "duplicate": True}

    advance(days=1, seconds=1)
    assert call.post("/v1/bandit/decide", {"surface": "home", "context": {}})["explain"]["emp_best"] == "b"


@pytest.mark.contract("7.5")
def test_a_list_by_the_bandit_carries_its_policy(shop: Client) -> None:
    put_policies(shop, {"policy_id": "a", "active": True, "brand_cap": 1})

    answer = shop.post("/v1/bandit/recommendations", {"surface": "home", "k": 20, "context": {"device": "phone"}})

    assert len(answer["items"]) == 3
    assert (answer["chosen_policy_id"], answer["bandit_bucket"], answer["propensity"]) == ("a", "ctx:device=phone", 1)
    assert {"decision_id", "algorithm", "explore", "bandit_explain", "bandit_experiment", "bandit_variant"} <= set(
        answer
    )
    assert "trace" not in answer
    assert code(shop("POST", "/v1/bandit/recommendations", {})) == (400, "missing_fields")


@pytest.mark.contract("7.6")
def test_three_algorithms_answer_to_their_names(call: Client) -> None:
    put_policies(call, {"policy_id": "a", "active": True})
    ask = {"surface": "home", "context": {}}

    used = {
        name: call.post("/v1/bandit/decide", {**ask, "algorithm": name})["algorithm"]
        for name in ("thompson", "ucb1", "epsilon_greedy")
    }

    assert used == {name: name for name in used}
    assert call.post("/v1/bandit/decide", ask)["algorithm"] == "thompson"
    assert code(call("POST", "/v1/bandit/decide", {**ask, "algorithm": "dice"})) == (400, "invalid_algorithm")


def put_segment(call: Client, segment_id: str, *rules: Any, **more: Any) -> None:
    call.post("/v1/segment-profiles:upsert", {"profiles": [{"profile_id": f"of-{segment_id}", "brand_cap": 1}]})
    segment = {
        "segment_id": segment_id,
        "name": more.pop("name", segment_id),
        "profile_id": f"of-{segment_id}",
        "active": True,
        "rules": [{"rule": rule, "enabled": True} for rule in rules],
        **more,
    }
    call.post("/v1/segments:upsert", {"segment": segment})


@pytest.mark.contract("8.1")
def test_profiles_come_and_go_unless_in_use(call: Client) -> None:
    assert call.post("/v1/segment-profiles:upsert", {"profiles": [{"profile_id": "p", "mmr_lambda": 0.5}]}) == {
        "status": "ok"
    }
    call.post("/v1/segment-profiles:upsert", {"profiles": [{"profile_id": "p", "brand_cap": 2}]})
    assert call.get("/v1/segment-profiles") == {
        "namespace": call.namespace,
        "profiles": [{"profile_id": "p", "brand_cap": 2}],
    }
    put_segment(call, "s")

    in_use = call("POST", "/v1/segment-profiles:delete", {"ids": ["of-s"]})

    assert code(in_use) == (422, "foreign_key_violation")
    assert call.post("/v1/segment-profiles:delete", {"ids": ["p"]}) == {"status": "ok"}


@pytest.mark.contract("8.2")
def test_segments_come_and_go(call: Client) -> None:
    put_segment(call, "s", {"exists": "user.id"}, description="d", priority=3)
    (segment,) = call.get("/v1/segments")["segments"]

    assert (segment["segment_id"], segment["priority"], segment["active"], segment["description"]) == (
        "s",
        3,
        True,
        "d",
    )
    assert segment["rules"][0]["rule_id"]
    assert call.post("/v1/segments:delete", {"ids": ["s"]}) == {"status": "ok"}
    assert call.get("/v1/segments")["segments"] == []
    call.post("/v1/segments:upsert", {"segment": {"segment_id": "t", "name": "T", "profile_id": "of-s"}})
    assert call.get("/v1/segments")["segments"][0]["active"] is False


def matched(call: Client, **facts: Any) -> str | None:
    found: str | None = call.post("/v1/segments:dry-run", facts).get("segment_id")
    return found


@pytest.mark.contract("8.3")
def test_the_first_match_by_priority_then_id_wins(call: Client) -> None:
    put_segment(call, "z-any", priority=1)
    put_segment(call, "b", {"eq": ["ctx.page", "sale"]}, priority=5)
    put_segment(call, "a", {"eq": ["ctx.page", "sale"]}, priority=5)
    put_segment(call, "c", {"eq": ["ctx.page", "sale"]}, priority=9, active=False)

    assert matched(call, context={"page": "sale"}) == "a"
    assert matched(call, context={"page": "other"}) == "z-any"
    call.post("/v1/segments:delete", {"ids": ["z-any"]})
    assert matched(call, context={"page": "other"}) is None
    put_segment(call, "fallback", {"exists": "ctx.never"}, name="default", priority=-1)
    assert matched(call, context={"page": "other"}) == "fallback"


@pytest.mark.contract("8.4")
@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"eq": ["user.traits.tier", "gold"]}, True),
        ({"eq": ["user.traits.tier", "GOLD"]}, False),
        ({"neq": ["user.traits.missing", 1]}, True),
        ({"gt": ["user.traits.orders", 3]}, False),
        ({"gte": ["user.traits.orders", 3]}, True),
        ({"lt": ["user.traits.missing", 3]}, False),
        ({"lte": ["user.traits.orders", "3"]}, False),
        ({"in": ["user.traits.tier", ["GOLD"]]}, True),
        ({"contains": ["user.traits.tier", "OL"]}, True),
        ({"contains": ["user.traits.likes", "TEA"]}, True),
        ({"exists": "ctx.page"}, True),
        ({"gte_days_since": ["user.traits.joined", 28]}, True),
        ({"gte_days_since": ["user.traits.joined", 29]}, False),
        ({"not": {"exists": "ctx.page"}}, False),
        ({"any": [{"exists": "ctx.no"}, {"exists": "ctx.page"}]}, True),
        ({"all": [{"exists": "ctx.no"}, {"exists": "ctx.page"}]}, False),
        ({"eq": ["user.id", "u"]}, True),
    ],
    ids=str,
)
def test_expressions(call: Client, rule: Any, holds: bool) -> None:  # noqa: FBT001 - a case of the table
    put_segment(call, "s", rule)
    traits = {"tier": "gold", "orders": 3, "likes": ["tea"], "joined": "2026-02-01T12:00:00Z"}

    assert (matched(call, user_id="u", context={"page": "x"}, traits=traits) == "s") is holds


@pytest.mark.contract("8.4")
@pytest.mark.parametrize(
    "rule",
    [{}, {"eq": ["a"]}, {"like": ["ctx.a", 1]}, {"eq": ["ctx.a", 1], "neq": ["ctx.b", 1]}, {"eq": ["a.b", 1]}],
    ids=str,
)
def test_an_expression_that_means_nothing_is_refused(call: Client, rule: Any) -> None:
    call.post("/v1/segment-profiles:upsert", {"profiles": [{"profile_id": "p"}]})
    segment = {"segment_id": "s", "name": "S", "profile_id": "p", "rules": [{"rule": rule, "enabled": True}]}

    assert code(call("POST", "/v1/segments:upsert", {"segment": segment})) == (400, "invalid_rule")


@pytest.mark.contract("8.5")
def test_the_dry_run_of_a_segment_names_its_rule_and_lists_use_it(shop: Client) -> None:
    shop.post("/v1/users:upsert", {"users": [{"user_id": "vip", "traits": {"tier": "gold"}}]}, 202)
    put_segment(shop, "s", {"eq": ["user.traits.tier", "gold"]})

    told = shop.post("/v1/segments:dry-run", {"user_id": "vip"})
    answer = shop.post(LIST, {"user_id": "vip", "k": 20})

    assert (told["matched"], told["segment_id"], told["profile_id"]) == (True, "s", "of-s")
    assert told["matched_rule_id"] == shop.get("/v1/segments")["segments"][0]["rules"][0]["rule_id"]
    assert shop.post("/v1/segments:dry-run", {"user_id": "other"}) == {"matched": False}
    assert (answer["segment_id"], answer["profile_id"], len(answer["items"])) == ("s", "of-s", 3)


RULES = "/v1/admin/rules"


def a_rule(**more: Any) -> dict[str, Any]:
    return {"surface": "home", "name": "r", "action": "block", "target_type": "item", **more}


@pytest.mark.contract("9.1")
def test_rules_are_made_and_replaced_whole(call: Client) -> None:
    made = call.post(RULES, a_rule(item_ids=["p1"], priority=4, valid_until="2026-04-01T00:00:00Z"), 201)
    answer = call("PUT", f"{RULES}/{made['rule_id']}", a_rule(target_type="TAG", target_key="color:k1"))

    assert (made["action"], made["target_type"], made["enabled"], made["valid_until"]) == (
        "BLOCK", "ITEM", True, "2026-04-01T00:00:00Z",
    )  # fmt: skip
    assert "valid_from" not in made
    assert answer.status_code == 200
    (stored,) = call.get(RULES)["rules"]
    assert (stored["rule_id"], stored["priority"], stored["target_key"]) == (made["rule_id"], 0, "color:k1")
    assert "valid_until" not in stored
    for bad in (
        {"target_type": "TAG"},
        {"action": "PIN", "target_type": "BRAND", "target_key": "b"},
        {"action": "BOOST", "item_ids": ["p"], "boost_value": 0},
        {"item_ids": ["p"], "valid_from": "2026-03-02T00:00:00Z", "valid_until": "2026-03-01T00:00:00Z"},
    ):
        assert code(call("POST", RULES, a_rule(**bad))) == (400, "invalid_rule")


@pytest.mark.contract("9.2")
def test_rules_are_listed_by_priority_and_filtered(call: Client, advance: Any) -> None:
    for name, more in (
        ("low", {"priority": 1}),
        ("high", {"priority": 9, "enabled": False}),
        ("late", {"priority": 5, "valid_from": "2026-03-02T00:00:00Z", "segment_id": "s"}),
    ):
        call.post(RULES, a_rule(name=name, item_ids=["p"], **more), 201)
    call.post(RULES, a_rule(name="pin", action="PIN", item_ids=["p"], surface="cart"), 201)

    def names(**query: Any) -> list[str]:
        return [rule["name"] for rule in call.get(RULES, **query)["rules"]]

    assert names() == ["high", "late", "low", "pin"]
    assert names(surface="cart") == names(action="PIN") == ["pin"]
    assert names(enabled="false") == ["high"]
    assert names(segment_id="s") == ["late"]
    assert names(segment_id="null", surface="home") == ["high", "low"]
    assert names(active_now="true") == ["low", "pin"]
    advance(days=2)
    assert names(active_now="true") == ["late", "low", "pin"]


@pytest.mark.contract("9.3")
def test_the_dry_run_of_rules_tells_without_serving(shop: Client) -> None:
    block = shop.post(RULES, a_rule(target_type="BRAND", target_key="b1"), 201)
    pin = shop.post(RULES, a_rule(action="PIN", item_ids=["p3"]), 201)

    told = shop.post(f"{RULES}/dry-run", {"surface": "home", "items": ["p1", "p2"]})

    assert set(told["rules_evaluated"]) == {block["rule_id"], pin["rule_id"]}
    assert told["rules_matched"] == [
        {"rule_id": block["rule_id"], "action": "BLOCK", "target_type": "BRAND", "item_ids": []}
    ]
    assert told["rule_effects_per_item"]["p1"] == {"blocked": True, "pinned": False, "boost_delta": 0}
    assert told["pinned_items"] == [{"item_id": "p3", "rule_ids": [pin["rule_id"]], "from_candidates": False}]
    assert shop.get("/v1/audit/decisions")["decisions"] == []


@pytest.mark.contract("9.4")
def test_rules_do_what_they_say_on_their_surface(shop: Client) -> None:
    shop.post(RULES, a_rule(target_type="CATEGORY", target_key="c1"), 201)
    shop.post(RULES, a_rule(action="PIN", item_ids=["p10", "p8", "p6", "p4"], max_pins=2), 201)
    shop.post(RULES, a_rule(action="BOOST", item_ids=["p2"], boost_value=100.0), 201)

    home = shop.list_(**HOME)

    assert home[:3] == ["p10", "p8", "p2"]
    assert not {f"p{n}" for n in range(1, 12, 2)} & set(home)
    assert len(shop.list_(k=20)) == 12, "another surface knows nothing of it"


@pytest.mark.contract("9.5")
def test_manual_overrides_live_until_cancelled_or_expired(shop: Client, advance: Any) -> None:
    path = "/v1/admin/manual_overrides"
    made = shop.post(path, {"item_id": "p0", "action": "suppress", "surface": "home", "created_by": "ann"}, 201)
    shop.post(
        path, {"item_id": "p1", "action": "suppress", "surface": "home", "expires_at": "2026-03-01T13:00:00Z"}, 201
    )
    boosted = shop.post(path, {"item_id": "p7", "action": "boost", "surface": "home", "boost_value": 500}, 201)

    assert (made["status"], made["created_by"], boosted["boost_value"]) == ("active", "ann", 500)
    assert {"override_id", "rule_id", "created_at", "namespace"} - set(made) <= {"namespace"}
    shown = shop.list_(**HOME)
    assert shown[0] == "p7"
    assert not {"p0", "p1"} & set(shown)
    advance(hours=2)
    cancelled = shop("POST", f"{path}/{made['override_id']}/cancel", headers={"X-User-Email": "bob@example.org"}).json()

    assert (cancelled["status"], cancelled["cancelled_by"]) == ("cancelled", "bob@example.org")
    assert code(shop("POST", f"{path}/{made['override_id']}/cancel")) == (404, "override_not_found")
    assert {"p0", "p1"} <= set(shop.list_(**HOME))
    by_status = {name: [one["item_id"] for one in shop.get(path, status=name)] for name in ("active", "expired")}
    assert by_status == {"active": ["p7"], "expired": ["p1"]}
    assert [one["item_id"] for one in shop.get(path, include_expired="false", action="suppress")] == ["p0"]


CONFIG = "/v1/admin/recommendation/config"


@pytest.mark.contract("10.1")
def test_configuration_is_versioned_checked_and_of_its_namespace(shop: Client) -> None:
    fresh = shop.get(CONFIG)
    stored = shop.post(CONFIG, {"config": {"brand_cap": 1, "unknown": 5}, "author": "ann", "notes": "n"})

    assert (fresh["config"], fresh["metadata"]["source"]) == ({}, "default")
    assert stored["config"]["brand_cap"] == 1
    assert "unknown" not in stored["config"]
    meta = stored["metadata"]
    assert (meta["version"], meta["updated_by"], meta["notes"], meta["source"]) == (1, "ann", "n", "api")
    assert meta["updated_at"] == "2026-03-01T12:00:00Z"
    assert len(shop.list_(k=20)) == 3
    stale = shop("POST", CONFIG, {"config": {}, "expected_version": 7})
    assert code(stale) == (409, "version_conflict")
    assert shop.get(CONFIG, namespace="elsewhere")["config"] == {}


@pytest.mark.contract("10.2")
def test_presets_name_a_diversity_for_each_surface(call: Client) -> None:
    presets = call.get("/v1/admin/recommendation/presets")["mmr_presets"]

    assert "home" in presets
    assert all(0 <= value <= 1 for value in presets.values())


@pytest.mark.contract("11.1")
def test_decisions_are_found_newest_first(shop: Client, advance: Any) -> None:
    first = shop.post(LIST, {"user_id": "u0", "k": 2, "context": {"surface": "home"}})
    advance(minutes=1)
    second = shop.post(LIST, {"k": 1})

    found = shop.get("/v1/audit/decisions")["decisions"]
    searched = shop.post("/v1/audit/search", {"request_id": first["request_id"]})["decisions"]

    assert [one["request_id"] for one in found] == [second["request_id"], first["request_id"]]
    assert [one["request_id"] for one in searched] == [first["request_id"]]
    assert [item["item_id"] for item in searched[0]["final_items"]] == [item["item_id"] for item in first["items"]]
    assert searched[0]["surface"] == "home"
    assert len(shop.get("/v1/audit/decisions", **{"from": "2026-03-01T12:00:30Z"})["decisions"]) == 1
    assert len(shop.get("/v1/audit/decisions", to="2026-03-01T12:00:30Z", limit="9999")["decisions"]) == 1


@pytest.mark.contract("11.2")
def test_one_decision_in_full(shop: Client) -> None:
    answer = shop.post(LIST, {"user_id": "u0", "k": 2, "constraints": {"price_between": [0, 9]}})
    (found,) = shop.get("/v1/audit/decisions")["decisions"]

    whole = shop.get(f"/v1/audit/decisions/{found['decision_id']}")

    assert (whole["request_id"], whole["k"]) == (answer["request_id"], 2)
    assert whole["extras"]["request"]["constraints"] == {"price_between": [0, 9]}
    assert whole["extras"]["model_version"] == answer["model_version"]
    assert {"item_id", "score", "propensity", "sources"} <= set(whole["final_items"][0])


@pytest.mark.contract("11.3")
def test_a_user_appears_by_hash_only(shop: Client) -> None:
    shop.post(LIST, {"user_id": "u0", "k": 1})
    shop.post(LIST, {"k": 1})

    known = shop.get("/v1/audit/decisions")["decisions"]
    user_hash = next(one["user_hash"] for one in known if one.get("user_hash"))

    assert re.fullmatch("[0-9a-f]{64}", user_hash)
    assert user_hash == sha256(f"{shop.namespace}:u0:recsys".encode()).hexdigest()
    assert len(shop.get("/v1/audit/decisions", user_hash=user_hash)["decisions"]) == 1


@pytest.mark.contract("12.1")
def test_a_brief_has_facts_words_and_a_cache(shop: Client) -> None:
    shop.post(RULES, a_rule(name="no p9", item_ids=["p9"]), 201)
    shop.post(LIST, HOME)
    shop.events({"user_id": "u0", "item_id": "p0", "type": 1, "ts": "2026-03-01T11:00:00Z"})
    asked = {
        "target_type": "item", "target_id": "p0", "surface": "home",
        "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "question": "why?",
    }  # fmt: skip

    first = shop("POST", "/v1/explain/llm", asked)
    second = shop("POST", "/v1/explain/llm", asked)

    assert (first.headers["X-Explain-Cache"], second.headers["X-Explain-Cache"]) == ("miss", "hit")
    told = first.json()
    assert (told["cache"], told["model"], told["warnings"]) == ("miss", "fallback", ["llm_disabled"])
    assert told["facts"]["metrics"] == {"impressions": 1, "clicks": 1, "ctr": 1.0, "errors": None}
    assert [rule["name"] for rule in told["facts"]["rules_active"]] == ["no p9"]
    assert "why?" not in told["markdown"]
    assert "p0" in told["markdown"]
    assert second.json()["facts"] == told["facts"]
