"""The port, as the shop uses it."""

from datetime import timedelta

import pytest

from recsys_engine.contract import (
    Blend,
    Constraints,
    Context,
    DeleteFilter,
    Event,
    EventType,
    EventTypeConfig,
    Item,
    Overrides,
    PageQuery,
    RecommendRequest,
    RerankCandidate,
    User,
)
from shop_app.recsys.gateway import RecsysRejected


def a_shelf(gateway, count=12, **overrides):
    gateway.upsert_items(
        [
            Item(
                f"p{n}",
                price=float(n),
                tags=(f"brand:b{n % 3}", f"category:c{n % 2}", f"color:{n % 4}"),
                props={"title": f"Product {n}"},
                **overrides,
            )
            for n in range(count)
        ]
    )


def buys(user, items, clock, order, **more):
    return [
        Event(
            user,
            item,
            EventType.PURCHASE,
            ts=clock(),
            meta={"order_id": order},
            source_event_id=f"{order}-{item}",
            **more,
        )
        for item in items
    ]


def ids(answer):
    return [item.item_id for item in answer.items]


def test_items_round_trip(gateway):
    item = Item(
        "sku-1",
        True,
        9.5,
        ("brand:acme",),
        {"title": "Äpfel 🍎"},
        None,
        "Acme",
        "fruit",
        ("food", "fruit"),
        "d",
        "u",
        "1",
    )

    assert gateway.upsert_items([item]).accepted == 1
    page = gateway.list_items(PageQuery())

    assert [row.item for row in page.rows] == [item]
    assert (page.total, page.has_more) == (1, False)


def test_a_field_left_out_keeps_its_value_and_none_clears_it(gateway):
    gateway.upsert_items([Item("sku-1", price=9.5, brand="Acme", tags=("x",))])

    gateway.upsert_items([Item("sku-1", available=False)])
    kept = gateway.list_items(PageQuery(item_id="sku-1")).rows[0].item
    gateway.upsert_items([Item("sku-1", price=None, brand=None, tags=None)])
    cleared = gateway.list_items(PageQuery(item_id="sku-1")).rows[0].item

    assert (kept.available, kept.price, kept.brand, kept.tags) == (False, 9.5, "Acme", ("x",))
    assert (cleared.available, cleared.price, cleared.brand, cleared.tags) == (False, None, None, ())


def test_users_round_trip_and_keep_traits(gateway):
    gateway.upsert_users([User("u_1", {"segment": "new_users", "n": 1})])
    gateway.upsert_users([User("u_1")])

    assert gateway.list_users(PageQuery()).rows[0].user == User("u_1", {"segment": "new_users", "n": 1})


def test_events_are_judged_alone_and_deduplicated(gateway, clock):
    good = Event("u_1", "p1", EventType.VIEW, ts=clock(), meta={"surface": "pdp"}, source_event_id="e1")
    other_body = Event("u_2", "p1", EventType.VIEW, ts=clock(), source_event_id="e1")
    late = Event("u_1", "p1", ts=clock() + timedelta(minutes=6), source_event_id="e2")

    first = gateway.send_events([good, late])
    again = gateway.send_events([good, other_body])

    assert (first.accepted, first.duplicates) == (1, 0)
    assert [(r.index, r.code, r.source_event_id) for r in first.rejected] == [(1, "invalid_timestamp", "e2")]
    assert (again.accepted, again.duplicates) == (0, 1)
    assert [(r.index, r.code) for r in again.rejected] == [(1, "id_conflict")]
    assert gateway.list_events(PageQuery()).rows == (good,)


def test_a_batch_with_nothing_valid_names_every_fault(gateway, clock):
    result = gateway.send_events([Event("", "p1", ts=clock()), Event("u", "p 1", ts=clock()), Event("u", "p", 3, 1e9)])

    assert result.accepted == 0
    assert [r.code for r in result.rejected] == ["invalid_user_id", "invalid_item_id", "invalid_value"]


def test_near_future_is_clamped_to_now(gateway, clock):
    gateway.send_events([Event("u_1", "p1", ts=clock() + timedelta(minutes=4), source_event_id="e1")])

    assert gateway.list_events(PageQuery()).rows[0].ts == clock()


def test_an_event_changes_the_next_answer(gateway, clock):
    a_shelf(gateway)
    gateway.send_events([e for n in range(4) for e in buys(f"u_{n}", ["p3", "p8"], clock, f"o{n}")])
    before = gateway.recommend(RecommendRequest("u_x", 3, Context("pdp.bought_together", item_id="p3")))

    gateway.send_events([e for n in range(10, 25) for e in buys(f"u_{n}", ["p3", "p5"], clock, f"o{n}")])
    after = gateway.recommend(RecommendRequest("u_x", 3, Context("pdp.bought_together", item_id="p3")))

    assert ids(before)[0] == "p8"
    assert ids(after)[0] == "p5"
    assert "p3" not in ids(after)


