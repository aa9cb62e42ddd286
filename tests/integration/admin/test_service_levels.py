"""Promises about the lists: how they are kept, when they become alerts, and what recommending costs."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.analytics.levels import OBJECTIVES, level_findings, levels
from shop_app.analytics.models import Alert
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.jobs.analytics import watch
from shop_app.jobs.metering import write_counts
from tests.integration.admin.conftest import SignIn

MINUTE = timedelta(minutes=1)


def answer(app: Flask, *, good: int = 0, failed: int = 0, slow: int = 0, fallback: int = 0) -> None:
    """So many answers of each kind, now."""
    meter = app.extensions["meter"]
    for number, source, reason, took_s in (
        (good, "model", "", 0.005),
        (failed, "cached", "failed", 0.005),
        (slow, "model", "", 0.4),
        (fallback, "fallback", "empty", 0.005),
    ):
        for _ in range(number):
            meter.count_answer("home.top_picks", source, reason, took_s=took_s, cpu_s=0.002)


def hours(app: Flask, clock: FixedClock, number: int, **kinds: int) -> None:
    """The same answers every ten minutes, for so many hours."""
    for _ in range(number * 6):
        answer(app, **kinds)
        clock.advance(10 * MINUTE)
    answer(app, **kinds)
    write_counts()


@pytest.mark.ticket("RS-077")
def test_levels_are_counted_from_answers_and_say_what_is_left(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        answer(app, good=1990, failed=2, slow=4, fallback=4)
        app.extensions["meter"].count_answer("home.recent", "none", "off", took_s=9.0, cpu_s=0.0)
        write_counts()
        found = {level.objective.key: level for level in levels(clock.now())}

    assert {key: (level.whole.total, level.whole.bad) for key, level in found.items()} == {
        "availability": (2000, 2),
        "latency": (2000, 4),
        "fallback": (2000, 6),
    }
    assert found["availability"].good_share == 0.999
    assert found["availability"].budget_left == pytest.approx(1 - 0.001 / 0.005)
    assert found["fallback"].budget_left == pytest.approx(1 - 0.003 / 0.03)
    assert not any(level.firing for level in found.values())


@pytest.mark.ticket("RS-077")
def test_a_fast_burn_is_an_alert_that_says_what_to_do_and_closes_when_it_is_over(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    with app.app_context():
        hours(app, clock, 3, good=100)
        assert watch()["opened"] == 0
        hours(app, clock, 1, good=10, failed=90)

        assert watch()["opened"] == 2
        opened = {alert.fingerprint: alert for alert in db.session.scalars(select(Alert))}
        assert {key: alert.severity for key, alert in opened.items()} == {
            "levels:availability": "page",
            "levels:fallback": "page",
        }
        assert opened["levels:availability"].advice == OBJECTIVES[0].advice
        assert opened["levels:availability"].details["window_h"] == 1.0
    page = sign_in("viewer").get("/admin/service-levels").text
    assert page.count("burning") == 2
    assert "90 %" not in page.split("Promises")[0]
    with app.app_context():
        hours(app, clock, 7, good=1000)
        assert watch()["closed"] == 2


@pytest.mark.ticket("RS-077")
@pytest.mark.parametrize(("failed", "alerts"), [(4, 0), (5, 2)])
def test_a_handful_of_bad_answers_wakes_nobody(app: Flask, clock: FixedClock, failed: int, alerts: int) -> None:
    with app.app_context():
        answer(app, good=1, failed=failed)
        write_counts()

        assert len(level_findings(clock.now())) == alerts


@pytest.mark.ticket("RS-079")
def test_costs_are_counted_by_verb_with_what_repeating_saved(app: Flask, clock: FixedClock, sign_in: SignIn) -> None:
    meter = app.extensions["meter"]
    for _ in range(4):
        meter.count_call("recommend", "ok", things=12, took_s=0.004, cpu_s=0.003)
    meter.count_call("send_events", "ok", things=180, took_s=0.02, cpu_s=0.01, wire_bytes=2_000_000)
    meter.count_call("send_events", "unavailable", things=20, took_s=0.02, cpu_s=0.01, wire_bytes=400_000)
    for is_hit in (True, True, False, False):
        meter.count_answer("home.top_picks", "model", "", took_s=0.005, cpu_s=0.004, is_hit=is_hit)
    with app.app_context():
        write_counts()

    page = sign_in("viewer").get("/admin/costs").text
    table = re.findall(r"<tr>(.*?)</tr>", page.split('aria-label="Table of calls by verb"')[1], re.DOTALL)[1:]
    rows = [[text.strip() for text in re.findall(r">([^<>]+)<", row) if text.strip()] for row in table]

    assert rows == [
        [
            *("send_events", "2", "1", "200", "100 a call", "0.0 s", "10.00 ms a call", "0.0 s", "20.00 ms a call"),
            *("2.4 MB", "1.2 MB a call"),
        ],
        ["recommend", "4", "0", "48", "12.0 a call", "0.0 s", "3.00 ms a call", "0.0 s", "4.00 ms a call", "–"],
    ]
    assert re.findall(r"<dt>Repeated from memory</dt><dd>([^<]+)", page) == ["50.0 %"]
    assert re.findall(r"<dt>Over the network</dt><dd>([^<]+)", page) == ["2.4 MB"]
    assert re.findall(r"<dt>CPU of a list</dt><dd>([^<]+)", page) == ["4.00 ms"]
    assert re.findall(r"<dt>Events in a delivery</dt><dd>([^<]+)", page) == ["100.0"]
