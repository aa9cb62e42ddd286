"""From the log and the outbox to Recsys: once in effect, whatever goes wrong."""

import random
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy import update as update_rows

from recsys_engine.contract import EVENT_SCHEMA_VERSION, Event, EventsResult
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity
from shop_app.outbox.services import mark_changed
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable
from shop_app.site_settings.services import update
from shop_app.sync.models import SinkState
from shop_app.sync.services import LEASE, Carrier, drain, push_events, push_items, push_users
from shop_app.tracking.delivery import wake_far_ahead
from shop_app.tracking.models import TrackedEvent
from tests.factories.catalog import a_product
from tests.factories.events import tell_purchases
from tests.fakes import FakeGateway

pytestmark = pytest.mark.usefixtures("app_context")


def told(clock: FixedClock, count: int, prefix: str = "order:1") -> list[str]:
    with unit_of_work(db.session):
        return tell_purchases(count, clock.now(), prefix)


def states() -> dict[str, str]:
    return {row.source_event_id: row.delivery for row in db.session.scalars(select(TrackedEvent))}


@pytest.mark.ticket("RS-028")
def test_due_events_arrive_with_their_meta(carrier: Carrier, recsys: FakeGateway, clock: FixedClock) -> None:
    ids = told(clock, 3)

    pushed = push_events(carrier)

    assert (pushed.delivered, pushed.refused, pushed.left, pushed.calls) == (3, 0, 0, 1)
    assert recsys.received == ids
    event = recsys.events[ids[0]]
    assert (event.user_id, event.item_id, event.type, event.value) == ("a_one", "MUG-1", 3, 2.0)
    assert event.ts == clock.now()
    assert event.meta == {"session_id": "s_one", "recommended": False}
    assert push_events(carrier).is_idle
    assert recsys.received == ids


