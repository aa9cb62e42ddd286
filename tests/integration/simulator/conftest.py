"""A shop with a small range in two departments, and a town of shoppers in front of it."""

from collections.abc import Callable
from contextvars import Context
from datetime import datetime

import pytest
from flask import Flask
from werkzeug.test import Client

from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.simulator.browser import AppDoor
from shop_app.simulator.town import Plan, Tally, Town
from shop_app.simulator.truth import TruthList
from shop_app.sync.payloads import item_payload
from tests.factories.catalog import a_category, a_product

HOST = "http://localhost"


@pytest.fixture
def shelves(app: Flask) -> None:
    items = []
    with app.app_context():
        for n in range(40):
            place = a_category(("camp", "kitchen", "desk")[n % 3])
            product = a_product(f"SKU-{n}", price=1500 + 300 * (n % 9), stock=500, category=place)
            items.append(item_payload(product, HOST))
        db.session.commit()
    app.extensions["recsys"].upsert_items(items)


@pytest.fixture
def live(app: Flask, clock: FixedClock, shelves: None) -> Callable[..., tuple[TruthList, Tally]]:
    def run(
        *,
        start: datetime,
        days: float,
        shoppers: int,
        keenness: float = 0.0,
        seed: int = 5,
        keep: Callable[[datetime], None] = lambda _: None,
    ):
        truth = TruthList()

        def set_clock(at: datetime) -> None:
            clock.at = at

        def door(number: int) -> AppDoor:
            return AppDoor(Client(app), HOST, f"10.0.0.{number % 250 + 2}")

        def work() -> Tally:
            plan = Plan(seed=seed, shoppers=shoppers, start=start, days=days, run="t", keenness=keenness)
            town = Town(plan, HOST, door, set_clock, truth, keep)
            for _ in town.live():
                pass
            return town.tally

        return truth, Context().run(work)

    return run
