"""A recommender in memory behind the app, and pushes that use it."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.core.clock import Clock, FixedClock
from shop_app.extensions import db
from shop_app.sync.services import Carrier
from tests.fakes import FakeGateway


@pytest.fixture
def recsys(app: Flask) -> FakeGateway:
    fake = FakeGateway()
    app.extensions["recsys"].inner = fake
    return fake


@pytest.fixture
def another_app(settings: Settings) -> Iterator[Callable[..., Flask]]:
    """Makes apps with other settings, and gives their connections back."""
    made: list[Flask] = []

    def make(clock: Clock | None = None, *, is_fake: bool = True, **changes: Any) -> Flask:
        app = create_app(replace(settings, **changes), clock=clock, gateway=FakeGateway() if is_fake else None)
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


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
