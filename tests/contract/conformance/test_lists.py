"""Part 5: ranked lists, reranking, neighbours."""

import re
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.conformance.conftest import NOW, Client, code, purchases, shelf

LIST = "/v1/recommendations"
WORDS = re.compile(
    r"recent_popularity|trend|collaborative|content_similarity|session_sequence|co_visitation|bought_together|repurchase"
    r"|embedding_similarity|diversity|personalization|exploration|fallback|learned\w*"
    r"|rule\.(block|pin)\[.+\]|rule\.boost:[+-]\d+\.\d\d\[.+\]"
)


@pytest.fixture
def shop(call: Client) -> Client:
    call.items(*shelf())
    call.events(*purchases())
    return call


@pytest.mark.contract("5.1")
def test_the_defaults_of_a_request(shop: Client) -> None:
    assert len(shop.list_()) == len(shop.list_(k=None, user_id="", constraints=None, unknown={"a": 1})) == 12
    assert shop("POST", LIST, raw=b"{}").json()["items"] == [], "the namespace called default is another one"
    assert shop.list_(user_id=None) == shop.list_(user_id="")
    for field, value in (("user_id", 7), ("k", 4.5), ("context", []), ("include_reasons", "yes"), ("blend", [1])):
        refused = shop("POST", LIST, {field: value})
        assert code(refused) == (400, "invalid_json_type")
        assert refused.json()["details"]["field"].startswith(field)


@pytest.mark.contract("5.2")
def test_constraints_keep_what_they_say(shop: Client, advance: Any) -> None:
    def kept(**constraints: Any) -> set[str]:
        return set(shop.list_(k=20, constraints=constraints))

    assert kept(include_tags_any=["brand:b0", " COLOR:K1 "]) == {"p0", "p3", "p6", "p9", "p1", "p5"}
    assert kept(exclude_item_ids=[f"p{n}" for n in range(10)]) == {"p10", "p11"}
    assert kept(price_between=[10]) == kept(price_between=[10, None]) == {"p10", "p11"}
    assert kept(price_between=[2, 3]) == {"p2", "p3"}
    shop.items({"item_id": "free"})
    assert "free" not in kept(price_between=[None, None])
    advance(days=1)
    shop.items({"item_id": "young", "price": 1})
    assert kept(created_after=(NOW + timedelta(hours=1)).isoformat()) == {"young"}
    assert kept(price_between=[0, 1], include_tags_any=["brand:b1"]) == {"p1"}


@pytest.mark.contract("5.3")
def test_every_documented_override_is_accepted(shop: Client) -> None:
    overrides = {
        "popularity_halflife_days": 4, "covis_window_days": 28, "popularity_fanout": 500, "mmr_lambda": 0.3,
        "brand_cap": 2, "category_cap": 3, "rule_exclude_events": True, "purchased_window_days": 180,
        "profile_window_days": 30, "profile_boost": 0.7, "profile_top_n": 64, "profile_starter_blend_weight": 0.9,
        "blend_alpha": 0.25, "blend_beta": 0.35, "blend_gamma": 0.4, "bandit_algo": "thompson",
    }  # fmt: skip

    shown = shop.list_(user_id="u0", k=20, overrides=overrides)

    assert len(shown) == 6, "two of each brand, three of each category"
    assert "p0" not in shown, "bought within the window"


@pytest.mark.contract("5.4")
def test_an_answer_names_its_model_and_counts_what_happened(shop: Client) -> None:
    answer = shop.post(LIST, {"k": 3, "constraints": {"exclude_item_ids": ["p0"]}})

    assert set(answer) == {"request_id", "model_version", "items", "trace"}
    assert [set(item) for item in answer["items"]] == [{"item_id", "score", "rank"}] * 3
    extras = answer["trace"]["extras"]
    assert {"policy", "candidate_sources", "surface"} <= set(extras)
    policy = extras["policy"]
    assert policy["total_candidates"] - policy["constraint_filtered_count"] == policy["after_constraint_filters"]
    assert (policy["constraint_filtered_count"], policy["final_count"], policy["constraint_leak_count"]) == (1, 3, 0)


