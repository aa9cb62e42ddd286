"""Part 15: the thirteen lines a server and a client are first measured by, on our terms where part 0 changes them."""

from collections.abc import Iterator

import pytest

from recsys_engine.contract import DeleteFilter, Overrides, RecommendRequest
from shop_app.recsys.gateway import RecsysRejected
from shop_app.recsys.remote import RemoteGateway
from tests.contract.conformance.conftest import ORG, Client, code, purchases, shelf

LIST = "/v1/recommendations"


@pytest.fixture
def shop(call: Client) -> Client:
    call.items(*shelf())
    call.events(*purchases())
    return call


@pytest.mark.contract("15.1")
def test_1_no_tenant(call: Client) -> None:
    call.org = None

    assert code(call("GET", "/v1/items")) == (400, "missing_org_id")
    assert call("GET", "/health").status_code == 200


@pytest.mark.contract("15.2")
@pytest.mark.parametrize(
    ("path", "name", "row"),
    [
        ("/v1/items:upsert", "items", {"item_id": "p"}),
        ("/v1/users:upsert", "users", {"user_id": "u"}),
        ("/v1/events:batch", "events", {"user_id": "u", "type": 0}),
    ],
)
def test_2_ingestion_is_accepted(call: Client, path: str, name: str, row: dict[str, object]) -> None:
    for body in ({name: [row]}, {name: []}, {}):
        assert call.post(path, body, 202)["status"] == "accepted"


@pytest.mark.contract("15.3")
def test_3_a_short_embedding_and_a_bad_time_name_their_index(call: Client) -> None:
    short = call("POST", "/v1/items:upsert", {"items": [{"item_id": "a"}, {"item_id": "b", "embedding": [1, 2]}]})
    late = call("POST", "/v1/events:batch", {"events": [{"user_id": "u", "type": 0, "ts": "yesterday"}]})

    assert (code(short), short.json()["details"]["index"]) == ((400, "embedding_dim_mismatch"), 1)
    assert (code(late), late.json()["details"]["index"]) == ((400, "invalid_timestamp"), 0)


@pytest.mark.contract("15.4")
def test_4_a_repeat_is_one_row(call: Client) -> None:
    for _ in range(2):
        call.events({"user_id": "u", "item_id": "p", "type": 0, "source_event_id": "same"})

    assert call.get("/v1/events")["total"] == 1


@pytest.mark.contract("15.5")
def test_5_pages(call: Client) -> None:
    call.items({"item_id": "p", "props": {"a": 1}})

    page = call.get("/v1/items", limit=5000)

    assert (page["limit"], page["items"][0]["props"]) == (100, {"a": 1})
    assert "next_offset" not in page


@pytest.mark.contract("15.6")
def test_6_weights(call: Client) -> None:
    assert call("POST", "/v1/event-types:upsert", {"types": [{"type": 0, "weight": -0.5}]}).status_code == 422
    assert len(call.get("/v1/event-types")) == 5


@pytest.mark.contract("15.7")
def test_7_k_reasons_explain(call: Client) -> None:
    call.items(*shelf(30))

    plain = call.post(LIST)["items"]

    assert len(plain) == 20
    assert all(not {"reasons", "explain"} & set(item) for item in plain)
    assert all(item["reasons"] for item in call.post(LIST, {"include_reasons": True})["items"])


@pytest.mark.contract("15.8")
def test_8_nothing_leaks(shop: Client) -> None:
    shop.items({"item_id": "p0", "available": False})
    for user in (None, "u0", "stranger"):
        shown = shop.list_(
            user_id=user,
            k=200,
            constraints={
                "exclude_item_ids": ["p1", "p2"],
                "price_between": [0, 9],
                "include_tags_any": ["category:c0", "category:c1"],
            },
        )
        assert set(shown) == {f"p{n}" for n in range(3, 10)}


@pytest.mark.contract("15.9")
def test_9_the_nearest_vector_wins_under_an_embedding_blend(call: Client) -> None:
    near, far = [1.0] + [0.0] * 383, [0.0, 1.0] + [0.0] * 382
    call.items(*({"item_id": name, "embedding": v} for name, v in (("anchor", near), ("near", near), ("far", far))))
    call.events(
        *({"user_id": f"u{n}", "item_id": name, "type": 3} for n, name in enumerate(("near", "far"))),
        {"user_id": "me", "item_id": "anchor", "type": 3},
    )

    answer = call.post(LIST, {"user_id": "me", "k": 2, "blend": {"pop": 0, "cooc": 0, "als": 1},
                              "constraints": {"exclude_item_ids": ["anchor"]}})  # fmt: skip

    assert answer["items"][0]["item_id"] == "near"
    assert answer["model_version"].split("@")[0] == "blend_v1"


@pytest.mark.contract("15.10")
def test_10_the_default_model(shop: Client) -> None:
    assert shop.post(LIST, {})["model_version"].split("@")[0] == "hybrid_v1"


@pytest.mark.contract("15.11")
def test_11_bandit_without_policies_with_nothing_earned_and_with_a_sleeper(call: Client) -> None:
    ask = {"surface": "home", "context": {}}
    assert code(call("POST", "/v1/bandit/decide", ask)) == (404, "policy_not_found")
    call.post("/v1/bandit/policies:upsert", {"policies": [{"policy_id": "asleep"}]})

    choice = call.post("/v1/bandit/decide", {**ask, "candidate_policy_ids": ["asleep"]})
    earned = {"decision_id": choice["decision_id"], "reward": False, "source_event_id": "r"}

    assert choice["policy_id"] == "asleep"
    assert call.post("/v1/bandit/reward", earned)["duplicate"] is False


@pytest.fixture
def gateways(call: Client) -> Iterator[dict[str, RemoteGateway]]:
    made = {
        server: RemoteGateway(call.base, ORG, call.namespace, timeout_s=20, server=server)
        for server in ("ours", "base")
    }
    yield made
    for gateway in made.values():
        gateway.close()


@pytest.mark.contract("15.12")
def test_12_fractional_knobs(call: Client, gateways: dict[str, RemoteGateway]) -> None:
    request = RecommendRequest(overrides=Overrides(popularity_halflife_days=4.5))

    assert gateways["ours"].recommend(request).items == ()
    with pytest.raises(RecsysRejected, match="whole numbers"):
        gateways["base"].recommend(request)
    assert call("POST", LIST, {"overrides": {"popularity_halflife_days": 4.5}}).status_code == 200


@pytest.mark.contract("15.13")
@pytest.mark.parametrize("server", ["ours", "base"])
def test_13_a_delete_with_an_empty_id_stays_home(call: Client, gateways: dict[str, RemoteGateway], server: str) -> None:
    call.items({"item_id": "p"})

    with pytest.raises(RecsysRejected) as refused:
        gateways[server].delete_items(DeleteFilter(item_id=""))

    assert refused.value.code == "empty_filter"
    assert call.get("/v1/items")["total"] == 1