def test_ranks_ids_and_request_id(gateway, clock):
    a_shelf(gateway)

    answer = gateway.recommend(RecommendRequest("u_1", 5))

    assert [item.rank for item in answer.items] == [1, 2, 3, 4, 5]
    assert len(set(ids(answer))) == 5
    assert answer.request_id
    assert answer.model_version.startswith("hybrid")
    assert answer.request_id != gateway.recommend(RecommendRequest("u_1", 5)).request_id


def test_hard_limits_hold_for_fill_too(gateway, clock):
    a_shelf(gateway)
    gateway.upsert_items([Item("p4", available=False)])
    limits = Constraints(
        include_tags_any=("Category:C0",),
        exclude_tags_any=("brand:b0",),
        exclude_item_ids=("p2",),
        price_between=(None, 10),
    )

    answer = gateway.recommend(RecommendRequest("u_1", 10, Context("cart", cart_item_ids=("p8",)), limits))

    # even numbers are category c0; without brand b0 (multiples of 3), p2, p4 (unavailable), p8 (in cart)
    assert set(ids(answer)) == {"p10"}


def test_price_range_drops_unpriced_items(gateway):
    a_shelf(gateway, 4)
    gateway.upsert_items([Item("free", price=None)])

    answer = gateway.recommend(RecommendRequest(k=10, constraints=Constraints(price_between=(2, None))))

    assert set(ids(answer)) == {"p2", "p3"}


@pytest.mark.ticket("RS-043")
def test_caps_hold(gateway):
    a_shelf(gateway, 30)

    answer = gateway.recommend(RecommendRequest(k=20, overrides=Overrides(brand_cap=2)))

    assert len(answer.items) == 6


@pytest.mark.ticket("RS-045")
def test_variants_of_one_parent_appear_once(gateway):
    gateway.upsert_items([Item(f"v{n}", props={"parent_id": "shirt"}) for n in range(3)] + [Item("other")])

    answer = gateway.recommend(RecommendRequest(k=10))

    assert len(answer.items) == 2
    assert "other" in ids(answer)


def test_buy_again_shows_only_what_was_bought(gateway, clock):
    a_shelf(gateway)
    gateway.send_events([*buys("u_1", ["p3", "p5"], clock, "o1"), *buys("u_2", ["p7"], clock, "o2")])

    answer = gateway.recommend(RecommendRequest("u_1", 5, Context("buy_again")))

    assert set(ids(answer)) == {"p3", "p5"}


def test_an_explicit_blend_is_exactly_the_formula(gateway, clock):
    a_shelf(gateway)
    gateway.send_events([*buys("u_1", ["p3", "p5"], clock, "o1"), *buys("u_2", ["p5"], clock, "o2")])

    answer = gateway.recommend(RecommendRequest(k=2, blend=Blend(pop=0.5), explain_level="full"))

    assert answer.model_version.startswith("blend_v1")
    assert [(item.item_id, pytest.approx(item.score)) for item in answer.items] == [("p5", 0.5), ("p3", 0.25)]


def test_explanations_add_up(gateway, clock):
    a_shelf(gateway)
    gateway.send_events(buys("u_1", ["p3", "p5"], clock, "o1"))

    answer = gateway.recommend(RecommendRequest("u_1", 10, include_reasons=True, explain_level="full"))

    for item in answer.items:
        parts = [part["contribution"] for part in item.explain["contributions"].values()]
        assert sum(parts) * item.explain["multiplier"] == pytest.approx(item.score, abs=1e-9)
        assert item.reasons


def test_rerank_orders_only_what_is_given(gateway):
    a_shelf(gateway)

    answer = gateway.rerank(
        RecommendRequest("u_1", 20, Context("listing")), [RerankCandidate("p1", 0.1), RerankCandidate("p2", 0.9)]
    )

    assert ids(answer) == ["p2", "p1"]


@pytest.mark.ticket("RS-029", "RS-033")
def test_similar_knows_partners_and_forgets_strangers(gateway, clock):
    a_shelf(gateway)
    gateway.send_events([e for n in range(4) for e in buys(f"u_{n}", ["p3", "p8"], clock, f"o{n}")])

    found = gateway.similar("p3", 4)

    assert found.items[0].item_id == "p8"
    assert found.items[0].rank == 1
    assert found.request_id
    assert gateway.similar("never-heard-of", 4).items == ()


def test_pages_have_a_stable_order_and_cursors(gateway, clock):
    for n in range(5):
        gateway.send_events([Event("u_1", f"p{n}", ts=clock() - timedelta(minutes=n), source_event_id=f"e{n}")])

    first = gateway.list_events(PageQuery(limit=2))
    second = gateway.list_events(PageQuery(limit=2, cursor=first.next_cursor))
    third = gateway.list_events(PageQuery(limit=2, offset=4))

    assert [event.item_id for event in first.rows + second.rows + third.rows] == ["p0", "p1", "p2", "p3", "p4"]
    assert (first.total, first.has_more, first.next_offset) == (5, True, 2)
    assert (third.has_more, third.next_cursor) == (False, None)


