"""A bandit on a slot: draws for each answer, is rewarded by clicks, and goes back to its incumbent when it does harm."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from recsys_engine.contract.control import Policy
from shop_app.core.clock import FixedClock
from shop_app.core.errors import Conflict
from shop_app.core.events import EventKind
from shop_app.experiments import bandits
from shop_app.experiments.models import BanditRun
from shop_app.extensions import db
from shop_app.jobs.experiments import watch_bandits
from shop_app.site_settings.models import AuditEntry
from tests.factories.analytics import an_event
from tests.integration.admin.conftest import SignIn, sign_in  # noqa: F401  (a fixture)
from tests.integration.admin.test_lists import told_engine  # noqa: F401  (a fixture)

SLOT = "home.trending"


def a_run(clock: FixedClock, planned_units: int = 4000) -> BanditRun:
    run = bandits.start_bandit(
        SLOT, ["plain", "bold"], margin=0.05, planned_units=planned_units, actor="u_staff", now=clock.now()
    )
    db.session.commit()
    return run


def answers(run: BanditRun, clock: FixedClock, policy: str, seen: int, clicked: int) -> None:
    """So many answers of a policy were seen, and so many of them clicked."""
    place = {"surface": "home", "widget": "trending", "recommended": True}
    meta = {"experiment": run.key, "ab_bucket": policy}
    for n in range(seen):
        told = {**place, "meta": meta, "request_id": f"{policy}-{n}", "shopper_key": f"u_{n}"}
        an_event(EventKind.VIEW, clock.now(), **told)
        an_event(EventKind.VIEW, clock.now(), **told, item_id="MUG-2")
        if n < clicked:
            an_event(EventKind.CLICK, clock.now(), **told)
    db.session.commit()


@pytest.mark.ticket("RS-056")
def test_a_policy_that_loses_clicks_is_sent_back_to_the_incumbent_by_itself(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        run = a_run(clock)
        answers(run, clock, "plain", 1000, 200)
        answers(run, clock, "bold", 700, 70)
        before = bandits.active_bandit(SLOT)
        stopped = bandits.stop_harmful_bandits(now=clock.now())
        db.session.commit()

        assert before == bandits.ActiveBandit(run.key, ("plain", "bold"))
        assert stopped == [run.key]
        assert re.match(r"bold: clicked is harmed beyond the tolerated 5\.0%: z \d", run.ended_because)
        assert bandits.active_bandit(SLOT) is None
        assert bandits.stop_harmful_bandits(now=clock.now()) == []
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "bandit.end")).one()
        assert (entry.actor, entry.subject) == ("guardrail", run.key)


def test_a_policy_that_does_as_well_goes_on(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        run = a_run(clock)
        answers(run, clock, "plain", 900, 180)
        answers(run, clock, "bold", 900, 176)

        assert bandits.stop_harmful_bandits(now=clock.now()) == []
        assert [(one.policy, one.seen, one.clicked) for one in bandits.results_of(run)] == [
            ("plain", 900, 180),
            ("bold", 900, 176),
        ]
        assert run.watches["bold:clicked"] == [0.45]


def test_every_answer_is_drawn_and_its_click_rewarded_once(
    app: Flask,
    client: FlaskClient,
    clock: FixedClock,
    told_engine,  # noqa: F811  (the fixture)
) -> None:
    told_engine.control.put_policies([Policy("plain", "Plain", True), Policy("bold", "Bold", True, {"brand_cap": 3})])
    with app.app_context():
        run = a_run(clock)
        key = run.key
    page = client.get(f"/w/{SLOT}").text
    again = client.get(f"/w/{SLOT}").text
    told = dict(re.findall(r'data-(request-id|experiment|ab-bucket)="([^"]+)"', page))
    with app.app_context():
        meta = {"experiment": key, "ab_bucket": told["ab-bucket"]}
        place = {"surface": "home", "widget": "trending", "recommended": True, "request_id": told["request-id"]}
        an_event(EventKind.CLICK, clock.now(), **place, meta=meta)
        an_event(EventKind.CLICK, clock.now(), surface="home", widget="trending", request_id="of another time")
        db.session.commit()
        first, second = watch_bandits(), watch_bandits()

    assert told["experiment"] == key
    assert told["ab-bucket"] in {"plain", "bold"}
    assert told["request-id"] not in again
    assert (first["clicks"], second["clicks"]) == (2, 0)
    assert told_engine.control.reward(told["request-id"], 1.0, f"click-{told['request-id']}") is False


def test_a_slot_answers_one_question_at_a_time(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        a_run(clock)
        with pytest.raises(Conflict):
            a_run(clock)


def test_a_bandit_is_started_watched_and_ended_in_the_console(
    app: Flask,
    clock: FixedClock,
    sign_in: SignIn,  # noqa: F811  (the fixture)
) -> None:
    control = app.extensions["recsys"].control
    control.put_policies([Policy("plain", "Plain", True), Policy("bold", "Bold", True, {"brand_cap": 1})])
    browser = sign_in("analyst")
    form = {"slot": SLOT, "incumbent": "plain", "policies": ["bold"], "margin_percent": "5", "planned_units": "2000"}

    wrong = [
        browser.post("/admin/bandits", data={**form, **bad}).status_code
        for bad in ({"incumbent": "bold"}, {"policies": []}, {"margin_percent": "x"}, {"planned_units": "10"})
    ]
    started = browser.post("/admin/bandits", data=form)
    twice = browser.post("/admin/bandits", data=form)
    page = browser.get("/admin/bandits").text
    ended = browser.post("/admin/bandits/1/end", data={"because": "seen enough"})

    assert wrong == [422] * 4
    assert (started.status_code, twice.status_code, ended.status_code) == (303, 409, 303)
    assert ">running<" in page
    assert "seen enough" in browser.get("/admin/bandits").text
    with app.app_context():
        run = db.session.scalars(select(BanditRun)).one()
        assert run.ended_at is not None
        assert run.ended_at - run.started_at < timedelta(days=1)
