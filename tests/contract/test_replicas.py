"""Two processes' worth of engines over one database: what one hears the other knows, and nothing is lost."""

import time
from datetime import timedelta
from threading import Thread

from recsys_engine.contract import Context, Event, EventType, Item, RecommendRequest
from recsys_engine.service import Database, Engine

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0003"
AGAIN = RecommendRequest("u_1", 5, Context("buy_again"))


def engines(database_url, namespace, clock, count):
    databases = [Database(database_url) for _ in range(count)]
    databases[0].create_tables()
    return [Engine(database, ORG, namespace, clock) for database in databases]


def bought(user, item, clock, name):
    return Event(user, item, EventType.PURCHASE, ts=clock(), source_event_id=name, meta={"order_id": name})


def ids(engine, request=AGAIN):
    return [item.item_id for item in engine.recommend(request).items]


def test_another_replica_knows_within_a_second(database_url, namespace, clock):
    here, there = engines(database_url, namespace, clock, 2)
    here.upsert_items([Item("p1"), Item("p2")])
    assert ids(there) == []

    here.send_events([bought("u_1", "p1", clock, "e1")])
    sent = time.monotonic()
    while ids(there) != ["p1"] and time.monotonic() - sent < 5:
        time.sleep(0.01)
    waited = time.monotonic() - sent

    assert ids(here) == ids(there) == ["p1"]
    assert waited < 1.0
    here.close()
    there.close()


def test_replicas_that_write_at_once_end_in_the_same_state(database_url, namespace, clock):
    group = engines(database_url, namespace, clock, 3)
    group[0].upsert_items([Item(f"p{n}") for n in range(20)])
    for engine in group[:2]:
        ids(engine)

    def write(place):
        for batch in range(10):
            group[place].send_events(
                [
                    bought(f"u_{(place + n) % 4}", f"p{(place * 7 + n) % 20}", clock, f"{place}-{batch}-{n}")
                    for n in range(10)
                ]
            )

    threads = [Thread(target=write, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in group:
        engine.catch_up()

    request = RecommendRequest("u_1", 15, Context("home"), explain_level="full")
    answers = [[(i.item_id, i.score, i.explain) for i in engine.recommend(request).items] for engine in group]
    assert answers[0] == answers[1] == answers[2]
    assert group[0].ready().details["log_seq"] == 20 + 300
    for engine in group:
        engine.close()


def test_an_erasure_reaches_the_other_replica_and_leaves_no_id_behind(database_url, namespace, clock):
    here, there = engines(database_url, namespace, clock, 2)
    here.upsert_items([Item("p1"), Item("p2")])
    here.send_events([bought("u_canary", "p1", clock, "e1"), bought("u_2", "p1", clock, "e2")])
    request = RecommendRequest("u_canary", 5, Context("buy_again"))
    assert ids(there, request) == ["p1"]

    here.archive.forget_users(["u_canary"])
    there.catch_up()

    assert ids(there, request) == []
    assert "u_canary" not in there.live_state().traits
    here.close()
    there.close()


def test_a_history_of_years_moves_the_epoch_and_keeps_its_order(database_url, namespace, clock):
    (engine,) = engines(database_url, namespace, clock, 1)
    engine.upsert_items([Item("old"), Item("new")])
    ids(engine)

    for name, item, age in (("e1", "old", 900), ("e2", "old", 899), ("e3", "new", 400), ("e4", "new", 1)):
        engine.send_events(
            [Event("u_1", item, EventType.PURCHASE, ts=clock() - timedelta(days=age), source_event_id=name)]
        )

    assert ids(engine, RecommendRequest("u_9", 2, Context("listing")))[0] == "new"
    assert engine.live_state().settings.epoch_ms > (clock() - timedelta(days=72)).timestamp() * 1000
    engine.close()
