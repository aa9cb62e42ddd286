"""Simulated shoppers go through the real pages, and what the shop wrote down is what they did."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.cli import _name_experiments_begun_after
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.experiments.services import plan_experiment, start_experiment
from shop_app.extensions import db
from shop_app.orders.models import Order
from shop_app.simulator.truth import TruthList
from shop_app.tracking.models import TrackedEvent
from tests.factories.experiments import a_plan


@pytest.fixture
def week(app: Flask, clock: FixedClock, live) -> TruthList:
    app.config["WTF_CSRF_ENABLED"] = True
    truth, tally = live(start=clock.now(), days=4, shoppers=8, keenness=1.5)
    assert tally.visits == len(truth.of("visit")) > 3
    return truth


def test_the_log_holds_exactly_the_impressions_clicks_and_orders_that_happened(app: Flask, week: TruthList) -> None:
    reported = {f"b_{fact['id']}": fact for fact in week.of("seen") if fact["reported"]}

    with app.app_context():
        rows = db.session.scalars(select(TrackedEvent).where(TrackedEvent.widget.is_not(None))).all()
    browser = [row for row in rows if row.source_event_id.startswith("b_sim-")]
    impressions = {row.source_event_id: row for row in browser if row.meta.get("kind") == "impression"}
    assert week.of("refused") == []
    assert {key: (row.surface, row.rank, row.item_id) for key, row in impressions.items()} == {
        key: (fact["surface"], fact["rank"], fact["sku"]) for key, fact in reported.items()
    }
    assert sum(row.type == EventKind.CLICK for row in browser) == sum(fact["clicked"] for fact in reported.values())
    assert not any(row.is_bot or row.is_qa for row in browser)
    with app.app_context():
        placed = {o.number: {x.item_id for x in o.lines} for o in db.session.scalars(select(Order))}
    assert placed
    assert placed == {fact["number"]: {line["sku"] for line in fact["lines"]} for fact in week.of("ordered")}


def test_the_same_seed_does_the_same_things(app: Flask, clock: FixedClock, live) -> None:
    start = clock.now()
    first, _ = live(start=start, days=2, shoppers=6)
    with app.app_context():
        db.session.remove()
    acts = [fact for fact in first.facts if fact["kind"] in {"shopper", "visit"}]
    again, _ = live(start=start + timedelta(0), days=2, shoppers=6)

    assert [fact for fact in again.facts if fact["kind"] in {"shopper", "visit"}][: len(acts)] == acts


def test_an_experiment_that_these_days_cannot_fill_is_named(
    app: Flask, clock: FixedClock, capsys: pytest.CaptureFixture[str]
) -> None:
    with app.app_context():
        plan_experiment(a_plan(), actor="ana", now=clock.now())
        start_experiment("more-cards", actor="ana", now=clock.now())
        db.session.commit()

        _name_experiments_begun_after(clock.now())
        assert capsys.readouterr().out == ""
        _name_experiments_begun_after(clock.now() - timedelta(days=3))

    assert "before the start of more-cards, which counts nobody seen earlier" in capsys.readouterr().out
