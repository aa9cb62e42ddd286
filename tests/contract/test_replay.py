"""A served list can be made again from the log, bit for bit, or the engine says why not."""

from datetime import timedelta
from uuid import uuid4

import numpy as np
import pytest

from recsys_engine.contract import (
    Context,
    DeleteFilter,
    Event,
    EventType,
    EventTypeConfig,
    Item,
    Overrides,
    RecommendRequest,
    RerankCandidate,
    User,
)
from recsys_engine.contract.control import AuditQuery, Rule, Segment, SegmentProfile, SegmentRule
from recsys_engine.service import Database, Engine
from recsys_engine.service.replay import state_at
from shop_app.recsys.gateway import RecsysRejected

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0005"


def events(clock, numbers):
    return [
        Event(
            f"u_{n % 5}",
            f"p{n * n % 13}",
            (EventType.VIEW, EventType.PURCHASE, EventType.ADD, EventType.PURCHASE)[n % 4],
            ts=clock() - timedelta(hours=200 - n % 190),
            source_event_id=f"e{n}",
            meta={"order_id": f"o{n // 4}"} if n % 4 in {1, 3} else {},
        )
        for n in numbers
    ]


def items(count):
    return [Item(f"p{n}", price=1.0 + n, brand=f"b{n % 3}", tags=(f"t{n % 4}", "all")) for n in range(count)]


@pytest.fixture
def shop(gateway, clock):
    gateway.upsert_items(items(14))
    gateway.upsert_users([User("u_1", {"tier": "gold"})])
    gateway.send_events(events(clock, range(50)))
    return gateway


def served(shop, surface="home", user="u_1", **more):
    """Ask, and find the decision of the answer."""
    context = Context(surface, **{name: more.pop(name) for name in ("item_id", "cart_item_ids") if name in more})
    answer = shop.recommend(RecommendRequest(user, 6, context, **more))
    return shop.control.find_decisions(AuditQuery(request_id=answer.request_id))[0]


def life_goes_on(shop, clock):
    """Everything that may change a list, after it was served."""
    clock.advance(days=3)
    shop.send_events(events(clock, range(50, 90)))
    shop.send_events([Event("u_1", "later", EventType.VIEW, ts=clock())])
    shop.upsert_items([Item("p1", available=False), Item("p2", price=99.0, brand="b9", tags=("new",)), Item("p99")])
    shop.upsert_items([Item("p1", available=True, price=7.0)])
    shop.upsert_users([User("u_1", {"tier": "iron"}), User("u_7", {"tier": "gold"})])
    shop.delete_items(DeleteFilter(item_id="p3"))
    shop.control.create_rule(Rule("home", "r", "BLOCK", "ITEM", item_ids=("p4", "p5")))
    shop.control.put_config({"brand_cap": 1})


@pytest.mark.ticket("RS-035")
def test_every_kind_of_list_is_made_again_bit_for_bit(shop, clock):
    shop.control.put_profiles([SegmentProfile("gold", {"mmr_lambda": 0.5})])
    rule = SegmentRule({"eq": ["user.traits.tier", "gold"]})
    shop.control.put_segment(Segment("gold", "Gold", "gold", active=True, rules=(rule,)))
    shop.control.create_rule(Rule("home", "b", "BOOST", "ITEM", item_ids=("p6",), boost_value=2.0))
    decisions = [
        served(shop),
        served(shop, user=None),
        served(shop, user="u_2", overrides=Overrides(exploration_rate=0.8)),
        served(shop, "pdp.similar", item_id="p3"),
        served(shop, "pdp.similar", item_id="later"),
        served(shop, "cart", cart_item_ids=("p1", "p2", "p99")),
        served(shop, "buy_again"),
    ]
    given = [RerankCandidate(f"p{n}", 1.0 + n) for n in range(5)]
    reranked = shop.rerank(RecommendRequest("u_3", 5, Context("listing")), given)
    decisions += shop.control.find_decisions(AuditQuery(request_id=reranked.request_id))

    life_goes_on(shop, clock)
    replays = [shop.control.replay(one.decision_id) for one in decisions]

    assert [replay.status for replay in replays] == ["identical"] * 8
    assert [replay.items for replay in replays] == [one.final_items for one in decisions]
    assert [item["item_id"] for item in served(shop).final_items] != [item["item_id"] for item in replays[0].items]


