"""The remote gateway before a server that behaves as the base API does, traps included: nothing is lost, cleared or leaked."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from recsys_engine.contract import (
    Constraints,
    Context,
    DeleteFilter,
    Event,
    EventTypeConfig,
    Item,
    Overrides,
    PageQuery,
    RecommendRequest,
    User,
)
from recsys_engine.contract.control import AuditQuery, Decide, ManualOverride, Policy, SegmentProfile
from shop_app.recsys.gateway import RecsysRejected
from shop_app.recsys.remote import RemoteGateway
from tests.integration.recsys.base_stub import BaseServer, started

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0001"
pytestmark = pytest.mark.ticket("RS-085")


@pytest.fixture
def server() -> BaseServer:
    return BaseServer()


@pytest.fixture
def gateway(server: BaseServer) -> Iterator[RemoteGateway]:
    with started(server) as url:
        made = RemoteGateway(url, ORG, "shop", timeout_s=5, retries=1, server="base")
        yield made
        made.close()


def an_item(item_id: str = "MUG", *, price: float | None = 9.5, tags: tuple[str, ...] = ("brand:oak",)) -> Item:
    return Item(item_id, True, price, tags, {"title": "Mug"}, brand="Oak", description=None, category_path=())


def bought(item_id: str, number: int = 1, value: float = 1.0) -> Event:
    at = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
    return Event("u_1", item_id, 3, value, at, {"order_id": "o"}, f"{item_id}-{number}")


def test_whole_items_survive_replacement_and_partial_ones_never_leave(
    gateway: RemoteGateway, server: BaseServer
) -> None:
    gateway.upsert_items([an_item()])
    gateway.upsert_items([an_item()])
    with pytest.raises(RecsysRejected) as refused:
        gateway.upsert_items([Item("MUG", price=8.0)])

    assert (refused.value.code, refused.value.details["missing"]) == (
        "partial_update_unsupported",
        ["available", "tags", "props", "category_path"],
    )
    assert server.items["MUG"]["available"] is True
    assert server.items["MUG"]["tags"] == ["brand:oak"]


def test_a_text_is_cleared_by_an_empty_one_since_null_would_keep_it(gateway: RemoteGateway, server: BaseServer) -> None:
    gateway.upsert_items([Item("MUG", True, 1.0, (), {}, brand="Oak", category_path=())])
    gateway.upsert_items([Item("MUG", True, 1.0, (), {}, brand=None, category_path=())])

    assert server.items["MUG"]["brand"] == ""
    assert not gateway.list_items(PageQuery()).rows[0].item.brand


def test_users_travel_whole(gateway: RemoteGateway, server: BaseServer) -> None:
    gateway.upsert_users([User("u_1", {"locale": "en"}), User("u_2", None)])
    with pytest.raises(RecsysRejected):
        gateway.upsert_users([User("u_1")])

    assert server.users["u_1"]["traits"] == {"locale": "en"}
    assert [row.user.traits for row in gateway.list_users(PageQuery()).rows] == [{"locale": "en"}, {}]


def test_a_value_always_travels_because_absent_counts_nothing(gateway: RemoteGateway, server: BaseServer) -> None:
    gateway.upsert_items([an_item()])
    result = gateway.send_events([Event("u_1", "MUG", 3), bought("MUG", 2)])

    assert (result.accepted, result.rejected) == (2, ())
    assert [event["value"] for event in server.events] == [1, 1]
    assert [item.item_id for item in gateway.recommend(RecommendRequest(k=3)).items] == ["MUG"]


def test_one_bad_event_refuses_the_batch_with_its_place(gateway: RemoteGateway, server: BaseServer) -> None:
    batch = [bought("A"), Event("u_1", "B", 0, meta={"poison": True}, source_event_id="b"), bought("C")]

    with pytest.raises(RecsysRejected) as refused:
        gateway.send_events(batch)

    assert (refused.value.code, refused.value.details["index"]) == ("invalid_json_type", 1)
    assert server.events == []
    gateway.send_events([batch[0], batch[2]])
    gateway.send_events([batch[0], batch[2]])
    assert len(server.events) == 2, "a repeat adds nothing"


def test_json_text_in_rows_becomes_objects(gateway: RemoteGateway) -> None:
    gateway.upsert_items([an_item()])
    gateway.send_events([bought("MUG")])

    (item,) = gateway.list_items(PageQuery()).rows
    (event,) = gateway.list_events(PageQuery(user_id="u_1")).rows

    assert (item.item.props, item.item.category_path, item.item.brand) == ({"title": "Mug"}, (), "Oak")
    assert (event.meta, event.ts) == ({"order_id": "o"}, datetime(2026, 3, 1, 12, tzinfo=UTC)), "whole seconds"


def test_pages_walk_by_offset_and_cursors_are_refused_here(gateway: RemoteGateway) -> None:
    gateway.upsert_items([an_item(f"I{n}") for n in range(5)])

    first = gateway.list_items(PageQuery(limit=3))
    last = gateway.list_items(PageQuery(limit=3, offset=first.next_offset or 0))

    assert [len(first.rows), len(last.rows), last.has_more] == [3, 2, False]
    for query in (PageQuery(cursor="c"), PageQuery(limit=1001)):
        with pytest.raises(RecsysRejected):
            gateway.list_items(query)


def test_a_list_gets_an_id_of_ours_that_the_server_knows_too(gateway: RemoteGateway, server: BaseServer) -> None:
    answer = gateway.recommend(RecommendRequest("u_1", 3))
    named = gateway.recommend(RecommendRequest("u_1", 3, request_id="mine"))

    assert server.seen[0][3]["X-Request-Id"] == answer.request_id
    assert (named.request_id, server.seen[1][3]["X-Request-Id"]) == ("mine", "mine")


def test_the_basket_and_open_prices_are_spelled_out(gateway: RemoteGateway, server: BaseServer) -> None:
    gateway.upsert_items([an_item(f"I{n}", price=float(n)) for n in range(4)])
    gateway.send_events([bought(f"I{n}") for n in range(4)])

    def ids(**constraints: object) -> set[str]:
        context = Context("cart", "I0", ("I1",))
        request = RecommendRequest(k=9, context=context, constraints=Constraints(**constraints))  # type: ignore[arg-type]
        return {item.item_id for item in gateway.recommend(request).items}

    assert ids() == ids(price_between=(None, None)) == {"I2", "I3"}
    assert ids(price_between=(None, 2)) == {"I2"}
    assert ids(price_between=(3, None)) == {"I3"}
    bodies = [body for _, path, body, _ in server.seen if path == "/v1/recommendations"]
    assert {body["context"]["surface"] for body in bodies} == {"cart"}
    assert all("surface" not in body for body in bodies), "that server ignores it on top"


@pytest.mark.parametrize(
    "request_",
    [
        RecommendRequest(constraints=Constraints(exclude_tags_any=("brand:x",))),
        RecommendRequest(overrides=Overrides(popularity_halflife_days=4.5)),
        RecommendRequest(overrides=Overrides(covis_window_days=0.5)),
    ],
    ids=["tags", "half-life", "window"],
)
def test_what_it_would_ignore_or_refuse_never_leaves(
    gateway: RemoteGateway, server: BaseServer, request_: RecommendRequest
) -> None:
    with pytest.raises(RecsysRejected, match="this server"):
        gateway.recommend(request_)

    assert server.seen == []


def test_whole_knobs_arrive_as_whole_numbers(gateway: RemoteGateway, server: BaseServer) -> None:
    gateway.recommend(RecommendRequest(overrides=Overrides(popularity_halflife_days=4.0, mmr_lambda=0.5, brand_cap=2)))

    assert server.seen[0][2]["overrides"] == {"popularity_halflife_days": 4, "mmr_lambda": 0.5, "brand_cap": 2}
    assert isinstance(server.seen[0][2]["overrides"]["popularity_halflife_days"], int)


def test_neighbours_come_without_the_empty_one_and_are_ranked_anew(gateway: RemoteGateway) -> None:
    assert [(item.item_id, item.rank) for item in gateway.similar("MUG", 5).items] == [("OFF", 1)]


def test_event_types_served_as_text_are_read_one_a_type(gateway: RemoteGateway, server: BaseServer) -> None:
    types = gateway.event_types()

    assert [config.type for config in types] == [0, 1, 2, 3, 4]
    with pytest.raises(RecsysRejected) as missing:
        gateway.put_event_types([EventTypeConfig(3, 2.0)])
    assert missing.value.code == "http_404", "an answer that is no JSON keeps its status"
    assert gateway.ready().is_ok
    assert server.seen[-1][1] == "/v1/event-types", "readiness asks what touches its database"


def test_deletes_name_somebody_or_do_not_leave(gateway: RemoteGateway, server: BaseServer) -> None:
    gateway.upsert_items([an_item("A"), an_item("B")])
    gateway.send_events([bought("A")])
    calls = len(server.seen)

    for which in (DeleteFilter(item_id=""), DeleteFilter(user_id="", item_id=""), DeleteFilter(user_id="u_1")):
        with pytest.raises(RecsysRejected):
            gateway.delete_items(which)
    with pytest.raises(RecsysRejected):
        gateway.delete_users(DeleteFilter(item_id="A"))

    assert len(server.seen) == calls
    assert gateway.delete_items(DeleteFilter(item_id="A")).deleted_count == 1
    assert set(server.items) == {"B"}


def test_people_are_forgotten_one_by_one_and_nobody_else(gateway: RemoteGateway, server: BaseServer) -> None:
    gateway.upsert_users([User("u_1", {}), User("u_2", {})])
    gateway.send_events([bought("A"), Event("u_2", "A", 3, source_event_id="x")])

    gone = gateway.forget_users(["u_1", "", "nobody"])

    assert (gone.users, gone.events, gone.decisions) == (1, 1, 0)
    assert set(server.users) == {"u_2"}
    assert [event["user_id"] for event in server.events] == ["u_2"]


def test_its_500_to_a_mistake_is_final_where_it_is_known_to_say_so(gateway: RemoteGateway, server: BaseServer) -> None:
    with pytest.raises(RecsysRejected):
        gateway.control.create_override(ManualOverride("MUG", "boost", boost_value=2.0))
    with pytest.raises(RecsysRejected):
        gateway.control.decision("nobody")

    assert len(server.seen) == 2, "neither was tried again"


def test_what_would_harm_other_tenants_or_mean_nothing_is_not_sent(gateway: RemoteGateway, server: BaseServer) -> None:
    control = gateway.control
    refused = [
        lambda: control.put_config({"brand_cap": 1}),
        lambda: control.put_policies([Policy("a", "A", True, {"brand_cap": 1})]),
        lambda: control.put_profiles([SegmentProfile("p", {"brand_cap": 1})]),
        lambda: control.decide(Decide("home", {})),
        lambda: control.reward("d", 1.0, "s"),
        lambda: control.explain_missing(RecommendRequest(), "MUG"),
    ]
    codes = []
    for call in refused:
        with pytest.raises(RecsysRejected) as error:
            call()
        codes.append(error.value.code)

    assert codes == ["unsupported", "partial_update_unsupported", "partial_update_unsupported", *["unsupported"] * 3]
    assert server.seen == []
    assert control.config().config == {"brand_cap": 2}


def test_decisions_without_names_and_items_are_read(gateway: RemoteGateway) -> None:
    (decision,) = gateway.control.find_decisions(AuditQuery())

    assert (decision.decision_id, decision.request_id, decision.user_hash, decision.final_items) == ("d1", "", None, ())
