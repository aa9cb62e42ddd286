"""What the beacon takes, refuses, and writes down."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent
from tests.factories.events import a_browser_event

SENT_AT = 1_002_500
ORIGIN = {"Origin": "http://localhost"}


def report(client: FlaskClient, *events: Any, headers: dict[str, str] | None = None, **body: Any) -> TestResponse:
    text = json.dumps({"sent_at": SENT_AT, "events": events, **body})
    return client.post("/t/events", data=text, headers=headers or ORIGIN, content_type="text/plain")


def rows(client: FlaskClient) -> list[TrackedEvent]:
    with client.application.app_context():
        return list(db.session.scalars(select(TrackedEvent).order_by(TrackedEvent.id)))


@pytest.mark.ticket("RS-004")
@pytest.mark.ticket("RS-020")
@pytest.mark.ticket("RS-027")
def test_an_impression_keeps_its_place_and_gets_the_servers_time_person_and_session(
    agreed: FlaskClient, clock: FixedClock
) -> None:
    response = report(agreed, a_browser_event(id="impression-1"))

    assert response.status_code == 202
    assert response.json == {"results": [{"id": "impression-1", "status": "accepted"}]}
    [row] = rows(agreed)
    with agreed.session_transaction() as cookie:
        assert (row.shopper_key, row.session_id) == (cookie["anonymous"], cookie["visit"][0])
    assert (row.type, row.item_id, row.meta) == (0, "MUG-1", {"kind": "impression"})
    assert (row.surface, row.widget, row.rank, row.request_id, row.recommended) == (
        "home", "top_picks", 3, "req-1", True,
    )  # fmt: skip
    assert row.occurred_at == clock.now() - timedelta(milliseconds=2500)
    assert row.received_at == clock.now()
    assert row.client_created_at is not None
    assert row.client_sent_at is not None
    assert row.client_sent_at - row.client_created_at == timedelta(milliseconds=2500)


def test_each_event_is_judged_alone(agreed: FlaskClient) -> None:
    response = report(
        agreed,
        a_browser_event(id="good-one-1"),
        a_browser_event(id="bad-rank-1", rank=0),
        a_browser_event(id="unplaced-1", widget=None),
        a_browser_event(id="forged-001", type="purchase"),
        "nonsense",
        a_browser_event(id="good-two-1", type="click", kind="", href="/products/mug?email=a@b.c#x", text="Mug"),
    )

    assert response.status_code == 202
    assert [(r["id"], r["status"], r.get("code"), r.get("path")) for r in response.json["results"]] == [
        ("good-one-1", "accepted", None, None),
        ("bad-rank-1", "rejected", "invalid_field", "rank"),
        ("unplaced-1", "rejected", "invalid_field", "widget"),
        ("forged-001", "rejected", "invalid_field", "type"),
        (None, "rejected", "not_an_object", ""),
        ("good-two-1", "accepted", None, None),
    ]
    assert [row.source_event_id for row in rows(agreed)] == ["b_good-one-1", "b_good-two-1"]


@pytest.mark.ticket("RS-021")
def test_a_click_keeps_link_and_text_but_no_query(agreed: FlaskClient) -> None:
    report(agreed, a_browser_event(type="click", kind="", href="/products/mug?email=a@b.c#x", text="Mug"))

    [row] = rows(agreed)
    assert row.type == 1
    assert row.meta == {"href": "/products/mug", "text": "Mug"}


@pytest.mark.ticket("RS-026")
def test_a_repeat_is_known_by_its_id(agreed: FlaskClient) -> None:
    event = a_browser_event(id="same-event")

    first = report(agreed, event, event)
    second = report(agreed, event)

    assert [r["status"] for r in first.json["results"]] == ["accepted", "duplicate"]
    assert [r["status"] for r in second.json["results"]] == ["duplicate"]
    assert len(rows(agreed)) == 1


@pytest.mark.ticket("RS-027")
@pytest.mark.parametrize(("created_at", "age"), [(SENT_AT + 60_000, 0), (0, None)])
def test_a_mad_clock_is_clamped_and_flagged(
    agreed: FlaskClient, clock: FixedClock, created_at: int, age: int | None
) -> None:
    sent_at = SENT_AT if age == 0 else 1_800_000_000_000

    report(agreed, a_browser_event(created_at=created_at), sent_at=sent_at)

    [row] = rows(agreed)
    assert row.occurred_at == clock.now() - (timedelta(0) if age == 0 else timedelta(days=7))
    assert row.meta["clock"] == "clamped"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Nothing": "said"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Referer": "https://evil.example/localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_site_may_not_report(agreed: FlaskClient, headers: dict[str, str]) -> None:
    response = report(agreed, a_browser_event(), headers=headers)

    assert response.status_code == 403
    assert rows(agreed) == []


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        ("[1]", 400),
        ('{"events": []}', 400),
        ('{"sent_at": "now", "events": []}', 400),
        ('{"sent_at": 1, "events": {}}', 400),
        ('{"sent_at": 1, "events": [' + ",".join(["1"] * 501) + "]}", 400),
        ('{"sent_at": 1, "events": ["' + "x" * 65_536 + '"]}', 413),
    ],
)
def test_a_body_that_is_no_report_is_refused(agreed: FlaskClient, text: str, status: int) -> None:
    response = agreed.post("/t/events", data=text, headers=ORIGIN)

    assert response.status_code == status
    assert rows(agreed) == []


@pytest.mark.ticket("RS-017")
@pytest.mark.parametrize("choice", [None, "essential"])
def test_nothing_is_recorded_before_or_without_consent(client: FlaskClient, choice: str | None) -> None:
    if choice:
        client.post("/consent", data={"choice": choice})

    response = report(client, a_browser_event(id="unwanted-1"))

    assert response.json == {"results": [{"id": "unwanted-1", "status": "rejected", "code": "no_consent", "path": ""}]}
    assert rows(client) == []


@pytest.mark.ticket("RS-017")
def test_global_privacy_control_outweighs_an_earlier_yes(agreed: FlaskClient) -> None:
    response = report(agreed, a_browser_event(), headers={**ORIGIN, "Sec-GPC": "1"})

    assert response.json["results"][0]["code"] == "no_consent"
    assert rows(agreed) == []


@pytest.mark.ticket("RS-017")
def test_measurement_alone_names_nobody(client: FlaskClient) -> None:
    client.post("/consent", data={"choice": "custom", "analytics": "on"})

    report(client, a_browser_event())

    [row] = rows(client)
    with client.session_transaction() as cookie:
        assert row.shopper_key != cookie["anonymous"]
        assert row.session_id == cookie["visit"][0]


@pytest.mark.ticket("RS-025")
def test_a_session_ends_after_half_an_idle_hour_and_after_a_day(agreed: FlaskClient, clock: FixedClock) -> None:
    sessions = []
    for pause in [timedelta(0), timedelta(minutes=29), timedelta(minutes=31)] + [timedelta(minutes=29)] * 60:
        clock.advance(pause)
        report(agreed, a_browser_event())
        sessions.append(rows(agreed)[-1].session_id)

    assert sessions[0] == sessions[1] != sessions[2]
    day = sessions[2:]
    assert day.count(day[0]) == 24 * 60 // 29 + 1
    assert len(set(day)) == 2


@pytest.mark.ticket("RS-052")
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, (True, False)),
        ({"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "X-QA-Run": "nightly"}, (False, True)),
        ({"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}, (False, False)),
    ],
)
def test_robots_and_test_runs_are_marked_and_never_dropped(
    agreed: FlaskClient, header: dict[str, str], expected: tuple[bool, bool]
) -> None:
    response = report(agreed, a_browser_event(), headers={**ORIGIN, **header})

    assert [result["status"] for result in response.json["results"]] == ["accepted"]
    assert [(row.is_bot, row.is_qa) for row in rows(agreed)] == [expected]


@pytest.mark.ticket("RS-026")
def test_a_large_beacon_with_repeats_inside_is_stored_once_each(agreed: FlaskClient) -> None:
    events = [a_browser_event(id=f"large-{n:04}", rank=1 + n % 9, href=f"/p/{n}?q=1") for n in range(230)]

    first = report(agreed, *events, events[0])
    again = report(agreed, *events)

    statuses = [result["status"] for result in first.json["results"]]
    assert statuses == ["accepted"] * 230 + ["duplicate"]
    assert {result["status"] for result in again.json["results"]} == {"duplicate"}
    stored = rows(agreed)
    assert [row.source_event_id for row in stored] == [f"b_large-{n:04}" for n in range(230)]
    assert stored[229].meta == {"kind": "impression", "href": "/p/229"}
    assert {(row.delivery, row.attempts, row.value, row.is_bot) for row in stored} == {
        ("pending", 0, 1.0, stored[0].is_bot)
    }
