"""What lists must not do to people, counted to the click and the line."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.analytics.guardrails import by_day, consent_taken_back, guardrail_findings, guardrails, judge_clicks
from shop_app.analytics.period import last_days
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.recsys.models import BOUNDS_MS, AnswerMinute
from shop_app.sync.payloads import event_payload
from shop_app.tracking.models import ConsentRecord, TrackedEvent
from tests.factories.analytics import an_event
from tests.factories.catalog import a_product
from tests.integration.admin.conftest import SignIn, sign_in  # noqa: F401  (a fixture)

HOME = {"surface": "home", "widget": "trending"}


def some_answers(clock: FixedClock, source: str, reason: str, number: int) -> None:
    bounds = {f"within_{bound}": number if bound >= 50 else 0 for bound in BOUNDS_MS}
    sums = {"answers": number, "hits": 0, "took_us": 0, "cpu_us": 0, **bounds}
    minute = clock.now().replace(second=0, microsecond=0)
    db.session.add(AnswerMinute(minute=minute, slot="home.trending", source=source, reason=reason, **sums))


@pytest.mark.ticket("RS-058")
def test_clicks_on_sold_out_products_are_counted_once_where_they_came_from(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        a_product("GONE", stock=0)
        a_product("HERE", stock=3)
        for n in range(60):
            an_event(EventKind.CLICK, clock.now(), **HOME, item_id="GONE" if n < 6 else "HERE")
        an_event(EventKind.CLICK, clock.now(), **HOME, item_id="GONE", is_qa=True)
        an_event(EventKind.CLICK, clock.now(), item_id="GONE")
        some_answers(clock, "model", "", 90)
        some_answers(clock, "none", "empty", 10)
        db.session.commit()
        looked = judge_clicks(clock.now())
        db.session.commit()
        again = judge_clicks(clock.now())
        period = last_days(1, clock.now().date())
        [row] = guardrails(period)
        shares = by_day(period)
        findings = guardrail_findings(clock.now())
        told = [event_payload(row) for row in db.session.scalars(select(TrackedEvent).where(TrackedEvent.type == 4))]

    assert [(event.type, event.item_id, event.meta["widget"]) for event in told] == [(10, "GONE", "trending")] * 6
    assert len({event.source_event_id for event in told}) == 6
    assert (looked, again) == (60, 0)
    assert (row.slot, row.clicks, row.sold_out_clicks) == (("home", "trending"), 60, 6)
    assert row.sold_out.value == pytest.approx(0.1)
    assert (row.answers.empty, row.answers.answers) == (10, 100)
    assert shares["sold_out"] == {clock.now().date(): 0.1}
    assert shares["empty"] == {clock.now().date(): 0.1}
    assert [one.subject for one in findings] == ["home.trending:sold_out", "home.trending:empty"]


def test_consent_taken_back_counts_people_who_had_given_it(app: Flask, clock: FixedClock) -> None:
    def record(key: str, *, agrees: bool, days_ago: int) -> None:
        at = clock.now() - timedelta(days=days_ago)
        told = {"text_version": "1", "text_hash": "x", "decided_at": at}
        db.session.add(ConsentRecord(shopper_key=key, analytics=True, personalisation=agrees, **told))

    with app.app_context():
        record("changed", agrees=True, days_ago=9)
        record("changed", agrees=False, days_ago=0)
        record("changed", agrees=False, days_ago=0)
        record("never", agrees=False, days_ago=0)
        db.session.commit()

        assert consent_taken_back(last_days(2, clock.now().date())) == 1


def test_the_page_marks_what_is_beyond_its_limit_and_leaves_as_a_file(
    app: Flask,
    clock: FixedClock,
    sign_in: SignIn,  # noqa: F811  (the fixture)
) -> None:
    with app.app_context():
        some_answers(clock, "none", "empty", 10)
        db.session.commit()
    browser = sign_in("viewer")

    page, file = browser.get("/admin/guardrails").text, browser.get("/admin/guardrails.csv").text

    assert '<span class="tag tag-warn">100.0 %</span>' in page
    assert '"home","trending","0","0","0","0","10","10","0","0"' in file