@pytest.mark.contract("5.5")
def test_reasons_come_on_request_and_from_the_vocabulary(shop: Client) -> None:
    rule = {"surface": "home", "name": "r", "target_type": "ITEM"}
    shop.post("/v1/admin/rules", {**rule, "action": "PIN", "item_ids": ["p9"]}, 201)
    shop.post("/v1/admin/rules", {**rule, "action": "BOOST", "item_ids": ["p8"], "boost_value": 0.3}, 201)
    asked = {"user_id": "u0", "k": 12, "context": {"surface": "home"}}

    plain = shop.post(LIST, asked)["items"]
    told = shop.post(LIST, {**asked, "include_reasons": True})["items"]

    assert all("reasons" not in item for item in plain)
    words = {item["item_id"]: item["reasons"] for item in told}
    assert [word for reasons in words.values() for word in reasons if not WORDS.fullmatch(word)] == []
    assert all(len(reasons) == len(set(reasons)) > 0 for reasons in words.values())
    assert any(word.startswith("rule.pin[") for word in words["p9"])
    assert any(word.startswith("rule.boost:+0.30[") for word in words["p8"])


@pytest.mark.contract("5.6")
def test_explain_blocks_grow_with_the_level(shop: Client) -> None:
    def block(level: str | None) -> Any:
        return shop.post(LIST, {"user_id": "u0", "k": 1, "explain_level": level})["items"][0].get("explain")

    numeric, full = block("numeric"), block("full")

    assert block(None) is None
    assert block("tags") is None
    assert {"contributions", "mmr", "caps", "anchors"} <= set(numeric) < set(full)
    assert not any("raw" in part for part in numeric["contributions"].values())
    assert all("raw" in part for part in full["contributions"].values())
    assert shop.post(LIST, {"explain_level": "full", "k": 1})["items"][0]["explain"]["anchors"] == [
        "(no_recent_activity)"
    ]


@pytest.mark.contract("5.7")
def test_rerank_orders_only_what_is_given(shop: Client) -> None:
    given = [{"item_id": " p3 "}, {"item_id": "p1", "score": 9}, {"item_id": "p1"}, {"item_id": ""}, {"item_id": "p2"}]

    answer = shop.post("/v1/rerank", {"items": given, "blend": {"pop": 1, "cooc": 0, "als": 0}})
    one = shop.post("/v1/rerank", {"items": given, "k": 1})
    most = shop.post("/v1/rerank", {"items": given, "k": 150, "constraints": {"exclude_item_ids": ["p1"]}})

    assert next(item["item_id"] for item in answer["items"]) == "p1"
    assert sorted(item["item_id"] for item in answer["items"]) == ["p1", "p2", "p3"]
    assert len(one["items"]) == 1
    assert sorted(item["item_id"] for item in most["items"]) == ["p2", "p3"]
    assert shop.post("/v1/rerank", {"items": [{"item_id": "ghost"}]})["items"] == []
    assert code(shop("POST", "/v1/rerank", {"items": [{"item_id": f"x{n}"} for n in range(1001)]}))[0] == 400


@pytest.mark.contract("5.8")
def test_similar_is_a_bare_array_without_the_item_itself(shop: Client) -> None:
    shop.items({"item_id": "a/b%c", "tags": ["brand:b0"]}, {"item_id": "off", "available": False})
    found = shop.get("/v1/items/p0/similar", k=3)

    assert [set(item) for item in found] == [{"item_id", "score", "rank", "reasons"}] * 3
    ids = [item["item_id"] for item in shop.get("/v1/items/p0/similar", k=200)]
    assert not {"p0", "off", ""} & set(ids)
    assert shop.get("/v1/items/ghost/similar") == []
    assert len(shop.get("/v1/items/p0/similar", k="lots")) == 12
    assert len(shop.get("/v1/items/a%2Fb%25c/similar")) == 12
