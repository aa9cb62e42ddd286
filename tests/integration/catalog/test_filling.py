"""A shop filled for the first time: a filling that was killed half-way goes on and ends in the very same state."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from recsys_engine.contract import Event
from shop_app import cli
from shop_app.core.errors import InvalidInput
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.recsys.embedded import EmbeddedGateway
from shop_app.sync import history, loading
from shop_app.sync.filling import end_filling, start_filling
from shop_app.tracking.models import TrackedEvent

BASKETS = 40
BEGAN = 1_259_653_500
"""2009-12-01 07:45 UTC, the first order of the public UK data set whose form this is."""


@pytest.fixture
def folder(tmp_path):
    """A shop in the form of the UK data: capitals, no brand, no description, guests, looks besides purchases."""
    place = tmp_path / "data"
    place.mkdir()
    items = [f"{sku},RED {sku} CUSHION,,cushion,1.25," for sku in ("A1", "B2", "C3", "D4")]
    (place / "items.csv").write_text("\n".join(["item,title,brand,category,price,text", *items]) + "\n")
    rows = ["user,item,basket,ts,type,value,price"]
    for number in range(BASKETS):
        who = f"g{number}" if number % 5 == 0 else f"c{number % 7}"
        at = BEGAN + 3600 * number
        rows += [f"{who},{sku},o{number},{at},3,{1 + number % 3},1.25" for sku in ("A1", "B2", "C3")[: 1 + number % 3]]
        rows.append(f"{who},D4,,{at - 60},view,1,")
    (place / "events.csv").write_text("\n".join(rows) + "\n")
    return place


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(loading, "BATCH", 10)


def _fill(folder: Path, gateway: EmbeddedGateway, now: datetime, stop_after: int | None = None) -> None:
    parts = 0

    def progress(_rows: int) -> None:
        nonlocal parts
        parts += 1
        if parts == stop_after:
            raise KeyboardInterrupt

    wanted = start_filling(str(folder), "demo", now)
    assert wanted is not None
    loading.load_folder(Path(wanted[0]), "GBP", gateway, wanted[1], progress)
    end_filling(now)


def _shop_rows() -> list[list[tuple]]:
    orders = select(Order.number, Order.total_minor, Order.placed_at, Order.shopper_key).order_by(Order.number)
    lines = select(Order.number, OrderLine.position, OrderLine.item_id, OrderLine.quantity, OrderLine.unit_price_minor)
    events = select(TrackedEvent.source_event_id, TrackedEvent.occurred_at, TrackedEvent.delivery, TrackedEvent.value)
    queries = (
        orders,
        lines.join(Order).order_by(Order.number, OrderLine.position),
        events.order_by(TrackedEvent.source_event_id),
    )
    return [[tuple(row) for row in db.session.execute(query)] for query in queries]


def _log(path: Path) -> list[tuple]:
    columns = "source_event_id, user_id, item_id, type, value, ts_us, meta, order_id, is_impression, body_digest"
    with sqlite3.connect(path) as connection:
        return connection.execute(f"SELECT {columns} FROM engine_events ORDER BY seq").fetchall()


def _gateway(path: Path, clock) -> EmbeddedGateway:
    return EmbeddedGateway(f"sqlite:///{path}", "org", "default", clock.now)


@pytest.mark.ticket("RS-066")
@pytest.mark.usefixtures("small_batches")
def test_a_filling_killed_half_way_goes_on_and_ends_the_same(app, clock, folder, tmp_path):
    with app.app_context():
        whole = _gateway(tmp_path / "whole.sqlite3", clock)
        loading.load_folder(folder, "GBP", whole, clock.now())
        expected = _shop_rows()
        whole.close()
        db.session.remove()
        db.drop_all()
        db.create_all()
        broken = _gateway(tmp_path / "broken.sqlite3", clock)
        with pytest.raises(KeyboardInterrupt):
            _fill(folder, broken, clock.now(), stop_after=4)
        half = len(db.session.scalars(select(Order.id)).all())
        db.session.rollback()

        _fill(folder, broken, clock.now() + timedelta(days=9))

        assert 0 < half < BASKETS
        assert _shop_rows() == expected
        assert sorted(_log(tmp_path / "broken.sqlite3")) == sorted(_log(tmp_path / "whole.sqlite3"))
        assert start_filling(str(folder), "demo", clock.now()) is None
        broken.close()


@pytest.mark.usefixtures("small_batches")
def test_a_batch_recsys_has_and_the_shop_lost_is_taken_again_without_doubling(
    app, clock, folder, tmp_path, monkeypatch
):
    with app.app_context():
        gateway = _gateway(tmp_path / "engine.sqlite3", clock)
        keep, calls = history._insert, []

        def die_at_the_third_batch(model, rows):
            calls.append(model)
            if calls.count(TrackedEvent) == 3 and model is TrackedEvent:
                raise KeyboardInterrupt
            keep(model, rows)

        monkeypatch.setattr(history, "_insert", die_at_the_third_batch)
        with pytest.raises(KeyboardInterrupt):
            _fill(folder, gateway, clock.now())
        monkeypatch.setattr(history, "_insert", keep)
        ahead = len(_log(tmp_path / "engine.sqlite3")) - len(db.session.scalars(select(TrackedEvent.id)).all())
        db.session.rollback()

        _fill(folder, gateway, clock.now())

        ids = sorted(db.session.scalars(select(TrackedEvent.source_event_id)))
        assert ahead > 0
        assert sorted(row[0] for row in _log(tmp_path / "engine.sqlite3")) == ids
        gateway.close()


def test_another_source_is_refused_while_one_is_half_in(app, clock):
    with app.app_context():
        assert start_filling("", "demo", clock.now()) == ("demo", clock.now())

        with pytest.raises(InvalidInput, match="demo was interrupted"):
            start_filling("/some/folder", "demo", clock.now())

        assert start_filling("", "demo", clock.now() + timedelta(days=1)) == ("demo", clock.now())
        assert cli.DEMO == "demo"


def test_history_in_bulk_leaves_the_state_of_the_contract_s_door(clock, tmp_path):
    at = datetime(2026, 1, 5, 12, tzinfo=UTC)
    events = [
        Event(
            f"u_{n % 9}",
            f"item-{n * 7 % 13}",
            3 if n % 4 else 0,
            1.0 + n % 3,
            at + timedelta(minutes=2 * n),
            {"order_id": f"o{n // 27}-{n % 9}", "recommended": False},
            f"past:{n}",
        )
        for n in range(300)
    ]
    events += [events[5], Event("", "item-1", 0, ts=at), Event("u_1", "item-1", 0, 2.0, at, {}, "past:7")]
    one, other = _gateway(tmp_path / "one.sqlite3", clock), _gateway(tmp_path / "other.sqlite3", clock)
    for gateway in (one, other):
        gateway.similar("item-1", 3)  # a live state exists before anything is learned

    in_bulk = one.append_history(events)
    by_contract = [other.send_events(events[start : start + 50]) for start in range(0, len(events), 50)]

    assert (in_bulk.accepted, in_bulk.duplicates) == (300, 1)
    assert sorted(bad.code for bad in in_bulk.rejected) == ["id_conflict", "invalid_user_id"]
    assert in_bulk.accepted == sum(part.accepted for part in by_contract)
    assert [bad.code for part in by_contract for bad in part.rejected] == [bad.code for bad in in_bulk.rejected]
    assert _log(tmp_path / "one.sqlite3") == _log(tmp_path / "other.sqlite3")
    states = [gateway._engine.live_state() for gateway in (one, other)]
    assert states[0].catalog.index == states[1].catalog.index
    for name in ("covisit", "sequence", "basket"):
        pairs = [getattr(state, name).nonzero() for state in states]
        assert pairs[0] == pairs[1]
        assert pairs[0] or name == "sequence", name
    for user in states[0].histories.user_index:
        both = [state.histories.rows(state.histories.user_index[user]).tolist() for state in states]
        assert both[0] == both[1]
    one.close()
    other.close()
