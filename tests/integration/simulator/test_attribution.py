"""A simulated month: every order line is credited as the shoppers' true clicks say, and every fault is listed."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.analytics.models import OrderLineCredit
from shop_app.analytics.period import last_days
from shop_app.analytics.queries.proof import proof
from shop_app.analytics.services import credit_order_lines
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.simulator.truth import TruthList
from tests.factories.faults import FAULTS, damage


@pytest.fixture
def month(app: Flask, clock: FixedClock, live) -> Iterator[TruthList]:
    truth, _ = live(start=clock.now(), days=28, shoppers=3, keenness=1.2)
    with app.app_context():
        while credit_order_lines(clock.now() + timedelta(hours=1)):
            db.session.commit()
        yield truth


def true_credit(truth: TruthList, order: dict[str, Any], sku: str) -> str:
    """The rule applied to what the shopper did: the last recommended click on the product, else a card seen."""
    at = datetime.fromisoformat(order["at"])
    seen = [
        (at - datetime.fromisoformat(fact["at"]), fact["clicked"])
        for fact in truth.of("seen")
        if fact["shopper"] == order["shopper"] and fact["sku"] == sku and fact["request_id"]
    ]
    clicks = [age for age, is_click in seen if is_click and timedelta(0) <= age <= timedelta(days=7)]
    if clicks:
        return "click_24h" if min(clicks) <= timedelta(hours=24) else "click_7d"
    return "view" if any(timedelta(0) <= age <= timedelta(hours=24) for age, _ in seen) else "organic"


@pytest.mark.ticket("RS-053")
def test_the_proof_holds_to_the_line_on_a_simulated_month_and_lists_every_fault(
    month: TruthList, clock: FixedClock
) -> None:
    consents = {fact["shopper"]: fact["consent"] for fact in month.of("shopper")}
    sums = proof(last_days(30, clock.now().date()))

    assert sums.holds
    assert sums.orders == len(month.of("ordered")) >= 4
    for order in month.of("ordered"):
        lines = db.session.scalars(select(OrderLine).join(Order).where(Order.number == order["number"])).all()
        for line in lines if consents[order["shopper"]] == "all" else ():
            credit = db.session.get_one(OrderLineCredit, line.id).credit
            assert credit == true_credit(month, order, line.item_id), (order, line.item_id)

    kinds = set(db.session.scalars(select(OrderLineCredit.credit)))
    assert "organic" in kinds
    assert kinds & {"click_24h", "click_7d", "view"}

    harmed = random.Random(3).sample(db.session.scalars(select(OrderLine).order_by(OrderLine.id)).all(), len(FAULTS))
    expected = {damage(line, fault) for line, fault in zip(harmed, FAULTS, strict=True)}
    db.session.commit()
    differences = proof(last_days(30, clock.now().date())).differences
    assert {(d.kind, d.order_number, d.position) for d in differences} == expected
    assert len(differences) == len(expected)
