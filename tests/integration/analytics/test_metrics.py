"""The console's numbers against loops over every row, before and after the daily sums are written."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from shop_app.analytics.models import DayCell, DayPlace, OrderLineCredit, RolledDay
from shop_app.analytics.period import Period, last_days
from shop_app.analytics.queries import funnel as metrics
from shop_app.analytics.queries import volume
from shop_app.analytics.queries.cells import EVERYWHERE, Place
from shop_app.analytics.services import credit_order_lines, roll_days
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.orders.models import OrderLine
from shop_app.tracking.models import TrackedEvent
from tests.factories.analytics import DEVICES, SLOTS, an_event, an_order, random_days
from tests.factories.catalog import a_product
from tests.integration.analytics import oracle

GROUPINGS = (
    (), ("surface",), ("surface", "widget"), ("rank",), ("device",), ("surface", "device"),
    ("audience",), ("arm",), ("surface", "audience"),
)  # fmt: skip


@pytest.fixture
def busy_month(app: Flask, clock: FixedClock):
    with app.app_context():
        random_days(clock.now(), [a_product(f"P-{n}") for n in range(8)], days=30, visits=80, seed=7)
        db.session.commit()
        clock.advance(timedelta(minutes=10))
        while credit_order_lines(clock.now()):
            db.session.commit()
        yield


def compare(period: Period, by: tuple[str, ...], place: Place) -> int:
    """Assert that the rows are exactly the oracle's; returns how many rows there were."""
    rows = {row.key: row for row in metrics.funnel(period, by, place)}
    expected = oracle.lists(period, by, place)
    for key, counts in expected.items():
        row = rows[key]
        assert (row.impressions, row.clicks, row.adds) == (counts["impressions"], counts["clicks"], counts["adds"])
    seen = {key: row for key, row in rows.items() if row.impressions or row.clicks or row.adds}
    assert seen.keys() == expected.keys()
    return len(seen)


@pytest.mark.ticket("RS-047")
def test_a_hundred_random_filters_equal_the_loops_with_and_without_daily_sums(
    busy_month: None, clock: FixedClock
) -> None:
    rng = random.Random(3)
    asked = []
    for _ in range(100):
        first = clock.now().date() - timedelta(days=rng.randrange(31))
        surface, widget = rng.choice([*SLOTS, ("", "")])
        by, named = rng.choice(GROUPINGS), Place(surface, rng.choice([widget, ""]))
        place = replace(named, rank=rng.choice([None, None, 1, 3]), device=rng.choice(["", *DEVICES]))
        place = named if {"audience", "arm"} & set(by) else place
        asked.append((Period(first, first + timedelta(days=rng.randrange(31))), by, place))

    live = [compare(*one) for one in asked]
    assert roll_days(clock.now(), max_days=100) == 31
    db.session.commit()
    rolled = [compare(*one) for one in asked]

    assert live == rolled
    assert sum(live) > 100


@pytest.mark.ticket("RS-047")
def test_events_newer_than_the_sums_are_added_once_whatever_is_asked(busy_month: None, clock: FixedClock) -> None:
    period = last_days(31, clock.now().date())
    an_event(EventKind.VIEW, clock.now(), surface="home", widget="new", rank=2, received_at=clock.now())
    db.session.commit()
    roll_days(clock.now(), max_days=100)
    an_event(EventKind.VIEW, clock.now(), surface="home", widget="new", rank=2, received_at=clock.now())
    db.session.commit()

    held = db.session.scalar(select(func.sum(DayPlace.events)).where(DayPlace.widget == "new"))

    assert held is None
    assert [compare(period, by, EVERYWHERE) > 0 for by in GROUPINGS] == [True] * len(GROUPINGS)
    assert metrics.total(period, Place("home", "new")).impressions == 2
    assert metrics.total(period, Place("home", "new", rank=2)).impressions == 2
    assert metrics.total(period, Place("home", "new")).sums.x == 2


def test_sums_by_place_are_the_fine_sums_without_rank_and_device(busy_month: None, clock: FixedClock) -> None:
    roll_days(clock.now(), max_days=100)
    names = ("day", "type", "surface", "widget", "recommended")
    fine = select(*(getattr(DayCell, name) for name in names), func.sum(DayCell.events), func.sum(DayCell.units))
    coarse = select(*(getattr(DayPlace, name) for name in (*names, "events", "units")))

    expected = db.session.execute(fine.group_by(*(getattr(DayCell, name) for name in names))).all()
    stored = db.session.execute(coarse).all()

    assert sorted(map(tuple, stored)) == sorted(map(tuple, expected))
    assert len(stored) < db.session.scalar(select(func.count()).select_from(DayCell))


@pytest.mark.ticket("RS-047")
def test_ctr_interval_is_the_delta_method_over_shopper_days(busy_month: None, clock: FixedClock) -> None:
    period = last_days(31, clock.now().date())
    units = oracle.shopper_days(period, ("surface", "widget"), EVERYWHERE)

    for row in metrics.funnel(period, ("surface", "widget")):
        pairs = units[row.key]
        n, x, y = len(pairs), sum(x for x, _ in pairs), sum(y for _, y in pairs)
        ratio = y / x
        variance = sum((b - ratio * a) ** 2 for a, b in pairs) / (n - 1) * n / x**2
        assert row.ctr.value == pytest.approx(ratio)
        assert row.ctr.high == pytest.approx(ratio + 1.959963984540054 * variance**0.5)
        assert row.sums.n == n


