"""An experiment through the console: planned, started, read, ended."""

from datetime import timedelta

import numpy as np
import pytest
from flask import Flask

from shop_app.admin.experiment_forms import parse_plan
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.experiments.bucketing import assign
from shop_app.experiments.queries import experiment_by_key, split_of
from shop_app.experiments.services import collect_exposures
from shop_app.extensions import db
from tests.factories.experiments import a_tracked_event
from tests.integration.admin.conftest import SignIn

PLAN = {
    "key": "more-cards", "slot": "pdp.similar", "hypothesis": "Twelve cards are clicked more.", "decision_rule": "As agreed.",
    "name_1": "twelve", "k_1": "12", "primary_metric": "ctr", "secondary": ["conversion", "ctr"], "margin_conversion": "5",
    "planned_units": "2000", "traffic_percent": "100", "revenue_cap": "200",
}  # fmt: skip


def test_a_plan_becomes_a_draft_exactly_as_typed(app: Flask, sign_in: SignIn) -> None:
    answer = sign_in("analyst").post("/admin/experiments", data=PLAN)

    assert answer.status_code == 303
    with app.app_context():
        plan = experiment_by_key("more-cards")
        assert plan.status == "draft"
        assert plan.variants == [
            {"name": "control", "weight": 0.5, "changes": {}},
            {"name": "twelve", "weight": 0.5, "changes": {"k": 12}},
        ]
        assert plan.secondary_metrics == ["conversion"]
        assert plan.guardrails == [{"metric": "conversion", "direction": "higher_is_better", "margin": 0.05}]
        assert (plan.planned_units, plan.revenue_cap_minor) == (2000, 20_000)


@pytest.mark.parametrize(
    ("field", "value"),
    [("hypothesis", ""), ("planned_units", "many"), ("k_1", "99"), ("traffic_percent", "0"), ("decision_rule", " "),
     ("revenue_cap", "much"), ("revenue_cap", "-1"), ("revenue_cap", "99999999.99")],
)  # fmt: skip
def test_a_bad_plan_is_refused_and_says_where(sign_in: SignIn, field: str, value: str) -> None:
    browser = sign_in("analyst")

    answer = browser.post("/admin/experiments", data={**PLAN, field: value})

    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "Twelve cards" in answer.text or field == "hypothesis"
    assert browser.get("/admin/experiments/more-cards").status_code == 404


def test_a_plan_without_a_variant_leads_to_where_one_is_named(sign_in: SignIn) -> None:
    answer = sign_in("analyst").post("/admin/experiments", data={**PLAN, "name_1": "", "k_1": ""})

    assert answer.status_code == 422
    assert (
        '<a href="#field-variants">name every variant, each differently; the control is there already</a>'
        in answer.text
    )
    assert answer.text.count('id="field-variants"') == 1


@pytest.mark.parametrize(("currency", "minor"), [("GBP", 20_000), ("JPY", 200), ("KWD", 200_000)])
def test_the_cut_of_revenue_is_an_amount_of_the_shops_currency(currency: str, minor: int) -> None:
    assert parse_plan(PLAN, [], currency).revenue_cap_minor == minor


def test_the_calculator_gives_the_reference_number_of_shoppers(sign_in: SignIn) -> None:
    page = sign_in("analyst").get("/admin/experiments/new?base_percent=5&lift_percent=10&power_percent=80").text

    assert "62,468 shoppers" in page  # two arms of 31,233.44, each rounded up
    assert 'value="62468"' in page


def test_the_form_proposes_where_to_cut_revenue_and_says_why(app: Flask, clock: FixedClock, sign_in: SignIn) -> None:
    browser = sign_in("analyst")
    empty = browser.get("/admin/experiments/new").text
    with app.app_context():
        meta = {"unit_price": 12_345, "currency": "GBP"}
        at = clock.now() - timedelta(days=3)
        db.session.add_all(a_tracked_event(EventKind.PURCHASE, f"a_{n}", at, meta=meta) for n in range(100))
        db.session.commit()

    page = browser.get("/admin/experiments/new").text
    cleared = browser.post("/admin/experiments", data={**PLAN, "revenue_cap": "", "key": ""}).text

    assert "Under 100 buyers" in empty
    assert 'name="revenue_cap" type="text" value=""' in empty
    assert 'value="123.45"' in page
    assert "99 of 100 buyers paid £123.45 or less (100 buyers)" in page
    assert 'value="123.45"' not in cleared


@pytest.mark.ticket("RS-051")
def test_a_started_experiment_is_reported_with_split_intervals_and_verdict(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    browser = sign_in("analyst", confirmed=True)
    browser.post("/admin/experiments", data=PLAN)
    empty = browser.get("/admin/experiments/more-cards").text
    browser.post("/admin/experiments/more-cards/start")
    with app.app_context():
        visits(clock, 1500, control=0.05, twelve=0.12)
    clock.advance(timedelta(days=8))

    page = browser.get("/admin/experiments/more-cards").text
    table = browser.get("/admin/experiments/more-cards/report.csv").text

    assert "Nobody has seen it yet." in empty
    assert "<strong>Yes.</strong> The counts fit the planned shares" in page
    assert "Click rate is better" in page or "not yet proven harmless" in page.lower()
    assert page.count('class="whisker"') >= 1
    assert "The split by day, device and page of arrival" in page
    assert "Device: phone" in page
    assert "data-print" in page
    assert "75.0 %" in page  # 1,500 of the 2,000 planned
    assert table.splitlines()[1].startswith('"twelve","ctr",')


def test_ending_needs_a_reason_and_the_password(app: Flask, sign_in: SignIn) -> None:
    browser = sign_in("analyst")
    browser.post("/admin/experiments", data=PLAN)
    browser.post("/admin/experiments/more-cards/start")

    unconfirmed = browser.post("/admin/experiments/more-cards/end", data={"because": "Seen enough", "how": "stopped"})
    with browser.session_transaction() as session:
        session["confirmed_at"] = app.extensions["clock"].now().timestamp()
    silent = browser.post("/admin/experiments/more-cards/end", data={"because": " "}, follow_redirects=True)
    ended = browser.post("/admin/experiments/more-cards/end", data={"because": "Seen enough", "how": "stopped"})

    assert unconfirmed.status_code == 403
    assert "Say why" in silent.text
    assert ended.status_code == 303
    with app.app_context():
        assert (experiment_by_key("more-cards").status, experiment_by_key("more-cards").ended_because) == (
            "stopped",
            "Seen enough",
        )


def visits(clock: FixedClock, shoppers: int, **click_rates: float) -> None:
    """Five impressions and some clicks of every shopper, and their exposures."""
    rng, at, split = (
        np.random.default_rng(5),
        clock.now() + timedelta(hours=1),
        split_of(experiment_by_key("more-cards")),
    )
    for n in range(shoppers):
        key = f"a_{n}"
        clicks = rng.binomial(5, click_rates[assign(split, key)])
        db.session.add_all(a_tracked_event(EventKind.VIEW, key, at) for _ in range(5))
        db.session.add_all(a_tracked_event(EventKind.CLICK, key, at) for _ in range(clicks))
    db.session.commit()
    while collect_exposures():
        db.session.commit()
