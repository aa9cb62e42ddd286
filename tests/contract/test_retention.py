"""Stored lists go when their time is over; what is kept can still be made again."""

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from recsys_engine.contract import Context, Event, EventType, Item, RecommendRequest, User
from recsys_engine.contract.control import AuditQuery
from recsys_engine.http.settings import settings_from_env
from recsys_engine.service import Database, Engine
from recsys_engine.service import retention as kept_for
from recsys_engine.service.retention import Retention
from recsys_engine.store.tables import decisions, earlier

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0007"


@pytest.fixture
def engine(database_url, clock):
    """An engine whose own retention sleeps: only the test prunes."""
    database = Database(database_url)
    database.create_tables()
    made = Engine(database, ORG, f"ns-{uuid4()}", clock, decision_days=0)
    made.upsert_items([Item(f"p{n}", price=1.0 + n) for n in range(6)])
    made.upsert_users([User("u_1", {"tier": "gold"})])
    yield made
    made.close()
    database.close()


def a_month_passes(engine, clock, month=1):
    """A list, then a change of everything it was made from."""
    engine.send_events([Event("u_1", "p1", EventType.VIEW, ts=clock())])
    request_id = engine.recommend(RecommendRequest("u_1", 4, Context("home"))).request_id
    engine.upsert_items([Item(f"p{n}", price=10.0 * month + n) for n in range(6)])
    engine.upsert_users([User("u_1", {"months": month})])
    clock.advance(days=30)
    return engine.decisions.find(AuditQuery(request_id=request_id))[0].decision_id


def rows(engine, table):
    with engine.reading() as (connection, tenant):
        return connection.execute(select(func.count()).select_from(table).where(table.c.tenant == tenant)).scalar_one()


def test_old_lists_go_and_the_others_are_still_made_again(engine, clock):
    first, second, third = (a_month_passes(engine, clock, month) for month in (1, 2, 3))
    retention = Retention(engine.writing, keep_days=70, pause_s=0)
    before = rows(engine, earlier)

    pruned = [retention.apply(clock()) for _ in range(3)]

    assert [one.decision_id for one in engine.decisions.find(AuditQuery())] == [third, second]
    assert [engine.replay(one).status for one in (second, third)] == ["identical", "identical"]
    changed = 6 + 1
    assert (before, rows(engine, earlier)) == (4 * changed, 2 * changed)
    assert pruned == [1, 2 * changed, 0], "what lists were made from goes one look later"
    assert first not in {second, third}


def test_without_a_list_what_was_before_goes_too_but_not_what_came_since_the_last_look(engine, clock):
    a_month_passes(engine, clock)
    retention = Retention(engine.writing, keep_days=1, pause_s=0)

    retention.apply(clock())
    engine.upsert_items([Item("p1", price=77.0)])
    retention.apply(clock())

    assert (rows(engine, decisions), rows(engine, earlier)) == (0, 1)


def test_zero_days_keep_everything(engine, clock):
    a_month_passes(engine, clock)

    assert Retention(engine.writing, keep_days=0, pause_s=0).apply(clock()) == 0
    assert rows(engine, decisions) == 1


def test_a_long_backlog_goes_in_batches_and_then_an_hour_is_waited(engine, clock, monkeypatch):
    monkeypatch.setattr(kept_for, "BATCH", 2)
    for _ in range(5):
        engine.recommend(RecommendRequest("u_1", 4, Context("home")))
    engine.decisions.flush()
    clock.advance(days=2)
    retention = Retention(engine.writing, keep_days=1)

    assert [retention.apply(clock()) for _ in range(4)] == [2, 2, 1, 0]

    engine.recommend(RecommendRequest("u_1", 4, Context("home")))
    engine.decisions.flush()
    clock.advance(days=2)
    assert retention.apply(clock()) == 0, "the next look is an hour away"


def test_the_server_takes_the_days_from_its_environment():
    env = {"RECSYS_DATABASE_URL": "sqlite:///engine.db"}

    assert settings_from_env(env).decision_days == 90
    assert settings_from_env(env | {"RECSYS_DECISION_DAYS": "14"}).decision_days == 14


def test_an_engine_prunes_by_itself(database_url, clock):
    database = Database(database_url)
    database.create_tables()
    engine = Engine(database, ORG, f"ns-{uuid4()}", clock, decision_days=5)
    engine.upsert_items([Item("p1")])
    old = engine.recommend(RecommendRequest("u_1", 4)).request_id
    engine.decisions.flush()
    engine.close()
    clock.advance(days=6)

    later = Engine(database, ORG, engine._namespace, clock, decision_days=5)
    later._beat()

    assert later.decisions.find(AuditQuery(request_id=old)) == []
    later.close()
    database.close()