def test_filters_of_event_pages(gateway, clock):
    gateway.send_events(
        [Event("u_1", "p1", 0, ts=clock()), Event("u_2", "p1", 1, ts=clock()), Event("u_2", "p2", 1, ts=clock())]
    )

    assert gateway.list_events(PageQuery(user_id="u_2")).total == 2
    assert gateway.list_events(PageQuery(item_id="p1", event_type=1)).total == 1
    assert gateway.list_events(PageQuery(created_after=clock() + timedelta(seconds=1))).total == 0


@pytest.mark.parametrize("verb", ["delete_items", "delete_users", "delete_events"])
def test_an_empty_filter_needs_confirmation(gateway, verb):
    a_shelf(gateway, 2)

    with pytest.raises(RecsysRejected) as refused:
        getattr(gateway, verb)(DeleteFilter(item_id="", user_id=""))

    assert refused.value.code == "empty_filter"
    assert gateway.list_items(PageQuery()).total == 2


def test_deleted_items_vanish_from_lists(gateway):
    a_shelf(gateway, 3)

    assert gateway.delete_items(DeleteFilter(item_id="p1")).deleted_count == 1
    assert set(ids(gateway.recommend(RecommendRequest(k=5)))) == {"p0", "p2"}


def test_deleted_events_lose_their_effect(gateway, clock):
    a_shelf(gateway)
    gateway.send_events(buys("u_1", ["p3", "p5"], clock, "o1"))

    assert gateway.delete_events(DeleteFilter(user_id="u_1", item_id="p5")).deleted_count == 1
    assert set(ids(gateway.recommend(RecommendRequest("u_1", 5, Context("buy_again"))))) == {"p3"}


def test_forgetting_leaves_the_lists_of_a_world_without_the_person(gateway, clock):
    a_shelf(gateway)
    gateway.upsert_users([User("u_1", {"segment": "x"})])
    gateway.send_events([e for n in range(2, 6) for e in buys(f"u_{n}", ["p3", "p8"], clock, f"o{n}")])
    request = RecommendRequest("u_2", 10, Context("home"))
    before = [(item.item_id, item.score) for item in gateway.recommend(request).items]

    gateway.send_events(buys("u_1", ["p3", "p5", "p7"], clock, "o1", value=50.0))
    between = [(item.item_id, item.score) for item in gateway.recommend(request).items]
    gone = gateway.forget_users(["u_1"])
    after = [(item.item_id, item.score) for item in gateway.recommend(request).items]

    assert (gone.users, gone.events) == (1, 3)
    assert between != before
    assert after == before
    assert gateway.list_events(PageQuery(user_id="u_1")).total == 0


@pytest.mark.ticket("RS-054")
def test_event_types_have_defaults_and_can_be_set(gateway):
    assert [(t.type, t.weight, t.half_life_days, t.source) for t in gateway.event_types()][:2] == [
        (0, 0.05, 3.0, "default"),
        (1, 0.20, 7.0, "default"),
    ]

    gateway.put_event_types([EventTypeConfig(0, 0.5, "look", 2.0), EventTypeConfig(4, 1.0, is_active=False)])

    found = {t.type: t for t in gateway.event_types()}
    assert (found[0].weight, found[0].half_life_days, found[0].name, found[0].source) == (0.5, 2.0, "look", "tenant")
    assert 4 not in found


@pytest.mark.parametrize(("config", "code"), [((0, 0.0), "invalid_weight"), ((0, 1.0, None, 0.0), "invalid_half_life")])
def test_event_types_outside_their_range_are_refused(gateway, config, code):
    with pytest.raises(RecsysRejected) as refused:
        gateway.put_event_types([EventTypeConfig(*config)])

    assert (refused.value.code, refused.value.status) == (code, 422)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (RecommendRequest(k=201), "invalid_k"),
        (RecommendRequest(overrides=Overrides(mmr_lambda=1.5)), "invalid_override"),
        (RecommendRequest(explain_level="loud"), "invalid_explain_level"),
        (RecommendRequest("not an id"), "invalid_user_id"),
    ],
)
def test_a_bad_request_is_refused_by_name(gateway, request_, code):
    with pytest.raises(RecsysRejected) as refused:
        gateway.recommend(request_)

    assert (refused.value.code, refused.value.status) == (code, 400)
    assert refused.value.details["field"]


def test_a_bad_item_stops_its_batch(gateway):
    with pytest.raises(RecsysRejected) as refused:
        gateway.upsert_items([Item("fine"), Item("bad", embedding=(1.0, 2.0))])

    assert (refused.value.code, refused.value.details["index"]) == ("embedding_dim_mismatch", 1)
    assert gateway.list_items(PageQuery()).total == 0


def test_health_and_readiness(gateway):
    gateway.recommend(RecommendRequest())

    assert gateway.health().is_ok
    assert gateway.ready().is_ok


def test_impressions_teach_nothing(gateway, clock):
    a_shelf(gateway, 4)
    seen = Event("u_1", "p3", EventType.VIEW, ts=clock(), meta={"kind": "impression", "widget": "home", "rank": 1})

    gateway.send_events([seen, Event("u_1", "p1", EventType.VIEW, ts=clock())])

    assert ids(gateway.recommend(RecommendRequest(k=1, blend=Blend(pop=1)))) == ["p1"]
