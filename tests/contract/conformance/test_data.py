"""Parts 3, 4 and 6: what is stored, listed and deleted, and what an event counts."""

from datetime import timedelta
from typing import Any

import pytest

from tests.contract.conformance.conftest import NOW, Client, code, purchases, shelf


@pytest.mark.contract("3.1")
def test_items_keep_every_field(call: Client) -> None:
    whole = {
        "item_id": "a/ä-1",
        "available": False,
        "price": 9.99,
        "tags": ["brand:x", "cat:y"],
        "props": {"title": "Äpfel 🍎", "n": [1, {"a": None}]},
        "brand": "x",
        "category": "fruit",
        "category_path": ["food", "fruit"],
        "description": "d",
        "image_url": "https://shop.example/a.png",
        "metadata_version": "7",
    }
    call.items({**whole, "embedding": [0.5] * 384})

    (row,) = call.get("/v1/items")["items"]

    assert {name: row[name] for name in whole} == whole
    assert set(row) - set(whole) == {"created_at", "updated_at"}


@pytest.mark.contract("3.2")
def test_users_keep_their_traits(call: Client) -> None:
    call.post("/v1/users:upsert", {"users": [{"user_id": "u", "traits": {"segment": "vip", "n": 1}}]}, 202)
    call.post("/v1/users:upsert", {"users": [{"user_id": "u"}]}, 202)
    kept = call.get("/v1/users")["items"][0]["traits"]
    call.post("/v1/users:upsert", {"users": [{"user_id": "u", "traits": None}]}, 202)

    assert kept == {"segment": "vip", "n": 1}
    assert call.get("/v1/users")["items"][0]["traits"] == {}


@pytest.mark.contract("3.3")
def test_events_keep_what_they_carry_and_come_once(call: Client) -> None:
    event = {
        "user_id": "u",
        "item_id": "p",
        "type": 4,
        "value": 2.5,
        "ts": "2026-02-01T10:00:00+02:00",
        "meta": {"kind": "wish", "deep": {"a": [1]}},
        "source_event_id": "e1",
    }
    assert call.events(event)["accepted"] == 1
    assert call.events(event)["duplicates"] == 1
    call.events({"user_id": "u", "type": 99}, {"user_id": "u", "type": 99})

    rows = call.get("/v1/events")["items"]
    (stored,) = [row for row in rows if row["source_event_id"] == "e1"]

    assert len(rows) == 3, "events without an id are never taken for repeats"
    assert stored == {**event, "ts": "2026-02-01T08:00:00Z"}
    assert {row["item_id"] for row in rows if row["type"] == 99} == {""}


@pytest.mark.contract("3.4")
@pytest.mark.parametrize(
    ("path", "name", "good", "bad"),
    [
        ("/v1/items:upsert", "items", {"item_id": "a"}, {"item_id": "b", "price": "free"}),
        ("/v1/items:upsert", "items", {"item_id": "a"}, {"item_id": "", "price": 1}),
        ("/v1/users:upsert", "users", {"user_id": "a"}, {"user_id": "b", "traits": "tall"}),
    ],
)
def test_one_bad_element_refuses_the_whole_batch(call: Client, path: str, name: str, good: Any, bad: Any) -> None:
    answer = call("POST", path, {name: [good, bad]})

    assert answer.status_code == 400
    assert answer.json()["details"]["index"] == 1
    assert call.get(f"/v1/{name}")["total"] == 0


@pytest.mark.contract("4.1")
@pytest.mark.parametrize("limit", ["0", "-1", "1001", "many", "1.5", ""])
def test_a_limit_that_makes_no_sense_is_a_hundred(call: Client, limit: str) -> None:
    assert call.get("/v1/items", limit=limit, offset="-3")["limit"] == 100


@pytest.mark.contract("4.1")
def test_pages_by_offset_say_whether_there_is_more(call: Client) -> None:
    call.items(*shelf(5))

    first = call.get("/v1/items", limit=3)
    last = call.get("/v1/items", limit=3, offset=3)

    assert (first["total"], first["limit"], first["offset"], first["has_more"], first["next_offset"]) == (
        5,
        3,
        0,
        True,
        3,
    )
    assert (last["has_more"], len(last["items"])) == (False, 2)
    assert not {"next_offset", "next_cursor"} & set(last)
    seen = [row["item_id"] for row in first["items"] + last["items"]]
    assert sorted(seen) == [f"p{n}" for n in range(5)]


@pytest.mark.contract("4.2")
def test_lists_filter(call: Client) -> None:
    call.events(*purchases(4, ts="2026-02-01T00:00:00Z"), {"user_id": "v", "item_id": "p9", "type": 0})
    call.items(*shelf(2))

    def total(path: str, **query: Any) -> int:
        found: int = call.get(path, **query)["total"]
        return found

    assert total("/v1/events", user_id="v") == 1
    assert total("/v1/events", item_id="p9", event_type="0") == 1
    assert total("/v1/events", event_type="3") == 4
    assert total("/v1/events", event_type="odd") == 5
    assert total("/v1/events", created_after="2026-02-01T00:00:00Z", created_before="2026-02-01T00:00:00Z") == 4
    assert total("/v1/items", item_id="p1") == 1
    assert total("/v1/items", created_after=(NOW + timedelta(seconds=1)).isoformat()) == 0
    assert code(call("GET", "/v1/events", query={"created_after": "then"})) == (422, "constraint_violation")


