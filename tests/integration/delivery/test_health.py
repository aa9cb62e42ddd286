"""Probes that name what is down."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from recsys_engine.contract import Health
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysUnavailable
from tests.factories.events import tell_purchases
from tests.fakes import FakeGateway


@pytest.mark.ticket("RS-032")
@pytest.mark.usefixtures("recsys")
def test_all_is_well(client: FlaskClient) -> None:
    ready = client.get("/readyz")

    assert (ready.status_code, ready.json) == (200, {"status": "ok", "failing": []})
    assert client.get("/healthz").json == {"status": "ok"}


@pytest.mark.ticket("RS-032")
@pytest.mark.parametrize("trouble", ["raises", "says"])
def test_a_failing_recommender_is_named_and_the_shop_stays_open(
    client: FlaskClient, recsys: FakeGateway, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    def ready() -> Health:
        if trouble == "raises":
            raise RecsysUnavailable("gone")
        return Health("degraded", ("event_tail",))

    monkeypatch.setattr(recsys, "ready", ready)

    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json["failing"] == ["recsys" if trouble == "raises" else "recsys:event_tail"]


@pytest.mark.ticket("RS-032")
@pytest.mark.usefixtures("recsys")
def test_late_delivery_is_named(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    with app.app_context(), unit_of_work(db.session):
        tell_purchases(1, clock.now())
    clock.advance(timedelta(minutes=3))

    assert client.get("/readyz").json == {"status": "degraded", "failing": ["delivery"]}


@pytest.mark.ticket("RS-032")
@pytest.mark.usefixtures("app")  # for its tables
def test_a_missing_redis_is_named(another_app: Callable[..., Flask]) -> None:
    answer = another_app(redis_url="redis://127.0.0.1:1/0").test_client().get("/readyz")

    assert (answer.status_code, answer.json["failing"]) == (200, ["redis"])


@pytest.mark.ticket("RS-032")
def test_without_tables_the_shop_is_not_ready_but_alive(
    another_app: Callable[..., Flask], empty_database_url: str
) -> None:
    client = another_app(database_url=empty_database_url).test_client()

    answer = client.get("/readyz")

    assert (answer.status_code, answer.json["failing"]) == (503, ["database"])
    assert client.get("/healthz").status_code == 200
