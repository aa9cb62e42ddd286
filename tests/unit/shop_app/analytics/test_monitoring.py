from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shop_app.analytics.monitoring.burn_rate import RULES, AnswerCounts, Severity, budget_used, burn_rate, firing
from shop_app.analytics.monitoring.ratios import Quotient, judge_ratio, must_be_one
from shop_app.analytics.monitoring.schema_drift import Drift, drift, profile
from shop_app.analytics.monitoring.timing import silences, zone_shift
from shop_app.analytics.monitoring.volume import Change, HourOfWeekBaseline, count_tail, hour_of_week, robust_z

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def test_robust_z_reference_value():
    assert robust_z(240, [240, 100, 98, 103, 97, 101, 99]) == pytest.approx(47.2143, abs=1e-4)


def test_robust_z_floor_keeps_a_constant_series_finite():
    assert robust_z(12, [10, 10, 10], mad_floor=1) == pytest.approx(0.6745 * 2, abs=1e-3)


def test_small_counts_use_the_tail_of_an_uncertain_rate():
    assert count_tail(0, 80, 8) < 1e-3
    assert count_tail(9, 80, 8) > 0.5
    assert count_tail(0, 10, 1) > count_tail(0, 80, 8)
    assert count_tail(40, 80, 8) < 1e-6


def test_hour_of_week_starts_on_monday():
    assert hour_of_week(MONDAY) == 0
    assert hour_of_week(MONDAY - timedelta(hours=1)) == 167


def baseline(rate: float, weeks: int = 8, seed: int = 1) -> HourOfWeekBaseline:
    return HourOfWeekBaseline(np.random.default_rng(seed).poisson(rate, (weeks, 168)).astype(float))


@pytest.mark.parametrize(
    ("rate", "count", "change"),
    [
        (400, 400, None),
        (400, 470, None),
        (400, 200, Change.DROP),
        (400, 800, Change.SURGE),
        (20, 0, Change.DROP),
        (20, 21, None),
        (3, 0, None),
        (3, 40, Change.SURGE),
    ],
)
def test_an_hour_is_judged_against_its_own_hour(rate, count, change):
    reading = baseline(rate).judge(MONDAY, count)

    assert reading is not None
    assert reading.change is change


def test_normal_hours_raise_no_alarm():
    rng = np.random.default_rng(3)

    for rate in (2, 15, 60, 900):
        known = baseline(rate, seed=rate)
        readings = [known.judge(MONDAY + timedelta(hours=hour), int(rng.poisson(rate))) for hour in range(1500)]
        assert [reading.change for reading in readings if reading and reading.change] == []


def test_one_faulty_week_does_not_move_the_bar():
    weeks = np.random.default_rng(4).poisson(300, (6, 168)).astype(float)
    weeks[2] = 0

    assert HourOfWeekBaseline(weeks).judge(MONDAY, 100).change is Change.DROP
    assert HourOfWeekBaseline(weeks).judge(MONDAY, 300).change is None


def test_a_short_history_is_not_judged():
    assert baseline(100, weeks=2).judge(MONDAY, 0) is None
    weeks = np.full((5, 168), np.nan)
    assert HourOfWeekBaseline(weeks).judge(MONDAY, 0) is None


def test_burn_rates_use_the_budget_they_promise():
    used = [budget_used(rule.rate, rule.long) for rule in RULES]

    assert used == pytest.approx([0.02, 0.05, 0.10])
    assert burn_rate(AnswerCounts(1000, 2), objective=0.999) == pytest.approx(2.0)
    assert burn_rate(AnswerCounts(0, 0), objective=0.999) == 0.0


def test_an_alert_needs_both_windows():
    calm = {length: AnswerCounts(10_000, 0) for rule in RULES for length in (rule.long, rule.short)}
    burst = calm | {timedelta(minutes=5): AnswerCounts(1000, 100)}
    outage = burst | {timedelta(hours=1): AnswerCounts(10_000, 200), timedelta(hours=6): AnswerCounts(60_000, 200)}

    assert firing(calm, objective=0.999) == []
    assert firing(burst, objective=0.999) == []
    assert [(rule.severity, rule.rate) for rule in firing(outage, objective=0.999)] == [(Severity.PAGE, 14.4)]


@pytest.mark.ticket("RS-052")
def test_ratio_alarms():
    history = [Quotient(1000 + 10 * step, 10_000) for step in range(-5, 6)]

    assert judge_ratio(Quotient(98, 1000), history).is_alarm is False
    assert judge_ratio(Quotient(30, 1000), history).is_alarm is True
    assert judge_ratio(Quotient(0, 20), history) is None
    assert judge_ratio(Quotient(5, 10), []) is None
    assert must_be_one(Quotient(99, 100))
    assert not must_be_one(Quotient(100, 100))


def events(count: int, **changes):
    meta = {"unit_price": 1999, "currency": "EUR", "surface": "home"}
    for index in range(count):
        yield "purchase", {"item_id": f"sku-{index}", "meta": meta | changes}


@pytest.mark.ticket("RS-052")
@pytest.mark.parametrize(
    ("changes", "kind", "path", "seen"),
    [
        ({"unit_price": "19.99"}, Drift.TYPE, "purchase.meta.unit_price", "string"),
        ({"currency": "USD"}, Drift.VALUE, "purchase.meta.currency", "USD"),
        ({"extra": 1}, Drift.UNEXPECTED, "purchase.meta.extra", "in 100.0%"),
    ],
)
def test_drift_names_the_exact_path(changes, kind, path, seen):
    found = drift(profile(events(500)), profile(events(60, **changes)))

    assert [(change.kind, change.path, change.seen) for change in found] == [(kind, path, seen)]


def test_a_renamed_key_is_one_missing_and_one_unexpected_path():
    window = profile((kind, {"item": payload["item_id"], "meta": payload["meta"]}) for kind, payload in events(50))

    found = drift(profile(events(500)), window)

    assert {(change.kind, change.path) for change in found} == {
        (Drift.MISSING, "purchase.item_id"),
        (Drift.UNEXPECTED, "purchase.item"),
    }


def test_the_same_shape_shows_no_drift_and_profiles_add_up():
    known = profile(events(300))
    known.merge(profile(events(200)))

    assert known.events["purchase"] == 500
    assert drift(known, profile(events(100))) == []
    assert drift(known, profile(events(5, currency="USD"))) == []


def test_nested_lists_have_paths():
    known = profile([("purchase", {"items": [{"sku": "a", "n": 1}]})] * 50)
    changed = profile([("purchase", {"items": [{"sku": "a", "n": "1"}]})] * 50)

    assert [change.path for change in drift(known, changed)] == ["purchase.items[].n"]


def test_silence_is_judged_by_what_was_due():
    times = [MONDAY + timedelta(minutes=minute) for minute in (0, 5, 10, 70, 75)]

    found = silences(times, lambda at: 60.0, until=MONDAY + timedelta(minutes=80))

    assert [(gap.start, gap.end) for gap in found] == [(times[2], times[3])]
    assert found[0].expected == pytest.approx(60.0)
    assert silences(times, lambda at: 6.0, until=MONDAY + timedelta(minutes=80)) == []


def test_zone_shift_is_the_median_of_many_clocks():
    lags = [timedelta(hours=1, seconds=second) for second in range(30)]

    assert zone_shift(lags) == timedelta(hours=1)
    assert zone_shift([timedelta(seconds=second) for second in range(30)]) is None
    assert zone_shift(lags[:5]) is None
    assert zone_shift([timedelta(minutes=42)] * 30) is None
    assert zone_shift([*lags[:10], *[timedelta(0)] * 20]) is None
