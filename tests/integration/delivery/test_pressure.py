"""When too much waits, browsers keep their impressions; what people did is always taken."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop_app.tracking.pressure import LOOK_EVERY_S, Pressure
from tests.factories.events import a_browser_event
from tests.integration.delivery.test_intake import report, rows


@pytest.mark.ticket("RS-071")
def test_a_full_log_defers_impressions_and_nothing_else(app: Flask, agreed: FlaskClient) -> None:
    app.extensions["pressure"] = Pressure(full=1)
    report(agreed, a_browser_event(id="fills-it-1"), a_browser_event(id="fills-it-2"))
    app.extensions["pressure"] = Pressure(full=1)

    full = report(
        agreed,
        a_browser_event(id="seen-0001"),
        a_browser_event(id="clicked-1", type="click", kind=""),
        a_browser_event(id="page-view", kind="", widget=None, rank=None),
    )

    assert full.status_code == 429
    assert full.headers["Retry-After"] == "30"
    assert [(r["id"], r["status"]) for r in full.json["results"]] == [
        ("seen-0001", "deferred"), ("clicked-1", "accepted"), ("page-view", "accepted"),
    ]  # fmt: skip
    assert [row.source_event_id for row in rows(agreed)][2:] == ["b_clicked-1", "b_page-view"]
    only_clicks = report(agreed, a_browser_event(id="clicked-2", type="click", kind=""))
    assert only_clicks.status_code == 202


def test_the_log_is_looked_at_once_a_second(app: Flask, agreed: FlaskClient) -> None:
    pressure = Pressure(full=0)
    with app.app_context():
        before = pressure.is_high(100.0)
    report(agreed, a_browser_event())
    with app.app_context():
        assert (before, pressure.is_high(100.0 + LOOK_EVERY_S / 2)) == (False, False)
        assert pressure.is_high(100.0 + LOOK_EVERY_S)
