"""A start from a stored state gives the lists of a start from the log, and never what the log no longer holds."""

import logging
from datetime import timedelta

import pytest

from recsys_engine.contract import (
    Context,
    DeleteFilter,
    Event,
    EventType,
    EventTypeConfig,
    Item,
    RecommendRequest,
    User,
)
from recsys_engine.service import Database, Engine

ORG = "6f1c1a3e-7f5b-4f9c-9a51-3f2a1f6f0004"
SURFACES = ("home", "buy_again", "pdp.similar")


@pytest.fixture
def start(database_url, namespace, clock, tmp_path):
    """Starts a process's engine; with a folder it may use the snapshots there."""
    started = []

    def make(folder="models"):
        database = Database(database_url)
        database.create_tables()
        engine = Engine(database, ORG, namespace, clock, model_folder=tmp_path / folder if folder else None)
        started.append(engine)
        return engine

    yield make
    for engine in started:
        engine.close()


@pytest.fixture
def files(tmp_path):
    return lambda: sorted(path.name for path in (tmp_path / "models").glob("*.npz"))


def fill(engine, clock):
    engine.upsert_items([Item(f"p{n}", price=1.0 + n, brand=f"b{n % 3}", tags=(f"t{n % 4}",)) for n in range(12)])
    engine.upsert_users([User(f"u_{n}", {"tier": n}) for n in range(4)])
    buy(engine, clock, range(60))


def buy(engine, clock, numbers):
    engine.send_events(
        [
            Event(
                f"u_{n % 4}",
                f"p{n * n % 11}",
                EventType.PURCHASE if n % 3 else EventType.VIEW,
                ts=clock() - timedelta(hours=100 - n % 90),
                source_event_id=f"e{n}",
                meta={"order_id": f"o{n // 4}"} if n % 3 else {},
            )
            for n in numbers
        ]
    )


def answers(engine):
    lists = []
    for surface in SURFACES:
        context = Context(surface, item_id="p4" if surface.startswith("pdp") else None)
        for user in ("u_1", "u_2", "u_9"):
            answer = engine.recommend(RecommendRequest(user, 8, context, explain_level="full"))
            lists.append([(item.item_id, item.score, item.explain) for item in answer.items])
    return lists


def building(caplog):
    return [record.message for record in caplog.records if record.message.startswith("engine_")]


@pytest.mark.ticket("RS-035")
def test_a_snapshot_and_its_tail_give_the_lists_of_the_log(start, clock, files):
    writer = start()
    fill(writer, clock)
    assert writer.snapshot()
    assert len(files()) == 1

    buy(writer, clock, range(60, 80))
    writer.upsert_items([Item("p3", available=False), Item("p20", price=2.0), Item("p5", price=9.0)])
    writer.archive.delete_items(DeleteFilter(item_id="p7"))
    writer.archive.delete_events(DeleteFilter(user_id="u_3", item_id="p4"))
    writer.upsert_users([User("u_1", {"tier": 7})])

    from_snapshot, from_log = start(), start(folder=None)
    assert answers(from_snapshot) == answers(from_log) == answers(writer)
    assert from_snapshot.live_state().seq == from_log.live_state().seq
    assert from_snapshot.live_state().traits == from_log.live_state().traits


@pytest.mark.ticket("RS-083")
def test_an_erasure_takes_the_snapshot_away_and_no_later_one_names_the_person(start, clock, files, tmp_path):
    writer = start()
    fill(writer, clock)
    writer.snapshot()

    writer.archive.forget_users(["u_2"])
    assert files() == []
    assert writer.snapshot()

    (path,) = (tmp_path / "models").glob("*.npz")
    assert b"u_2" not in path.read_bytes()
    assert b"u_1" in path.read_bytes()
    assert answers(start()) == answers(start(folder=None))


def test_a_state_from_before_an_erasure_is_not_written(start, clock, files):
    writer, other = start(), start()
    fill(writer, clock)
    writer.recommend(RecommendRequest())
    frozen_before = writer._replica.frozen()
    other.archive.forget_users(["u_2"])

    assert writer._snapshots.save(frozen_before) is False
    assert files() == []


def test_changed_half_lives_make_a_snapshot_worthless(start, clock):
    writer = start()
    fill(writer, clock)
    writer.snapshot()
    writer.put_event_types([EventTypeConfig(3, 1.0, "purchase", 2.0)])

    assert answers(start()) == answers(start(folder=None)) == answers(writer)


def flipped(raw):
    """One bit of the largest array turned: only the checksum can tell."""
    place = raw.index(b"histories.rows") + 400
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


@pytest.mark.parametrize("harm", [lambda raw: raw[: len(raw) // 2], flipped, lambda _: b"", lambda _: b"x"])
def test_a_damaged_snapshot_is_named_and_passed_over(start, clock, tmp_path, caplog, harm):
    writer = start()
    fill(writer, clock)
    writer.snapshot()
    (path,) = (tmp_path / "models").glob("*.npz")
    path.write_bytes(harm(path.read_bytes()))

    with caplog.at_level(logging.WARNING):
        assert answers(start()) == answers(writer)
    assert "engine_snapshot_damaged" in building(caplog)


def test_a_snapshot_of_another_database_is_passed_over(start, clock, tmp_path, caplog, namespace):
    writer = start()
    fill(writer, clock)
    writer.snapshot()
    (path,) = (tmp_path / "models").glob("*.npz")
    stranger = Database(f"sqlite:///{tmp_path / 'other.db'}")
    stranger.create_tables()
    other = Engine(stranger, ORG, namespace, clock, model_folder=tmp_path / "models")
    tenant = path.name.split("-")[1]
    path.rename(path.with_name(path.name.replace(f"state-{tenant}-", "state-1-")))

    with caplog.at_level(logging.WARNING):
        assert other.recommend(RecommendRequest(None, 5)).items == ()
    assert "engine_snapshot_unknown" in building(caplog)
    other.close()


def test_only_one_process_writes_at_a_time(start, clock, tmp_path, files):
    one, two = start(), start()
    fill(one, clock)
    one.snapshot()
    with one._snapshots._folder._alone() as is_alone:
        assert is_alone
        assert two.snapshot() is False
    assert two.snapshot()
    assert len(files()) == 1