@pytest.mark.ticket("RS-028")
def test_one_poison_in_five_hundred_is_isolated_in_nineteen_calls(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    ids = told(clock, 500)
    recsys.refuses_whole_batches, recsys.poison = True, {ids[317]}
    with unit_of_work(db.session):
        db.session.add(SinkState(name="events", batch_size=500, failures=0))

    pushed = push_events(carrier)

    assert pushed.calls <= 19
    assert (pushed.delivered, pushed.refused, pushed.left) == (499, 1, 0)
    assert {event_id for event_id, state in states().items() if state != "sent"} == {ids[317]}
    dead = db.session.scalars(select(TrackedEvent).where(TrackedEvent.delivery == "dead")).one()
    assert (dead.error_code, dead.error_path, dead.last_error) == ("invalid_value", "value", "bad event")
    assert dead.error_schema == EVENT_SCHEMA_VERSION


def test_ten_poisons_cost_at_most_140_calls(carrier: Carrier, recsys: FakeGateway, clock: FixedClock) -> None:
    ids = told(clock, 500)
    recsys.refuses_whole_batches, recsys.poison = True, set(ids[::50])
    with unit_of_work(db.session):
        db.session.add(SinkState(name="events", batch_size=500, failures=0))

    pushed = push_events(carrier)

    assert pushed.calls <= 140
    assert (pushed.delivered, pushed.refused) == (490, 10)


@pytest.mark.ticket("RS-026")
@pytest.mark.ticket("RS-028")
def test_a_lost_answer_is_repaired_by_sending_the_same_ids_again(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    ids = told(clock, 5)
    recsys.lose_answer_after = 1

    first = push_events(carrier)
    clock.advance(timedelta(minutes=5))
    second = push_events(carrier)

    assert (first.left, second.delivered) == (5, 5)
    assert recsys.received == ids + ids
    assert sorted(recsys.events) == sorted(ids)
    assert set(states().values()) == {"sent"}


@pytest.mark.ticket("RS-031")
def test_while_recsys_is_away_the_circuit_is_open_and_the_batch_halves(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    told(clock, 5)
    recsys.trouble = RecsysUnavailable("busy", retry_after_s=30)

    push_events(carrier)
    clock.advance(timedelta(seconds=29))
    push_events(carrier)

    assert recsys.calls == 1
    state = db.session.get_one(SinkState, "events")
    assert (state.batch_size, state.failures, state.last_error) == (100, 1, "busy")
    recsys.trouble = None
    clock.advance(timedelta(seconds=2))
    assert push_events(carrier).delivered == 5
    db.session.refresh(state)
    assert (state.batch_size, state.failures, state.open_until, state.last_error) == (120, 0, None, None)


@pytest.mark.ticket("RS-031")
def test_a_wrong_key_makes_no_dead_letters(carrier: Carrier, recsys: FakeGateway, clock: FixedClock) -> None:
    told(clock, 5)
    recsys.trouble = RecsysRejected("unauthorized", "no such key", {}, 401)

    pushed = push_events(carrier)

    assert (pushed.left, pushed.refused, pushed.calls) == (5, 0, 1)
    assert set(states().values()) == {"pending"}


def test_a_killed_workers_batch_is_due_again_when_its_lease_lapses(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    ids = told(clock, 3)

    def die() -> None:
        raise KeyboardInterrupt

    recsys.on_call = die
    with pytest.raises(KeyboardInterrupt):
        push_events(carrier)
    recsys.on_call = lambda: None

    assert push_events(carrier).is_idle
    clock.advance(LEASE)
    assert push_events(carrier).delivered == 3
    assert sorted(recsys.events) == ids


def test_two_workers_never_carry_the_same_event(carrier: Carrier, recsys: FakeGateway, clock: FixedClock) -> None:
    told(clock, 4)
    with unit_of_work(db.session):
        db.session.add(SinkState(name="events", batch_size=200, at_once=2))
    seen: list[int] = []

    def second_worker() -> None:
        recsys.on_call = lambda: None
        seen.append(push_events(carrier).delivered)

    recsys.on_call = second_worker
    pushed = push_events(carrier, limit=2)

    assert (pushed.delivered, seen) == (2, [2])
    assert len(recsys.received) == len(set(recsys.received)) == 4


@pytest.mark.ticket("RS-075")
def test_what_is_sent_at_once_adds_after_success_halves_after_trouble_and_stays_in_bounds(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    with unit_of_work(db.session):
        values = {"events_smallest": 30, "events_largest": 230, "events_at_once": 3}
        update("delivery", values, expected_version=0, actor="owner", now=clock.now())

    def push_one() -> tuple[int, int]:
        clock.advance(timedelta(minutes=6))
        told(clock, 1, f"order:{clock.now():%H%M}")
        push_events(carrier)
        state = db.session.get_one(SinkState, "events", populate_existing=True)
        return state.batch_size, state.at_once

    grown = [push_one() for _ in range(4)]
    recsys.trouble = RecsysUnavailable("busy")
    shrunk = [push_one() for _ in range(4)]

    assert grown == [(220, 2), (230, 3), (230, 3), (230, 3)]
    assert shrunk == [(115, 1), (57, 1), (30, 1), (30, 1)]


@pytest.mark.ticket("RS-075")
def test_no_more_batches_are_under_way_than_allowed_and_a_dead_workers_counts_for_seconds_only(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    told(clock, 6)
    seen: list[int] = []

    def others_try_then_die() -> None:
        recsys.on_call = lambda: None
        seen.append(push_events(carrier, limit=2).delivered)
        clock.advance(timedelta(seconds=6))
        seen.append(push_events(carrier, limit=2).delivered)
        raise KeyboardInterrupt

    recsys.on_call = others_try_then_die
    with pytest.raises(KeyboardInterrupt):
        push_events(carrier, limit=2)

    assert seen == [0, 2]


@pytest.mark.ticket("RS-075")
def test_one_worker_sends_several_batches_at_a_time_each_once_and_no_more_than_allowed(
    app: Flask, recsys: FakeGateway, clock: FixedClock
) -> None:
    ids = told(clock, 90)
    with unit_of_work(db.session):
        values = {"events_smallest": 10, "events_largest": 10, "events_at_once": 3}
        update("delivery", values, expected_version=0, actor="owner", now=clock.now())
        db.session.add(SinkState(name="events", batch_size=10, failures=0, at_once=3))
    together, lock, under_way = threading.Barrier(3, timeout=20), threading.Lock(), [0, 0, 0]

    class Slow(FakeGateway):
        """One call, then two, then three: the third waits for two more beside it. Notes the most that were under way."""

        def send_events(self, events: Sequence[Event]) -> EventsResult:
            with lock:
                under_way[0] += 1
                under_way[1] = max(under_way[:2])
                under_way[2] += 1
                is_third = 3 <= under_way[2] <= 5
            if is_third:
                together.wait()
            with lock:
                under_way[0] -= 1
                return recsys.send_events(events)

    delivered = drain(Carrier(Slow(), clock, random.Random(1), in_context=app.app_context))["events"].delivered
    delivered += drain(Carrier(recsys, clock, random.Random(1)))["events"].delivered

    assert under_way[1] == 3
    assert delivered == 90
    assert sorted(recsys.received) == sorted(ids)
    assert set(states().values()) == {"sent"}


@pytest.mark.ticket("RS-075")
def test_several_at_a_time_stop_at_the_first_trouble_and_keep_every_event(
    app: Flask, recsys: FakeGateway, clock: FixedClock
) -> None:
    ids = told(clock, 60)
    with unit_of_work(db.session):
        db.session.add(SinkState(name="events", batch_size=10, failures=0, at_once=4))
    recsys.trouble = RecsysUnavailable("away")

    pushed = drain(Carrier(recsys, clock, random.Random(1), in_context=app.app_context))["events"]

    assert pushed.delivered == 0
    assert 1 <= recsys.calls <= 4
    assert set(states().values()) == {"pending"}
    recsys.trouble = None
    clock.advance(timedelta(minutes=6))
    drain(Carrier(recsys, clock, random.Random(1), in_context=app.app_context))
    drain(Carrier(recsys, clock, random.Random(1)))
    assert sorted(recsys.received) == sorted(ids)


@pytest.mark.ticket("RS-027")
def test_events_written_down_by_a_clock_that_was_a_day_ahead_do_not_wait_for_that_day(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    clock.advance(timedelta(days=1))
    ids = told(clock, 2)
    clock.advance(timedelta(days=-1))
    soon = told(clock, 1, "order:2")
    before = push_events(carrier)
    with unit_of_work(db.session):
        woken = wake_far_ahead(clock.now())
    push_events(carrier)

    assert (before.delivered, woken) == (len(soon), 2)
    assert recsys.received == [*soon, *ids]


@pytest.mark.ticket("RS-027")
def test_an_event_of_this_hour_refused_for_its_time_waits_for_the_clocks_to_agree(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    ids = told(clock, 3)
    recsys.poison, recsys.refusal = set(ids[:2]), "invalid_timestamp"

    push_events(carrier)
    first = states()
    recsys.poison = {ids[0]}
    clock.advance(timedelta(minutes=2))
    push_events(carrier)
    clock.advance(timedelta(hours=1))
    push_events(carrier)

    assert first == {ids[0]: "pending", ids[1]: "pending", ids[2]: "sent"}
    assert states() == {ids[0]: "dead", ids[1]: "sent", ids[2]: "sent"}


@pytest.mark.ticket("RS-026")
def test_another_event_under_a_known_id_is_set_aside_with_its_code_and_path(app: Flask, clock: FixedClock) -> None:
    carrier = Carrier(app.extensions["recsys"], clock, random.Random(7))
    first, second = told(clock, 2)
    push_events(carrier)
    with unit_of_work(db.session):
        again = update_rows(TrackedEvent).where(TrackedEvent.source_event_id == first)
        db.session.execute(again.values(value=9.0, delivery="pending", next_attempt_at=clock.now()))
    third = told(clock, 1, "order:2")[0]

    push_events(carrier)

    assert states() == {first: "dead", second: "sent", third: "sent"}
    dead = db.session.scalars(select(TrackedEvent).where(TrackedEvent.delivery == "dead")).one()
    assert (dead.error_code, dead.error_path) == ("id_conflict", "source_event_id")


@pytest.mark.ticket("RS-027")
def test_a_pause_noted_by_a_clock_that_was_ahead_means_nothing(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    told(clock, 1)
    with unit_of_work(db.session):
        ahead = clock.now() + timedelta(hours=1)
        pause = {"failures": 1, "last_failure_at": ahead, "open_until": ahead + timedelta(minutes=5)}
        db.session.add(SinkState(name="events", batch_size=200, **pause))

    assert push_events(carrier).delivered == 1
    state = db.session.get_one(SinkState, "events", populate_existing=True)
    assert (state.open_until, state.last_failure_at) == (None, None)


@pytest.mark.ticket("RS-007")
@pytest.mark.ticket("RS-008")
@pytest.mark.ticket("RS-009")
def test_a_changed_product_arrives_as_it_is_now(carrier: Carrier, recsys: FakeGateway, clock: FixedClock) -> None:
    with unit_of_work(db.session):
        product = a_product(price=12_50)
        mark_changed("item", [product.id], clock.now())
        product.price_minor, product.stock = 9_99, 0
        mark_changed("item", [product.id], clock.now())

    pushed = push_items(carrier)

    assert (pushed.delivered, pushed.calls) == (1, 1)
    item = recsys.items["MUG-1"]
    assert (item.available, item.price, item.props["currency"]) == (False, 9.99, "GBP")  # type: ignore[index]
    assert db.session.scalars(select(ChangedEntity)).all() == []


@pytest.mark.ticket("RS-007")
def test_a_change_during_the_call_is_sent_again_and_never_by_two_at_once(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    with unit_of_work(db.session):
        product = a_product(price=12_50)
        mark_changed("item", [product.id], clock.now())
    product_id = product.id

    def change_meanwhile() -> None:
        recsys.on_call = lambda: None
        with unit_of_work(db.session):
            db.session.get_one(type(product), product_id).price_minor = 5_00
            mark_changed("item", [product_id], clock.now())
        assert push_items(carrier).is_idle

    recsys.on_call = change_meanwhile
    push_items(carrier)

    assert recsys.items["MUG-1"].price == 12.5
    assert push_items(carrier).delivered == 1
    assert recsys.items["MUG-1"].price == 5.0
    assert db.session.scalars(select(ChangedEntity)).all() == []


@pytest.mark.ticket("RS-007")
def test_a_refused_product_does_not_hold_back_the_others(
    carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    with unit_of_work(db.session):
        mark_changed("item", [a_product(f"SKU-{n}").id for n in range(8)], clock.now())
    recsys.poison = {"SKU-3"}

    pushed = drain(carrier)["items"]

    assert (pushed.delivered, pushed.refused) == (7, 1)
    waiting = db.session.scalars(select(ChangedEntity)).one()
    assert waiting.last_error == "invalid_item price: bad item"
    assert waiting.next_attempt_at == clock.now() + timedelta(hours=1)


def test_members_without_consent_are_not_sent(carrier: Carrier, recsys: FakeGateway, clock: FixedClock) -> None:
    with unit_of_work(db.session):
        mark_changed("user", [12345], clock.now())

    push_users(carrier)

    assert recsys.users == {}
    assert db.session.scalars(select(ChangedEntity)).all() == []
