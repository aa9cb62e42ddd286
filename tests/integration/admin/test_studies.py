"""Asking the recommender what takes minutes: the lab and offline evaluation, from the console to the result."""

from datetime import timedelta

import pytest
from flask import Flask

from recsys_engine.contract import Context, Event, EventType, RecommendRequest
from shop_app.core.clock import FixedClock
from shop_app.experiments import studies
from shop_app.experiments.models import Study
from shop_app.extensions import db
from tests.factories.engine import NOW, fill


@pytest.fixture
def shop(app: Flask) -> Flask:
    fill(app.extensions["recsys"], orders=6)
    return app


def run(app: Flask) -> None:
    with app.app_context():
        result = app.test_cli_runner().invoke(args=["run-studies"])
    assert result.exit_code == 0, result.output


def kept(app: Flask, study_id: int = 1) -> Study:
    with app.app_context():
        return studies.one_study(study_id)


@pytest.mark.ticket("RS-049")
def test_an_evaluation_asked_for_in_the_console_is_stored_and_compared(shop: Flask, sign_in) -> None:
    browser = sign_in("analyst")
    for _ in range(2):
        assert browser.post("/admin/evaluations").status_code == 303
        assert "A worker takes it" in browser.get("/admin/evaluations").text
        run(shop)

    page = browser.get("/admin/evaluations").text
    assert kept(shop).status == kept(shop, 2).status == "done"
    assert "No task fell by more than 0.01" in page
    result = kept(shop).result
    assert result is not None
    one = browser.get(f"/admin/evaluations/{result['evaluation_id']}")
    assert "Best sellers" in one.text
    assert browser.get("/admin/evaluations/nothing").status_code == 404


def test_one_evaluation_at_a_time_and_a_waiting_one_can_be_cancelled(shop: Flask, sign_in) -> None:
    browser = sign_in("analyst")
    browser.post("/admin/evaluations")
    browser.post("/admin/evaluations")
    with shop.app_context():
        assert len(studies.studies("evaluation")) == 1

    browser.post("/admin/studies/1/cancellation")
    run(shop)

    assert kept(shop).status == "cancelled"
    assert sign_in("viewer").post("/admin/evaluations").status_code == 403


def test_a_running_study_stops_at_its_next_step_and_a_silent_one_is_given_up(
    shop: Flask, clock: FixedClock, sign_in
) -> None:
    browser = sign_in("analyst")
    browser.post("/admin/evaluations")
    with shop.app_context():
        study = studies.take_study(clock.now())
        assert study is not None
        db.session.commit()
        browser.post("/admin/studies/1/cancellation")
        assert studies.one_study(1).wants_cancel
        assert "stopping" in browser.get("/admin/studies/1/progress").text

        assert studies.take_study(clock.now() + studies.LOST_AFTER + timedelta(seconds=1)) is None
        assert studies.one_study(1).status == "failed"


def visits(app: Flask, rate: float) -> None:
    gateway = app.extensions["recsys"]
    gateway.control.put_config({"exploration_rate": rate})
    events = []
    for number in range(80):
        answer = gateway.recommend(RecommendRequest(f"g_{number}", 6, Context("home.top_picks")))
        for place in answer.items:
            meta = {"surface": "home", "widget": "top_picks", "rank": place.rank, "request_id": answer.request_id}
            seen = Event(f"g_{number}", place.item_id, EventType.VIEW, 1.0, NOW, meta | {"kind": "impression"})
            events.append(seen)
            if (number + place.rank) % 7 == 0:
                events.append(Event(f"g_{number}", place.item_id, EventType.CLICK, 1.0, NOW, meta))
    gateway.send_events(events)


@pytest.mark.ticket("RS-049")
def test_the_lab_answers_with_intervals_where_the_log_explored(shop: Flask, clock: FixedClock, sign_in) -> None:
    visits(shop, rate=0.3)
    clock.advance(timedelta(hours=1))
    browser = sign_in("analyst")

    asked = browser.post("/admin/lab", data={"slot": "home.top_picks", "exploration_rate": "0.2"})
    run(shop)

    page = browser.get(asked.location).text
    assert "Doubly robust" in page
    assert "Effective impressions" in page
    assert kept(shop).result["clicks"][2]["name"] == "dr"
    assert "home.top_picks" in browser.get("/admin/lab").text


def test_the_lab_refuses_where_it_did_not_and_says_what_to_log(shop: Flask, clock: FixedClock, sign_in) -> None:
    visits(shop, rate=0.0)
    clock.advance(timedelta(hours=1))
    browser = sign_in("analyst")

    asked = browser.post("/admin/lab", data={"slot": "home.top_picks", "blend_gamma": "1"})
    run(shop)

    page = browser.get(asked.location).text
    assert "The log cannot answer this." in page
    assert "log" in kept(shop).result["problem"]


def test_a_question_without_a_draft_is_no_question(shop: Flask, sign_in) -> None:
    refused = sign_in("analyst").post("/admin/lab", data={"slot": "home.top_picks"})

    assert refused.status_code == 422
    assert "Change at least one setting" in refused.text
