"""Recsys learns that somebody anonymous was a member all along (RS-014)."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.sync.services import LEASE, Carrier, drain
from shop_app.tracking.delivery import lease_events
from shop_app.tracking.models import TrackedEvent
from tests.factories.accounts import a_member, sign_in
from tests.factories.catalog import a_product
from tests.fakes import FakeGateway


@pytest.fixture
def guest(app: Flask, agreed: FlaskClient, clock: FixedClock) -> FlaskClient:
    """Somebody anonymous with one add behind them; the shop has a member they may turn out to be."""
    with app.app_context():
        a_product("MUG-1")
        db.session.commit()
    agreed.post("/cart/lines", data={"sku": "MUG-1"})
    return agreed


def push(app: Flask, carrier: Carrier) -> None:
    with app.app_context():
        drain(carrier)


def who(recsys: FakeGateway) -> list[str]:
    return [event.user_id for event in recsys.events.values()]


def states(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(TrackedEvent.delivery)))


@pytest.mark.ticket("RS-014")
def test_what_was_sent_before_signing_in_is_the_members_afterwards(
    app: Flask, guest: FlaskClient, recsys: FakeGateway, carrier: Carrier, clock: FixedClock
) -> None:
    _, key = a_member(app, now=clock.now())
    push(app, carrier)
    before = dict(recsys.events)
    assert [user.startswith("a_") for user in who(recsys)] == [True]

    sign_in(guest)
    for _ in range(2):
        push(app, carrier)

    assert who(recsys) == [key]
    assert list(recsys.events) == list(before)
    assert states(app) == ["sent"]


@pytest.mark.ticket("RS-014")
def test_an_outage_postpones_the_move(
    app: Flask, guest: FlaskClient, recsys: FakeGateway, carrier: Carrier, clock: FixedClock
) -> None:
    _, key = a_member(app, now=clock.now())
    push(app, carrier)
    sign_in(guest)

    recsys.trouble = RecsysUnavailable("down")
    push(app, carrier)
    assert states(app) == ["merging"]
    recsys.trouble = None
    clock.advance(timedelta(minutes=10))
    push(app, carrier)

    assert who(recsys) == [key]
    assert states(app) == ["sent"]


@pytest.mark.ticket("RS-014")
def test_the_move_waits_for_a_worker_that_may_still_be_sending(
    app: Flask, guest: FlaskClient, recsys: FakeGateway, carrier: Carrier, clock: FixedClock
) -> None:
    _, key = a_member(app, now=clock.now())
    with app.app_context(), unit_of_work(db.session):
        lease_events(limit=10, now=clock.now(), lease=LEASE, token="slow-worker")
    sign_in(guest)

    push(app, carrier)
    assert (who(recsys), states(app)) == ([], ["merging"])
    clock.advance(LEASE)
    push(app, carrier)

    assert who(recsys) == [key]
