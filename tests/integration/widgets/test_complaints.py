"""“Not for me”: said of a list, counted once an answer, shown as a guardrail, watched in experiments, erased with the person."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.analytics.guardrails import by_day, guardrail_findings, guardrails
from shop_app.analytics.period import last_days
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments import services
from shop_app.experiments.guardrails import Direction, Guardrail
from shop_app.experiments.metrics import moments_of
from shop_app.experiments.queries import split_of, unit_sums
from shop_app.experiments.services import Variant
from shop_app.extensions import db
from shop_app.privacy.registry import HOLDINGS, Person
from shop_app.recsys.models import BOUNDS_MS, AnswerMinute
from shop_app.tracking.models import Complaint
from shop_app.tracking.services import record_complaint
from tests.factories.catalog import a_product
from tests.factories.events import a_shopper
from tests.factories.experiments import a_plan, a_tracked_event
from tests.integration.widgets.test_slots import Recommender

FORM = re.compile(r'<form class="widget-report".*?</form>', re.DOTALL)
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"}


@pytest.fixture
def shop(app: Flask, client: FlaskClient) -> FlaskClient:
    app.extensions["recsys"] = Recommender(items=("P1", "P2"))
    with app.app_context():
        for sku in ("P1", "P2"):
            a_product(sku)
        db.session.commit()
    return client


def complaints() -> list[tuple[str, str, str | None, str | None]]:
    rows = db.session.scalars(select(Complaint).order_by(Complaint.id))
    return [(row.surface, row.widget, row.request_id, row.shopper_key) for row in rows]


@pytest.mark.ticket("RS-058")
def test_a_list_is_reported_in_place_and_on_its_page(app: Flask, shop: FlaskClient) -> None:
    fragment, page = shop.get("/w/home.top_picks").text, shop.get("/recommendations/home.top_picks?min=1").text
    in_place, plain = FORM.search(fragment), FORM.search(page)
    assert in_place is not None
    assert plain is not None
    answer = re.search(r'data-request-id="([^"]+)"', fragment)
    assert answer is not None

    said = [
        shop.post("/w/home.top_picks/complaints", data={"request_id": answer[1]}, headers=BROWSER) for _ in range(2)
    ]
    moved = shop.post("/recommendations/home.top_picks/complaints?min=1", data={"request_id": ""}, headers=BROWSER)

    assert answer[1] in in_place[0]
    assert 'hx-post="/w/home.top_picks/complaints"' in in_place[0]
    assert 'action="/recommendations/home.top_picks/complaints?min=1"' in plain[0]
    assert all('name="csrf_token"' in form[0] and "Not for me" in form[0] for form in (in_place, plain))
    assert [one.status_code for one in said] == [200, 200]
    assert 'role="status"' in said[0].text
    assert (moved.status_code, moved.location) == (303, "/recommendations/home.top_picks?min=1")
    assert "Thank you." in shop.get("/recommendations/home.top_picks").text
    with app.app_context():
        assert complaints() == [("home", "top_picks", name, None) for name in (answer[1], answer[1], None)]


def test_who_is_known_is_counted_once_an_answer_and_each_person_of_a_shared_one(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        ada, ben = a_shopper(key="a_ada"), a_shopper(key="a_ben")
        heard = [
            record_complaint(("home", "top_picks"), answer, shopper, clock.now())
            for answer, shopper in (("r1", ada), ("r1", ada), ("r1", ben), ("r2", ada))
        ]
        db.session.commit()

        assert heard[0] == heard[1]
        assert len({*heard}) == 3
        assert complaints() == [
            ("home", "top_picks", answer, key) for answer, key in (("r1", "a_ada"), ("r1", "a_ben"), ("r2", "a_ada"))
        ]


def test_what_is_no_list_and_who_is_no_person_is_not_heard(app: Flask, shop: FlaskClient) -> None:
    robot = {"User-Agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"}

    assert shop.post("/w/home.nothing/complaints", headers=BROWSER).status_code == 404
    assert shop.get("/w/home.top_picks/complaints").status_code == 405
    assert shop.post("/w/home.top_picks/complaints", headers=robot).status_code == 200
    assert shop.post("/w/home.top_picks/complaints", data={"request_id": "<b>"}, headers=BROWSER).status_code == 200
    with app.app_context():
        assert complaints() == [("home", "top_picks", None, None)]


def test_without_the_forms_token_nothing_is_written(app: Flask, shop: FlaskClient) -> None:
    app.config["WTF_CSRF_ENABLED"] = True

    answer = shop.post("/w/home.top_picks/complaints", headers=BROWSER)

    assert answer.status_code == 400
    with app.app_context():
        assert complaints() == []


@pytest.mark.ticket("RS-058")
def test_reports_are_a_guardrail_of_their_list(app: Flask, clock: FixedClock) -> None:
    bounds = {f"within_{bound}": 200 for bound in BOUNDS_MS}
    sums = {"answers": 200, "hits": 0, "took_us": 0, "cpu_us": 0, **bounds}
    with app.app_context():
        minute = clock.now().replace(second=0, microsecond=0)
        db.session.add(AnswerMinute(minute=minute, slot="home.top_picks", source="model", reason="", **sums))
        for number in range(8):
            record_complaint(("home", "top_picks"), f"r{number}", a_shopper(), clock.now())
        record_complaint(("home", "top_picks"), "long-ago", a_shopper(), clock.now() - timedelta(days=9))
        db.session.add(Complaint(at=clock.now(), surface="home", widget="top_picks", is_qa=True))
        db.session.commit()
        period = last_days(2, clock.now().date())
        [row] = guardrails(period)

        assert (row.slot, row.complaints, row.complained.value) == (("home", "top_picks"), 8, 0.04)
        assert by_day(period)["complained"] == {clock.now().date(): 0.04}
        assert [one.subject for one in guardrail_findings(clock.now())] == ["home.top_picks:complained"]


@pytest.mark.ticket("RS-058", "RS-051")
def test_an_experiment_whose_list_is_reported_more_is_stopped(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        guardrail = Guardrail("complaints", Direction.LOWER_IS_BETTER, 0.1)
        with unit_of_work(db.session):
            services.plan_experiment(a_plan(guardrails=(guardrail,)), actor="ana", now=clock.now())
            db.session.flush()
            experiment = services.start_experiment("more-cards", actor="ana", now=clock.now())
        split, at = split_of(experiment), clock.now() + timedelta(hours=1)
        with unit_of_work(db.session):
            for number in range(1200):
                db.session.add(a_tracked_event(EventKind.VIEW, f"a_{number}", at))
        with unit_of_work(db.session):
            services.collect_exposures(limit=5000)
        units = {f"a_{number}": services.assign(split, f"a_{number}") for number in range(1200)}
        unhappy = [key for key, arm in units.items() if arm == "twelve"][:90]
        with unit_of_work(db.session):
            for key in unhappy:
                place = {"surface": "pdp", "widget": "similar", "shopper_key": key}
                db.session.add(Complaint(at=at + timedelta(minutes=1), **place))
                db.session.add(Complaint(at=at - timedelta(days=1), **place))
                db.session.add(Complaint(at=at + timedelta(minutes=1), **(place | {"surface": "home"})))

        sums = moments_of("complaints", unit_sums(experiment), ("control", "twelve"))
        assert sums is not None
        assert (sums[0].mean, round(sums[1].mean * sums[1].n)) == (0.0, 90)
        with unit_of_work(db.session):
            assert services.stop_harmful(now=at + timedelta(days=1)) == ["more-cards"]
        assert "complaints is harmed" in services.experiment_by_key("more-cards").ended_because


def test_complaints_are_no_goal_of_an_experiment(app: Flask, clock: FixedClock) -> None:
    variants = (Variant("control", 0.5), Variant("twelve", 0.5, {"k": 12}))
    for changes in ({"primary_metric": "complaints"}, {"secondary_metrics": ("complaints",)}):
        with app.app_context(), pytest.raises(services.InvalidInput) as refusal:
            services.plan_experiment(a_plan(variants=variants, **changes), actor="ana", now=clock.now())
        assert refusal.value.fields == {"metrics": ["unknown, or good as a guardrail only: complaints"]}


@pytest.mark.ticket("RS-018")
def test_a_report_keeps_no_person_after_erasing(app: Flask, clock: FixedClock) -> None:
    holding = next(one for one in HOLDINGS if one.model is Complaint)
    shopper = a_shopper()
    with app.app_context():
        record_complaint(("home", "top_picks"), "r1", shopper, clock.now())
        db.session.commit()
        person = Person((shopper.key,), None)
        exported = holding.export(person)
        erased = holding.erase(person)
        db.session.commit()
        left = complaints()

    assert [(row["surface"], row["request_id"]) for row in exported] == [("home", "r1")]
    assert (erased, left) == (1, [("home", "top_picks", None, None)])
