"""Trouble becomes a row somebody takes on, and the row closes when the trouble is gone."""

import random
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import delete, select

from shop_app.analytics.models import Alert
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.jobs.analytics import watch
from shop_app.tracking.models import TrackedEvent
from tests.factories.analytics import an_event, an_order
from tests.factories.catalog import a_product
from tests.integration.admin.conftest import SignIn


def alerts() -> list[Alert]:
    return list(db.session.scalars(select(Alert).order_by(Alert.id)))


def test_refused_and_waiting_events_open_one_alert_each_and_close_when_gone(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    with app.app_context():
        an_event(EventKind.CLICK, clock.now(), delivery="dead")
        an_event(EventKind.CLICK, clock.now() - timedelta(minutes=25), delivery="pending")
        db.session.commit()

        first, second = watch(), watch()

        assert (first, second) == ({"opened": 2, "closed": 0}, {"opened": 0, "closed": 0})
        assert {alert.fingerprint: alert.severity for alert in alerts()} == {
            "delivery:dead": "ticket",
            "delivery:waiting": "page",
        }
        chosen = alerts()[0].id
    support = sign_in("support")
    assert "2 alerts nobody has taken on" in support.get("/admin/").text
    support.post(f"/admin/alerts/{chosen}/acknowledgement")
    assert "1 alert nobody has taken on" in support.get("/admin/").text
    assert "taken on by" in support.get("/admin/alerts").text
    with app.app_context():
        db.session.execute(delete(TrackedEvent))
        db.session.commit()
        assert watch() == {"opened": 0, "closed": 2}
        assert all(alert.closed_at for alert in alerts())


@pytest.mark.ticket("RS-053")
def test_an_order_without_its_purchase_event_is_an_alert_that_names_it(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        number = an_order(clock.now() - timedelta(hours=2), [a_product()]).number
        db.session.execute(delete(TrackedEvent))
        db.session.commit()

        watch()

        assert [alert.fingerprint for alert in alerts()] == [f"books:{number}:1:event_missing"]


@pytest.mark.ticket("RS-046")
def test_an_hour_without_clicks_is_noticed_and_an_ordinary_hour_is_not(app: Flask, clock: FixedClock) -> None:
    rng = random.Random(2)
    with app.app_context():
        for week in range(1, 5):
            for hour in range(6):
                told(clock, timedelta(weeks=week, hours=1 + hour), rng.randint(55, 65))
        for hour in range(6):
            told(clock, timedelta(hours=1 + hour), rng.randint(55, 65))
        db.session.commit()
        assert watch()["opened"] == 0

        hour = clock.now() - timedelta(hours=1)
        db.session.execute(
            delete(TrackedEvent).where(TrackedEvent.type == int(EventKind.CLICK), TrackedEvent.occurred_at >= hour)
        )
        db.session.commit()
        watch()

        assert "stream:drop:type:click" in {alert.fingerprint for alert in alerts()}


def told(clock: FixedClock, ago: timedelta, number: int) -> None:
    start = (clock.now() - ago + timedelta(minutes=20)).replace(minute=0, second=0, microsecond=0)
    for n in range(number):
        at = start + n * timedelta(hours=1) / number
        an_event(EventKind.VIEW, at, session_id=f"s_{n % 15}")
        an_event(EventKind.CLICK, at, session_id=f"s_{n % 15}")
