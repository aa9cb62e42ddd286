"""Order lines, the log and Recsys: equal, or found and mended."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import create_engine, delete, select, text, update

from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.orders.payloads import order_events
from shop_app.sync.reconciliation import find_drift, repair, take_back
from shop_app.sync.services import Carrier, drain, push_events
from shop_app.tracking.models import TrackedEvent
from shop_app.tracking.services import record_business_events
from tests.factories.catalog import a_product
from tests.factories.events import a_shopper
from tests.fakes import FakeGateway

pytestmark = pytest.mark.usefixtures("app_context")
ORDERS, LINES = 40, 3


def sell(orders: int, lines: int, clock: FixedClock) -> list[str]:
    """Orders and what they tell, not yet sent; returns the ids of the purchase events."""
    with unit_of_work(db.session):
        product = a_product()
        for n in range(orders):
            order = Order(
                number=f"RS-{n:04}", idempotency_key=f"key-{n}", shopper_key="a_one", email="a@example.org", address={},
                delivery_method="collect", currency="GBP", subtotal_minor=100, delivery_minor=0, total_minor=100,
                placed_at=clock.now(), access_token="t",
            )  # fmt: skip
            order.lines = [
                OrderLine(
                    position=p, product_id=product.id, variant_id=product.variants[0].id, item_id="MUG-1", sku="MUG-1",
                    title="Mug", quantity=p, unit_price_minor=1250, currency="GBP",
                )
                for p in range(1, lines + 1)
            ]  # fmt: skip
            db.session.add(order)
            record_business_events(order_events(order, ""), a_shopper(), clock.now())
            clock.advance(timedelta(seconds=1))
    clock.advance(timedelta(minutes=10))
    return [f"order:RS-{n:04}:line:{p}" for n in range(orders) for p in range(1, lines + 1)]


@pytest.fixture
def sold(carrier: Carrier, clock: FixedClock) -> list[str]:
    """Orders whose events have all arrived; returns the ids of the purchase events."""
    ids = sell(ORDERS, LINES, clock)
    push_events(carrier, limit=500)
    return ids


def look(recsys: FakeGateway, clock: FixedClock) -> "tuple[list[str], ...]":
    drift = find_drift(recsys, since=clock.now() - timedelta(days=1), now=clock.now())  # type: ignore[arg-type]
    assert drift.orders == ORDERS
    return drift.untold, drift.unarrived, drift.unfounded, drift.different


@pytest.mark.ticket("RS-053")
def test_a_clean_day_raises_nothing(recsys: FakeGateway, clock: FixedClock, sold: list[str]) -> None:
    assert look(recsys, clock) == ([], [], [], [])
    assert len(sold) == ORDERS * LINES


@pytest.mark.ticket("RS-053")
def test_what_was_lost_on_either_side_is_found_in_one_cycle_and_mended_in_the_next(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock, sold: list[str]
) -> None:
    lost_here, lost_there = random.Random(5).sample(sold, 2)
    before = dict(recsys.events)
    with unit_of_work(db.session):
        db.session.execute(delete(TrackedEvent).where(TrackedEvent.source_event_id == lost_here))
    del recsys.events[lost_there], recsys.events[lost_here]

    assert look(recsys, clock) == ([lost_here], [lost_there], [], [])
    drift = find_drift(recsys, since=clock.now() - timedelta(days=1), now=clock.now())  # type: ignore[arg-type]
    with unit_of_work(db.session):
        assert repair(drift, clock.now()) == 2
    push_events(carrier)

    assert look(recsys, clock) == ([], [], [], [])
    for event_id in (lost_here, lost_there):
        again, first = recsys.events[event_id], before[event_id]
        assert (again.user_id, again.item_id, again.value, again.ts) == (
            first.user_id,
            first.item_id,
            first.value,
            first.ts,
        )
    assert len(recsys.events) == len(before)


@pytest.mark.ticket("RS-053")
def test_a_changed_quantity_price_or_item_is_told_anew_and_an_event_without_an_order_is_left_for_a_person(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock, sold: list[str]
) -> None:
    before = dict(recsys.events)
    with unit_of_work(db.session):
        rows = {row.source_event_id: row for row in db.session.scalars(select(TrackedEvent))}
        rows[sold[0]].value += 1
        rows[sold[1]].meta = {**rows[sold[1]].meta, "unit_price": 1}
        rows[sold[2]].source_event_id = "order:RS-9999:line:1"
    recsys.events[sold[7]] = replace(recsys.events[sold[7]], value=99.0, item_id="HAT-1")

    untold, unarrived, unfounded, different = look(recsys, clock)
    mend(carrier)

    assert (untold, unarrived) == ([sold[2]], [])
    assert unfounded == ["order:RS-9999:line:1"]
    assert different == sorted([sold[0], sold[1], sold[7]])
    assert look(recsys, clock) == ([], [], ["order:RS-9999:line:1"], [])
    assert recsys.events == before


def mend(carrier: Carrier) -> int:
    """What the job does, and the delivery after it."""
    now = carrier.clock.now()
    drift = find_drift(carrier.gateway, since=now - timedelta(days=1), now=now)
    db.session.rollback()
    take_back(carrier.gateway, drift)
    with unit_of_work(db.session):
        mended = repair(drift, now)
    drain(carrier)
    return mended


@pytest.mark.ticket("RS-053")
def test_one_event_in_a_thousand_deleted_or_altered_is_found_in_one_cycle_and_repaired_by_the_next(
    app: Flask, settings: Settings, clock: FixedClock
) -> None:
    carrier = Carrier(app.extensions["recsys"], clock, random.Random(7))
    sold = sell(1000, 4, clock)
    drain(carrier)
    clean = find_drift(carrier.gateway, since=clock.now() - timedelta(days=1), now=clock.now())
    db.session.rollback()
    gone_here, gone_there, other_here, other_there = chosen = random.Random(11).sample(sold, len(sold) // 1000)
    with unit_of_work(db.session):
        db.session.execute(delete(TrackedEvent).where(TrackedEvent.source_event_id == gone_here))
        altered = update(TrackedEvent).where(TrackedEvent.source_event_id == other_here)
        db.session.execute(altered.values(value=77.0))
    engine = create_engine(settings.recsys_database_url)
    with engine.begin() as there:
        there.execute(text("DELETE FROM engine_events WHERE source_event_id = :id"), {"id": gone_there})
        there.execute(text("UPDATE engine_events SET value = 55 WHERE source_event_id = :id"), {"id": other_there})

    drift = find_drift(carrier.gateway, since=clock.now() - timedelta(days=1), now=clock.now())
    db.session.rollback()
    mended = mend(carrier)
    after = find_drift(carrier.gateway, since=clock.now() - timedelta(days=1), now=clock.now())

    assert clean.is_clean
    assert (drift.untold, drift.unarrived, drift.unfounded) == ([gone_here], [gone_there], [])
    assert drift.different == sorted([other_here, other_there])
    assert mended == len(chosen)
    assert after.is_clean
    with engine.connect() as there:
        counts = "SELECT count(*), count(DISTINCT source_event_id) FROM engine_events"
        assert tuple(there.execute(text(counts)).one()) == (5000, 5000)
    engine.dispose()


def test_young_orders_are_not_judged_yet(recsys: FakeGateway, clock: FixedClock, sold: list[str]) -> None:
    recsys.events.clear()

    drift = find_drift(recsys, since=clock.now() - timedelta(seconds=30), now=clock.now())  # type: ignore[arg-type]

    assert drift.is_clean
    assert sold
