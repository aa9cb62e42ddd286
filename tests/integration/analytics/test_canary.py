"""Freshness is measured by a shopper who does not exist, and leaves no trace in any figure."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from recsys_engine.contract import PageQuery
from shop_app.analytics import canary
from shop_app.analytics.alerts import freshness_findings
from shop_app.analytics.models import CanaryRun
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.jobs.canary import probe
from shop_app.tracking.models import TrackedEvent
from tests.integration.admin.test_lists import told_engine  # noqa: F401  (a fixture)


def runs() -> list[CanaryRun]:
    return list(db.session.scalars(select(CanaryRun).order_by(CanaryRun.id)))


@pytest.mark.ticket("RS-077")
def test_a_probe_travels_as_any_event_and_changes_the_list_it_speaks_of(
    app: Flask,
    told_engine,  # noqa: F811  (the fixture)
) -> None:
    with app.app_context():
        told = probe()

        [run] = runs()
        event = db.session.scalars(select(TrackedEvent)).one()
    assert told["outcome"] == run.outcome == "changed"
    assert run.lag_ms is not None
    assert (event.is_qa, event.value, event.delivery) == (True, 0.0, "sent")
    [known] = told_engine.list_events(PageQuery(user_id=run.probe)).rows
    assert (known.item_id, known.value, known.meta["qa"]) == (run.item_id, 0.0, True)


def test_a_list_that_does_not_follow_is_written_down_and_three_in_a_row_are_an_alert(
    app: Flask,
    clock: FixedClock,
    told_engine,  # noqa: F811  (the fixture)
) -> None:
    seconds = iter(range(100))
    with app.app_context():
        sent = canary.a_probe(told_engine)
        outcome = canary.watch_list(told_engine, sent, timer=lambda: next(seconds), pause=lambda _: None)
        for _ in range(3):
            assert freshness_findings(clock.now()) == []
            canary.note(sent, outcome, 5.0, clock.now())
        db.session.commit()
        findings = freshness_findings(clock.now())
        fresh = canary.freshness(clock.now() - timedelta(hours=1))

    assert outcome == "unchanged"
    assert [(one.kind, one.subject, one.severity) for one in findings] == [("freshness", "missed", "page")]
    assert (fresh.missed, fresh.median_ms) == (3, None)


def test_yesterday_s_probes_are_forgotten_in_one_call_and_only_once(
    app: Flask,
    clock: FixedClock,
    told_engine,  # noqa: F811  (the fixture)
) -> None:
    with app.app_context():
        probe()
        probe()
        keys = [run.probe for run in runs()]
        assert canary.forget_old(told_engine, clock.now() + timedelta(days=1, hours=1)) == 0
        forgotten = canary.forget_old(told_engine, clock.now() + timedelta(days=2, minutes=1))
        again = canary.forget_old(told_engine, clock.now() + timedelta(days=2, minutes=1))
        db.session.commit()
        left = db.session.scalars(select(TrackedEvent)).all()

    assert (forgotten, again) == (2, 0)
    assert left == []
    assert not any(told_engine.list_events(PageQuery(user_id=key)).rows for key in keys)


def test_a_shop_without_products_has_nothing_to_probe(app: Flask) -> None:
    with app.app_context():
        assert probe() == {"outcome": "nothing to look at"}
