"""Counts of answers and calls: what is counted, that writing adds up, and what becomes of old minutes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from recsys_engine.contract import Context, RecommendRequest
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.jobs.metering import tidy, write_counts
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable
from shop_app.recsys.meter import LIVE, Meter, count_calls, write
from shop_app.recsys.models import AnswerMinute
from shop_app.recsys.queries import answers, answers_over_time, calls, empty_by_day, summary
from tests.fakes import FakeGateway

DAY = timedelta(days=1)
REQUEST = RecommendRequest(context=Context(surface="home.top_picks"))


def test_what_two_processes_counted_adds_up(app: Flask, clock: FixedClock) -> None:
    first, second = Meter(clock), Meter(clock)
    first.count_answer("home.top_picks", "model", "", took_s=0.004, cpu_s=0.002)
    first.count_answer("home.top_picks", "model", "", took_s=0.06, cpu_s=0.002, is_hit=True)
    second.count_answer("home.top_picks", "model", "", took_s=2.0, cpu_s=0.003)
    second.count_answer("home.top_picks", "fallback", "late", took_s=0.31, cpu_s=0.001)

    with app.app_context():
        for meter in (first, second):
            with unit_of_work(db.session):
                assert write(meter.take()) > 0
        fallback, model = answers(clock.now() - DAY, clock.now() + DAY)

    assert replace(model, within=()).__repr__() == (
        "Answers(slot='home.top_picks', source='model', reason='', answers=3, hits=1, took_us=2064000, "
        "cpu_us=7000, within=())"
    )
    assert model.within == (1, 1, 1, 2, 2, 2, 2, 2)
    assert (fallback.source, fallback.reason, fallback.answers) == ("fallback", "late", 1)
    whole = summary([model, fallback])
    assert (whole.answers, whole.model, whole.fallback, whole.late, whole.failed) == (4, 3, 1, 1, 0)
    assert whole.share(whole.fallback) == 0.25
    assert whole.quantile_ms(0.25) == 10.0
    assert whole.quantile_ms(0.5) == 100.0
    assert whole.quantile_ms(0.99) == float("inf")


def test_the_first_count_after_each_write_asks_for_the_next_write(clock: FixedClock) -> None:
    asked: list[bool] = []
    meter = Meter(clock, arm=lambda: asked.append(True))
    for _ in range(3):
        meter.count_answer("home.top_picks", "model", "", took_s=0.0, cpu_s=0.0)
    meter.take()
    meter.count_answer("home.top_picks", "model", "", took_s=0.0, cpu_s=0.0)

    assert asked == [True, True]


def test_counts_survive_a_database_that_is_away(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        app.extensions["meter"].count_answer("home.top_picks", "model", "", took_s=0.0, cpu_s=0.0)
        AnswerMinute.__table__.drop(db.engine)  # type: ignore[attr-defined]
        assert write_counts() == 0
        db.create_all()
        assert write_counts() == 1
        assert write_counts() == 0
        assert summary(answers(clock.now() - DAY, clock.now() + DAY)).answers == 1


def test_old_minutes_become_hours_and_nothing_is_lost(app: Flask, clock: FixedClock) -> None:
    meter = app.extensions["meter"]
    with app.app_context():
        for _ in range(90):
            meter.count_answer("home.top_picks", "model", "", took_s=0.001, cpu_s=0.001)
            clock.advance(timedelta(minutes=1))
        write_counts()
        clock.advance(LIVE)
        before = answers(clock.now() - 9 * DAY, clock.now())
        assert [tidy()["minutes"], tidy()["minutes"]] == [88, 0]
        hours = answers_over_time(clock.now() - 9 * DAY, clock.now())

        assert [(moment.minute, found.answers) for moment, found in hours] == [(0, 60), (0, 30)]
        assert answers(clock.now() - 9 * DAY, clock.now()) == before
        clock.advance(timedelta(days=401))
        tidy()
        assert db.session.query(AnswerMinute).count() == 0


def test_empty_answers_by_day_are_those_of_the_summaries(app: Flask, clock: FixedClock) -> None:
    meter = app.extensions["meter"]
    with app.app_context():
        for source, reason in (
            ("model", ""),
            ("none", "empty"),
            ("none", "off"),
            ("fallback", "late"),
            ("none", "late"),
        ):
            for _ in range(3):
                meter.count_answer("home.top_picks", source, reason, took_s=0.001, cpu_s=0.001)
                clock.advance(timedelta(hours=13))
                write_counts()

        days = answers_over_time(clock.now() - 9 * DAY, clock.now(), "day")
        empty = empty_by_day(clock.now() - 9 * DAY, clock.now())

        assert empty == {began.date(): (found.empty, found.answers) for began, found in days}
        assert [sum(column) for column in zip(*empty.values(), strict=True)] == [6, 12]


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [(None, "ok"), (RecsysUnavailable("down"), "unavailable"), (RecsysRejected("x", "y"), "rejected")],
)
def test_every_call_is_counted_with_what_it_carried(
    app: Flask, clock: FixedClock, trouble: Exception | None, outcome: str
) -> None:
    gateway = FakeGateway(trouble=trouble)
    count_calls(gateway, app.extensions["meter"])
    with app.app_context():
        for _ in range(2):
            try:
                gateway.upsert_users([])
                gateway.recommend(REQUEST)
            except (RecsysUnavailable, RecsysRejected):
                pass
        write_counts()
        found = {call.verb: call for call in calls(clock.now() - DAY, clock.now() + DAY)}

    assert (found["upsert_users"].outcome, found["upsert_users"].calls) == (outcome, 2)
    assert ("recommend" in found) is (trouble is None)