def test_changed_half_lives_do_not_stop_a_replay(shop, clock):
    decision = served(shop)
    shop.put_event_types([EventTypeConfig(3, 0.5, "purchase", 2.0)])
    life_goes_on(shop, clock)

    assert shop.control.replay(decision.decision_id).status == "identical"


@pytest.mark.parametrize(
    "erase",
    [lambda shop: shop.forget_users(["u_4"]), lambda shop: shop.delete_events(DeleteFilter(user_id="u_4"))],
    ids=["forgotten", "deleted"],
)
def test_a_log_that_is_no_longer_whole_is_named(shop, erase):
    decision = served(shop)
    erase(shop)

    replay = shop.control.replay(decision.decision_id)

    assert (replay.status, replay.reason, replay.items) == ("impossible", "log_no_longer_whole", ())


def test_an_unknown_decision_is_not_found(shop):
    with pytest.raises(RecsysRejected) as refused:
        shop.control.replay("nobody")

    assert (refused.value.code, refused.value.status) == ("decision_not_found", 404)


def test_a_list_of_the_learned_model_is_made_again_until_the_model_is_gone(database_url, clock, tmp_path):
    database = Database(database_url)
    database.create_tables()
    engine = Engine(database, ORG, f"ns-{uuid4()}", clock, model_folder=tmp_path)
    engine.upsert_items(items(14))
    for day in range(40):
        lines = events(clock, range(day * 20, day * 20 + 20))
        engine.send_events([Event(e.user_id, e.item_id, 3, ts=e.ts - timedelta(days=day), meta=e.meta) for e in lines])
    engine.refit()
    answer = engine.recommend(RecommendRequest("u_1", 6))
    decision_id = engine.decisions.find(AuditQuery(request_id=answer.request_id))[0].decision_id
    engine.send_events([Event("u_1", "p3", EventType.VIEW, ts=clock())])

    assert engine.replay(decision_id).status == "identical"
    engine.refit()
    assert engine.replay(decision_id).status == "identical"
    engine.refit()
    gone = engine.replay(decision_id)
    assert (gone.status, gone.reason) == ("impossible", "model_replaced")
    engine.close()
    database.close()


def test_a_state_taken_back_is_the_state_read_from_the_log(database_url, clock):
    database = Database(database_url)
    database.create_tables()
    engine = Engine(database, ORG, f"ns-{uuid4()}", clock)
    engine.upsert_items(items(14))
    engine.recommend(RecommendRequest())
    engine.send_events(events(clock, range(60)))
    then = engine.live_state().seq
    engine.send_events(events(clock, range(60, 100)))
    engine.upsert_items([Item("p1", available=False), Item("p50")])

    with engine.reading() as (connection, tenant):
        past, settings = engine._live(), engine.live_state().settings
        back = state_at(connection, tenant, past, settings, then)
        read = past.from_log(connection, settings, then)

    assert counted(back) == counted(read)
    assert back.catalog.shelf().available.tolist()[:14] == [True] * 14
    engine.close()
    database.close()


def counted(state):
    """Every counter by item id."""
    ids = {index: item_id for item_id, index in state.catalog.index.items()}
    cells = state.popularity.cells
    found = {("popularity", ids[item]): cells[:, :, item].tolist() for item in np.flatnonzero(cells.any((0, 1)))}
    for name in ("covisit", "sequence", "basket"):
        pairs = getattr(state, name)
        found |= {(name, ids[left], ids[right]): count for (left, right), count in pairs.nonzero().items()}
        found |= {(name, ids[item]): int(pairs.totals[item]) for item in np.flatnonzero(pairs.totals)}
    return found
