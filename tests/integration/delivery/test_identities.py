"""What somebody did before signing in is the member's at Recsys too."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.sync.identities import carry_merges
from shop_app.sync.services import Carrier, drain
from shop_app.tracking.models import TrackedEvent
from tests.factories.accounts import EMAIL, a_member, sign_in
from tests.factories.events import a_browser_event
from tests.fakes import FakeGateway
from tests.integration.delivery.test_intake import report


def carry(app: Flask, carrier: Carrier) -> int:
    with app.app_context(), unit_of_work(db.session):
        return carry_merges(carrier.gateway, carrier.clock.now())


@pytest.mark.ticket("RS-014")
def test_events_that_arrived_before_the_sign_in_move_to_the_member(
    app: Flask, agreed: FlaskClient, carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    _, key = a_member(app, EMAIL, now=clock.now())
    report(agreed, a_browser_event(id="before-001"), a_browser_event(id="before-002"))
    with app.app_context():
        drain(carrier)
    assert {event.user_id for event in recsys.events.values()} == {recsys.events["b_before-001"].user_id} != {key}
    times = {name: event.ts for name, event in recsys.events.items()}
    clock.advance(timedelta(minutes=1))

    sign_in(agreed, EMAIL)
    carried = carry(app, carrier)
    with app.app_context():
        drain(carrier)

    assert carried == 2
    assert {event.user_id for event in recsys.events.values()} == {key}
    assert {name: event.ts for name, event in recsys.events.items()} == times
    assert carry(app, carrier) == 0


@pytest.mark.ticket("RS-014")
def test_a_merge_waits_while_a_batch_is_under_way(
    app: Flask, agreed: FlaskClient, carrier: Carrier, recsys: FakeGateway, clock: FixedClock
) -> None:
    a_member(app, EMAIL, now=clock.now())
    report(agreed, a_browser_event(id="under-way1"), a_browser_event(id="arrived-01"))
    with app.app_context():
        drain(carrier)
        with unit_of_work(db.session):
            leased = update(TrackedEvent).where(TrackedEvent.source_event_id == "b_under-way1")
            db.session.execute(leased.values(delivery="pending", lease_until=clock.now() + timedelta(seconds=30)))
    sign_in(agreed, EMAIL)

    assert carry(app, carrier) == 0
    assert recsys.forgotten == []
    clock.advance(timedelta(seconds=31))
    assert carry(app, carrier) == 1
    assert len(recsys.forgotten) == 1
