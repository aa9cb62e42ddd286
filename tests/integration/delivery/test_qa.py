"""The doors of QA mode, and that they are closed otherwise."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop_app.core.clock import SystemClock
from tests.factories.events import a_browser_event
from tests.fakes import FakeGateway
from tests.integration.delivery.test_intake import report

DOORS = (
    ("GET", "events/good"), ("GET", "events/bad"), ("GET", "events/all"), ("POST", "events/reset"), ("POST", "drain"),
    ("POST", "session"), ("GET", "clock"), ("POST", "clock"), ("POST", "recsys"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_outside_qa_mode_there_are_no_such_doors(another_app: Callable[..., Flask], method: str, path: str) -> None:
    app = another_app(qa_mode=False)

    answer = app.test_client().open(f"/__qa__/{path}", method=method, headers={"Accept": "application/json"})

    assert answer.status_code == 404
    assert not any(rule.rule.startswith("/__qa__") for rule in app.url_map.iter_rules())


def test_what_arrived_is_shown_with_its_place(agreed: FlaskClient, recsys: FakeGateway) -> None:
    recsys.poison = {"b_poisoned-1"}
    report(
        agreed,
        a_browser_event(id="arrives-1"),
        a_browser_event(id="poisoned-1"),
        a_browser_event(id="bad-rank", rank=0),
    )

    drained = agreed.post("/__qa__/drain").json
    good, bad = agreed.get("/__qa__/events/good").json, agreed.get("/__qa__/events/bad").json

    assert drained["events"] == {"delivered": 1, "refused": 1, "left": 0}
    [event] = good
    shown = {name: event[name] for name in ("id", "surface", "widget", "rank", "request_id", "recommended", "kind")}
    assert shown == {
        "id": "b_arrives-1", "surface": "home", "widget": "top_picks", "rank": 3, "request_id": "req-1",
        "recommended": True, "kind": "impression",
    }  # fmt: skip
    assert [(row["by"], row["id"], row["code"], row["path"]) for row in bad] == [
        ("shop", "bad-rank", "invalid_field", "rank"),
        ("recsys", "b_poisoned-1", "invalid_value", "value"),
    ]
    assert [row["delivery"] for row in agreed.get("/__qa__/events/all").json] == ["sent", "dead"]

    agreed.post("/__qa__/events/reset")

    assert [agreed.get(f"/__qa__/events/{kind}").json for kind in ("good", "bad", "all")] == [[], [], []]


def test_what_came_since_a_moment_is_asked_for_with_its_zone(agreed: FlaskClient) -> None:
    report(agreed, a_browser_event(id="arrives-1"))
    agreed.post("/__qa__/drain")
    [event] = agreed.get("/__qa__/events/good").json
    at = datetime.fromisoformat(event["ts"])
    later = (at + timedelta(microseconds=1)).isoformat()

    for kind in ("good", "all"):
        ask = partial(agreed.get, f"/__qa__/events/{kind}", headers={"Accept": "application/json"})
        assert [row["id"] for row in ask(query_string={"since": at.isoformat()}).json] == ["b_arrives-1"]
        assert ask(query_string={"since": later}).json == []
        for wrong in ("yesterday", "2026-03-01T10:00:00"):
            refused = ask(query_string={"since": wrong})
            assert (refused.status_code, "since" in refused.text) == (400, True)


def test_writes_can_fail_and_recover(agreed: FlaskClient, recsys: FakeGateway) -> None:
    report(agreed, a_browser_event())
    agreed.post("/__qa__/recsys", json={"writes": "failed"})

    failed = agreed.post("/__qa__/drain").json["events"]
    agreed.post("/__qa__/recsys", json={"writes": "normal"})
    mended = agreed.post("/__qa__/drain").json["events"]

    assert (failed["delivered"], mended["delivered"]) == (0, 1)
    assert len(recsys.events) == 1


def test_an_unknown_switch_is_refused(client: FlaskClient) -> None:
    assert client.post("/__qa__/recsys", json={"mode": "exploding"}).status_code == 400


def test_the_clock_can_be_moved(another_app: Callable[..., Flask]) -> None:
    client = another_app(SystemClock()).test_client()

    client.post("/__qa__/clock", json={"at": "2031-05-06T07:08:09+00:00"})
    jumped = client.post("/__qa__/clock", json={"advance_s": 3600}).json["now"]

    assert jumped.startswith("2031-05-06T08:08:")


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json"])
def test_what_cannot_be_read_is_refused_and_changes_nothing(client: FlaskClient, kind: str) -> None:
    body = '{"mode": "slow"}' if kind != "application/json" else '["slow"]'

    answer = client.post("/__qa__/recsys", data=body, content_type=kind)

    assert answer.status_code == 400
    assert client.post("/__qa__/recsys").json == {"reads": "normal", "writes": "normal"}
