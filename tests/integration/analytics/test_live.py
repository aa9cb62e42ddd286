"""The last hour as the live page shows it equals a count of the rows themselves."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from flask import Flask

from shop_app.analytics.queries.live import live
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from tests.factories.analytics import an_event
from tests.integration.admin.conftest import sign_in  # noqa: F401  (a fixture)


@pytest.mark.ticket("RS-046")
def test_minutes_and_pages_of_the_last_hour_equal_a_brute_force_count(app: Flask, clock: FixedClock) -> None:
    rng, now = random.Random(7), clock.now()
    with app.app_context():
        events = [
            an_event(
                EventKind(rng.randrange(5)),
                now - timedelta(seconds=rng.randrange(5000)),
                surface=rng.choice(["home", "pdp", None]),
                widget=rng.choice(["similar", None]),
                is_bot=rng.random() < 0.1,
                is_qa=rng.random() < 0.1,
            )
            for _ in range(400)
        ]
        db.session.commit()
        seen = live(now)
        first = now.replace(second=0, microsecond=0) - timedelta(hours=1)
        real = [e for e in events if e.occurred_at >= first and not e.is_bot and not e.is_qa]
        by_minute = Counter((e.type, e.occurred_at.replace(second=0, microsecond=0)) for e in real)
        by_page = Counter((e.surface, e.type) for e in real if e.surface and e.widget and e.type < 4)

    shown = {
        (kind, minute): number
        for kind, numbers in seen.events.items()
        for minute, number in zip(seen.minutes, numbers, strict=True)
        if number
    }
    assert shown == dict(by_minute)
    pages = {(row.surface, int(kind)): n for row in seen.surfaces for kind, n in row.steps.items() if n}
    assert pages == dict(by_page)


def test_the_page_shows_the_hour_and_its_figures_come_alone_too(
    app: Flask,
    clock: FixedClock,
    sign_in,  # noqa: F811  (the fixture)
) -> None:
    with app.app_context():
        an_event(EventKind.VIEW, clock.now(), surface="home", widget="top_picks")
        meter = app.extensions["meter"]
        meter.count_answer("home.top_picks", "model", "", took_s=0.02, cpu_s=0.01)
        meter.count_answer("home.top_picks", "fallback", "late", took_s=0.3, cpu_s=0.01)
        db.session.commit()
        from shop_app.jobs.metering import write_counts  # noqa: PLC0415 - importing it early would start its timer

        write_counts()
    browser = sign_in("viewer")

    whole, part = browser.get("/admin/live").text, browser.get("/admin/live/figures").text

    assert 'data-refresh="/admin/live/figures"' in whole
    assert "<html" not in part
    for text in ("1 best sellers, 0 earlier lists; 1 late, 0 failed", ">50.0 %<"):
        assert text in whole
        assert text in part
