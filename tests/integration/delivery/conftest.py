"""A recommender in memory behind the app, and pushes that use it."""

import random
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop_app.core.clock import FixedClock
from shop_app.sync.services import Carrier
from tests.fakes import FakeGateway


@pytest.fixture
def recsys(app: Flask) -> FakeGateway:
    fake = FakeGateway()
    app.extensions["recsys"].inner = fake
    return fake


@pytest.fixture
def carrier(recsys: FakeGateway, clock: FixedClock) -> Carrier:
    return Carrier(recsys, clock, random.Random(7), "https://shop.example")  # type: ignore[arg-type]


@pytest.fixture
def app_context(app: Flask) -> Iterator[None]:
    """For tests that call services themselves. Not for tests with a client: its requests would share one `g`."""
    with app.app_context():
        yield


@pytest.fixture
def agreed(client: FlaskClient) -> FlaskClient:
    """A browser whose person agreed to everything."""
    client.post("/consent", data={"choice": "all"})
    return client
