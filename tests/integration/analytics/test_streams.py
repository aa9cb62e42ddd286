"""Quotients and silences of the last hour against earlier hours."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert

from shop_app.analytics.streams import ratio_findings, silence_findings
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.recsys.models import BOUNDS_MS, AnswerMinute
from shop_app.tracking.models import TrackedEvent

HOUR = timedelta(hours=1)


def events(at, kind: EventKind, number: int, tag: str, **more) -> list[dict]:
    """So many events, spread evenly over the hour."""
    values = {"type": int(kind), "shopper_key": "u_1", "value": 1.0, "received_at": at, "next_attempt_at": at,
              "device": "desktop", "meta": {}, "delivery": "sent", "surface": "home", "widget": "trending",
              "is_bot": False, "is_qa": False, "recommended": True, "attempts": 0}  # fmt: skip
    return [
        {**values, "source_event_id": f"{tag}-{at:%m%d%H}-{n}", "occurred_at": at + n * HOUR / max(number, 1), **more}
        for n in range(number)
    ]


def answers(at, number: int) -> AnswerMinute:
    bounds = {f"within_{bound}": number for bound in BOUNDS_MS}
    sums = {"answers": number, "hits": 0, "took_us": 0, "cpu_us": 0, **bounds}
    return AnswerMinute(minute=at, slot="home.trending", source="model", reason="", **sums)


@pytest.mark.ticket("RS-052")
@pytest.mark.parametrize(
    ("views", "clicks", "bots", "subject"),
    [
        (120, 12, 16, ""),
        (60, 6, 8, "impressions per answer:home.trending"),
        (120, 60, 21, "clicks per impression:home.trending"),
        (120, 12, 90, "bot share:all events"),
    ],
)
def test_a_quotient_that_left_its_past_is_named(  # noqa: PLR0917 - the columns of the table
    app: Flask, clock: FixedClock, views: int, clicks: int, bots: int, subject: str
) -> None:
    last = clock.now().replace(minute=0, second=0, microsecond=0) - HOUR
    with app.app_context():
        for n in range(31):
            at = last - n * HOUR
            rows = [
                *events(at, EventKind.VIEW, views if n == 0 else 120 + n % 3, "v"),
                *events(at, EventKind.CLICK, clicks if n == 0 else 12 + n % 2, "c"),
                *events(at, EventKind.VIEW, bots if n == 0 else 15 + n % 3, "b", is_bot=True, widget=None),
            ]
            db.session.execute(insert(TrackedEvent), rows)
            db.session.add(answers(at, 20))
        db.session.commit()

        found = ratio_findings(clock.now())

    assert [one.subject for one in found] == ([subject] if subject else [])


@pytest.mark.ticket("RS-052")
def test_a_silence_is_named_only_where_events_are_usual(app: Flask, clock: FixedClock) -> None:
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    with app.app_context():
        for week in range(1, 5):
            for hour in (1, 2):
                at = now - timedelta(weeks=week) - hour * HOUR
                db.session.execute(insert(TrackedEvent), events(at, EventKind.VIEW, 60, f"w{week}"))
        db.session.execute(insert(TrackedEvent), events(now - 2 * HOUR, EventKind.VIEW, 30, "now"))
        db.session.commit()

        [finding] = silence_findings(now)
        nothing_usual = silence_findings(now + timedelta(hours=12))

    assert finding.title == f"No event from {now - HOUR - HOUR / 30:%H:%M} to {now:%H:%M}, 62 are usual"
    assert nothing_usual == []