@pytest.mark.ticket("RS-048")
def test_every_order_line_gets_the_credit_the_loops_give_it(busy_month: None) -> None:
    stored = {
        credit.order_line_id: (credit.credit, credit.surface, credit.widget, credit.rank)
        for credit in db.session.scalars(select(OrderLineCredit))
    }

    expected = oracle.credits_of_lines()

    assert stored == expected
    assert set(Counter(kind for kind, *_ in stored.values())) == {"click_24h", "click_7d", "view", "organic"}


def test_rows_of_all_lists_add_up_to_the_total(busy_month: None, clock: FixedClock) -> None:
    period = last_days(31, clock.now().date())

    summed, whole = metrics.added(metrics.funnel(period, ("surface", "widget"))), metrics.total(period)

    assert (summed.impressions, summed.clicks, summed.adds, summed.purchases) == (
        whole.impressions,
        whole.clicks,
        whole.adds,
        whole.purchases,
    )
    assert (summed.revenue_minor, summed.sums) == (whole.revenue_minor, whole.sums)
    assert metrics.added([]) == metrics.FunnelRow(())


def test_revenue_of_a_list_leaves_out_cancelled_orders(busy_month: None, clock: FixedClock) -> None:
    period = last_days(31, clock.now().date())
    before = metrics.total(period)
    credited = db.session.scalars(select(OrderLineCredit).where(OrderLineCredit.credit == "click_24h")).first()
    line = db.session.get_one(metrics.OrderLine, credited.order_line_id)
    line.order.status = "cancelled"
    db.session.commit()

    after = metrics.total(period)

    assert before.revenue_minor - after.revenue_minor == sum(
        one.quantity * one.unit_price_minor for one in line.order.lines
    )
    assert after.purchases == before.purchases


@pytest.mark.ticket("RS-046")
def test_volume_by_day_and_by_hour_count_each_event_once(busy_month: None, clock: FixedClock) -> None:
    an_event(EventKind.CUSTOM, clock.now() - timedelta(hours=1))
    an_event(EventKind.CUSTOM, clock.now() - timedelta(hours=80))
    db.session.commit()

    hours = volume.events_by_hour(clock.now(), hours=48)
    days = volume.events_by_day(last_days(5, clock.now().date()))

    assert sum(hours[4].values()) == 1
    assert list(hours[4]) == [clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)]
    assert sum(days[4].values()) == 2


def test_sums_are_rewritten_for_a_day_that_got_a_late_event(busy_month: None, clock: FixedClock) -> None:
    roll_days(clock.now(), max_days=100)
    db.session.commit()
    late = clock.now() - timedelta(days=9)
    before = metrics.total(last_days(31, clock.now().date())).impressions
    an_event(EventKind.VIEW, late, surface="home", widget="late", rank=1, received_at=clock.now())
    db.session.commit()

    live = metrics.total(last_days(31, clock.now().date())).impressions
    clock.advance(timedelta(minutes=5))
    days = roll_days(clock.now())
    db.session.commit()
    rolled = metrics.total(last_days(31, clock.now().date())).impressions
    again = roll_days(clock.now())

    assert (live, rolled) == (before + 1, before + 1)
    assert days == 1
    assert again == 0
    assert db.session.scalar(select(DayCell.events).where(DayCell.widget == "late")) == 1


def test_an_event_still_on_its_way_is_not_summed_too_early(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        an_event(EventKind.VIEW, clock.now(), surface="home", widget="w", rank=1)
        db.session.commit()

        roll_days(clock.now())
        upto = db.session.scalar(select(RolledDay.upto_event_id))

        assert upto == 0
        assert metrics.total(last_days(1, clock.now().date())).impressions == 1


def test_a_line_waits_until_its_clicks_must_have_arrived(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        an_order(clock.now(), [a_product()])
        db.session.commit()

        at_once = credit_order_lines(clock.now())
        later = credit_order_lines(clock.now() + timedelta(minutes=3))
        db.session.commit()
        twice = credit_order_lines(clock.now() + timedelta(minutes=4))

        assert (at_once, later, twice) == (0, 1, 0)


@pytest.mark.ticket("RS-047")
def test_money_by_audience_and_by_arm_adds_up_to_the_whole_and_lies_where_it_was_earned(
    busy_month: None, clock: FixedClock
) -> None:
    period = last_days(31, clock.now().date())
    shown = {e.request_id: oracle._of(e, "arm") for e in db.session.scalars(select(TrackedEvent)) if e.request_id}
    expected: dict[str, Counter] = {"audience": Counter(), "arm": Counter()}
    for credit in db.session.scalars(select(OrderLineCredit).where(OrderLineCredit.credit == "click_24h")):
        line = db.session.get(OrderLine, credit.order_line_id)
        expected["audience"]["member" if line.order.shopper_key.startswith("u_") else "guest"] += credit.revenue_minor
        expected["arm"][shown[credit.request_id]] += credit.revenue_minor

    for by, sums in expected.items():
        rows = {row.key[0]: row.revenue_minor for row in metrics.funnel(period, (by,)) if row.revenue_minor}
        assert rows == dict(sums)
        assert sum(rows.values()) == metrics.total(period).revenue_minor
