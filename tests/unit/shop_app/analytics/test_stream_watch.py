from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shop_app.analytics.monitoring.schema_drift import profile
from shop_app.analytics.monitoring.watch import Fault, HourFacts, StreamWatch

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
NOW = MONDAY + timedelta(weeks=4)


def an_hour(at: datetime, rng: np.random.Generator, *, views: int = 300, firefox: int = 60, **changes) -> HourFacts:
    views, firefox = int(rng.poisson(views)), int(rng.poisson(firefox))
    shapes = changes.pop("shapes", {"unit_price": 1999, "currency": "EUR"})
    values = {
        "counts": {("type", "view"): views, ("browser", "Firefox"): firefox, ("browser", "Chrome"): views - firefox},
        "duplicates": int(rng.poisson(1)),
        "busiest_session": 9,
        "schema": profile([("purchase", shapes)] * 40),
        "clock_lags": [timedelta(seconds=1)] * 30,
    }
    return HourFacts(at, **(values | changes))


@pytest.fixture(scope="module")
def watch() -> StreamWatch:
    rng = np.random.default_rng(1)
    return StreamWatch([an_hour(MONDAY + timedelta(hours=hour), rng) for hour in range(4 * 168)])


@pytest.mark.ticket("RS-052")
@pytest.mark.parametrize(
    ("changes", "fault", "subject"),
    [
        ({"views": 60, "firefox": 12}, Fault.DROP, "type:view"),
        ({"firefox": 0}, Fault.DROP, "browser:Firefox"),
        ({"views": 700}, Fault.SURGE, "type:view"),
        ({"duplicates": 250}, Fault.DUPLICATES, "all"),
        ({"shapes": {"unit_price": "19.99", "currency": "EUR"}}, Fault.SCHEMA, "purchase.unit_price"),
        ({"clock_lags": [timedelta(hours=1)] * 30}, Fault.ZONE_SHIFT, "clock"),
        ({"busiest_session": 150}, Fault.BOT_BURST, "session"),
    ],
)
def test_each_fault_is_named_with_its_subject_and_advice(watch, changes, fault, subject):
    found = watch.judge(an_hour(NOW, np.random.default_rng(2), **changes))

    assert (fault, subject) in {(finding.fault, finding.subject) for finding in found}
    assert all(finding.advice for finding in found)


def test_a_normal_week_is_quiet(watch):
    rng = np.random.default_rng(3)

    found = [watch.judge(an_hour(NOW + timedelta(hours=hour), rng)) for hour in range(168)]

    assert [finding for findings in found for finding in findings] == []


def test_a_small_stream_is_judged_over_six_hours():
    rng = np.random.default_rng(4)
    small = StreamWatch([an_hour(MONDAY + timedelta(hours=hour), rng, views=200, firefox=6) for hour in range(4 * 168)])
    silent = [an_hour(NOW + timedelta(hours=hour), rng, views=200, firefox=0) for hour in range(6)]

    alone = {finding.subject for finding in small.judge(silent[-1])}
    together = {finding.subject for finding in small.judge(silent[-1], silent[:-1])}

    assert "browser:Firefox" not in alone
    assert "browser:Firefox" in together


def test_a_watch_needs_a_history():
    with pytest.raises(ValueError, match="history"):
        StreamWatch([])