@pytest.mark.contract("4.3")
def test_rows_have_the_documented_fields(call: Client) -> None:
    call.items({"item_id": "bare"})
    call.post("/v1/users:upsert", {"users": [{"user_id": "u"}]}, 202)
    call.events({"user_id": "u", "type": 0})

    assert set(call.get("/v1/items")["items"][0]) == {
        "item_id", "available", "price", "tags", "props", "category_path", "created_at", "updated_at",
    }  # fmt: skip
    assert set(call.get("/v1/users")["items"][0]) == {"user_id", "traits", "created_at", "updated_at"}
    assert set(call.get("/v1/events")["items"][0]) == {
        "user_id", "item_id", "type", "value", "ts", "meta", "source_event_id",
    }  # fmt: skip


@pytest.mark.contract("4.4")
def test_deletes_honour_the_filters_that_apply(call: Client) -> None:
    call.items(*shelf(3))
    call.events(*purchases(6, ts="2026-02-01T00:00:00Z"), {"user_id": "u0", "item_id": "p9", "type": 0})

    gone = call.post("/v1/events:delete", {"user_id": "u0", "event_type": 0})
    assert (gone["deleted_count"], gone["message"]) == (1, "Events deleted successfully")
    assert call.post("/v1/events:delete", {"created_before": "2026-01-01T00:00:00Z"})["deleted_count"] == 0
    assert call.post("/v1/events:delete", {"item_id": "p0"})["deleted_count"] == 3
    assert call.post("/v1/items:delete", {"item_id": "p1", "user_id": "u3"})["deleted_count"] == 1
    assert call("POST", "/v1/items:delete", {"user_id": "u3"}).status_code == 400, "nothing that applies to items"
    assert (call.get("/v1/items")["total"], call.get("/v1/events")["total"]) == (2, 3)
    assert "p1" not in call.list_(k=20)


TYPES = "/v1/event-types"


@pytest.mark.contract("6.1")
def test_a_type_keeps_its_name_and_switch_and_loses_a_half_life_left_out(call: Client) -> None:
    def put(**one: Any) -> Any:
        return call("POST", f"{TYPES}:upsert", {"types": [{"type": 7, **one}]})

    assert put(weight=0.4, name="wish", half_life_days=9).json() == {"status": "accepted"}
    assert put(weight=0.5).status_code == 202
    stored = next(row for row in call.get(TYPES) if row["type"] == 7)
    assert (stored["weight"], stored["name"], stored["source"]) == (0.5, "wish", "tenant")
    assert "half_life_days" not in stored

    put(weight=0.5, is_active=False)
    put(weight=0.6)
    assert not [row for row in call.get(TYPES) if row["type"] == 7], "it stays switched off"
    for bad in ({"weight": 0}, {"weight": -0.5}, {"weight": 1, "half_life_days": -1}, {"weight": 1, "type": -1}):
        assert put(**bad).status_code == 422


@pytest.mark.contract("6.2")
def test_the_list_of_types_is_effective_and_in_order(call: Client) -> None:
    call.post(f"{TYPES}:upsert", {"types": [{"type": 9, "weight": 2}, {"type": 1, "weight": 5}]}, 202)
    call.post(f"{TYPES}:upsert", {"types": [{"type": 0, "weight": 1, "is_active": False}]}, 202)

    found = {row["type"]: (row["weight"], row["source"], row["is_active"]) for row in call.get(TYPES)}

    assert list(found) == [1, 2, 3, 4, 9]
    assert (found[1], found[2][1], found[9]) == ((5, "tenant", True), "default", (2, "tenant", True))
    call.items(*shelf(2))
    call.events({"user_id": "u", "item_id": "p1", "type": 0})
    shown = call.post("/v1/recommendations", {"blend": {"pop": 1, "cooc": 0, "als": 0}})["items"]
    assert [item["score"] for item in shown] == [0, 0], "a type that is off counts nothing"


@pytest.mark.contract("6.3")
def test_the_default_types(call: Client) -> None:
    rows = [(row["type"], row["name"], row["weight"], row["half_life_days"], row["source"]) for row in call.get(TYPES)]

    assert rows == [
        (0, "view", 0.05, 3, "default"),
        (1, "click", 0.2, 7, "default"),
        (2, "add", 0.7, 21, "default"),
        (3, "purchase", 1, 60, "default"),
        (4, "custom", 0.1, 3, "default"),
    ]


@pytest.mark.contract("6.4")
def test_weights_stay_with_their_tenant(call: Client) -> None:
    call.post(f"{TYPES}:upsert", {"types": [{"type": 0, "weight": 99}]}, 202)

    assert call.get(TYPES)[0]["weight"] == 99
    assert call.get(TYPES, namespace="elsewhere")[0]["weight"] < 1
    assert len(call.get(TYPES, namespace="elsewhere")) == 5
