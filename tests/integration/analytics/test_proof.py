"""The daily proof holds on a clean month and names every fault on a damaged one."""

import random
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.analytics.models import OrderLineCredit
from shop_app.analytics.period import last_days
from shop_app.analytics.queries.proof import proof
from shop_app.analytics.services import credit_order_lines
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.orders.models import OrderLine
from shop_app.tracking.models import TrackedEvent
from tests.factories.analytics import an_order
from tests.factories.catalog import a_product
from tests.factories.faults import FAULTS, damage


@pytest.fixture
def month(app: Flask, clock: FixedClock):
    rng = random.Random(11)
    with app.app_context():
        products = [a_product(f"P-{n}", price=100 + n * 37) for n in range(12)]
        for _ in range(200):
            at = clock.now() - timedelta(seconds=rng.uniform(600, 27 * 86_400))
            an_order(at, rng.sample(products, rng.randint(1, 4)))
        db.session.commit()
        while credit_order_lines(clock.now()):
            db.session.commit()
        yield rng


@pytest.mark.ticket("RS-053")
def test_a_clean_month_adds_up_to_the_line(month: random.Random, clock: FixedClock) -> None:
    result = proof(last_days(30, clock.now().date()))

    lines = db.session.scalars(select(OrderLine)).all()
    assert result.holds
    assert result.orders == 200
    assert result.lines == len(lines)
    assert result.credited_minor == result.ordered_minor == sum(x.quantity * x.unit_price_minor for x in lines)


@pytest.mark.ticket("RS-053")
def test_each_of_the_injected_faults_is_listed_and_nothing_else(month: random.Random, clock: FixedClock) -> None:
    lines = list(db.session.scalars(select(OrderLine).order_by(OrderLine.id)))
    harmed = month.sample(lines, 10)
    expected = {damage(line, FAULTS[n % len(FAULTS)]) for n, line in enumerate(harmed)}
    db.session.commit()

    result = proof(last_days(30, clock.now().date()))

    listed = {(d.kind, d.order_number, d.position) for d in result.differences}
    assert listed == expected
    assert len(result.differences) == len(expected)
    assert not result.holds


def test_a_line_nobody_judged_keeps_the_proof_open(month: random.Random, clock: FixedClock) -> None:
    credit = db.session.scalars(select(OrderLineCredit)).first()
    db.session.delete(credit)
    db.session.commit()

    result = proof(last_days(30, clock.now().date()))

    assert result.waiting_lines == 1
    assert not result.holds
    assert result.differences == ()


def test_two_lines_of_one_item_are_matched_to_their_own_events(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        product = a_product()
        order = an_order(clock.now() - timedelta(hours=1), [product, product])
        db.session.commit()
        credit_order_lines(clock.now())
        db.session.commit()
        period = last_days(2, clock.now().date())
        assert proof(period).holds

        event = db.session.scalars(
            select(TrackedEvent).where(TrackedEvent.source_event_id == f"order:{order.number}:line:2")
        ).one()
        db.session.delete(event)
        db.session.commit()

        assert [(d.kind, d.position) for d in proof(period).differences] == [("event_missing", 2)]
