"""What looks alike: neighbours for a spot check, and pairs that people say are not alike."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from recsys_engine.contract import Context, RecommendRequest
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.site_settings.models import AuditEntry
from tests.factories.analytics import an_event
from tests.integration.admin.conftest import SignIn
from tests.integration.admin.test_lists import told_engine  # noqa: F401  (a fixture)


@pytest.mark.ticket("RS-062")
def test_a_pair_that_is_not_alike_is_marked_and_taken_off_again(
    app: Flask,
    clock: FixedClock,
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
) -> None:
    told_engine.operations.backfill_vectors(lambda *_: None)
    browser = sign_in("merchandiser")

    page = browser.get("/admin/similarity?item=P-1").text
    other = re.search(r'name="other_id" value="([^"]+)"', page)[1]
    pair = {"item_id": "P-1", "other_id": other}
    marked = browser.post("/admin/similarity/pairs", data={**pair, "to": "false"})
    listed = browser.get("/admin/similarity").text
    browser.post("/admin/similarity/pairs", data={**pair, "to": "true"})

    assert marked.status_code == 303
    assert "Take off the list" in listed
    assert told_engine.operations.false_pairs() == []
    with app.app_context():
        told = list(db.session.scalars(select(AuditEntry.after).where(AuditEntry.action == "engine.false_pair")))
    assert told == [{"pair": ["P-1", other], "alike": False}, {"pair": ["P-1", other], "alike": True}]


def test_a_product_nobody_knows_is_named_and_a_pair_of_one_is_none(
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
) -> None:
    browser = sign_in("merchandiser")

    assert browser.get("/admin/similarity?item=NO-SUCH").status_code == 200
    assert browser.post("/admin/similarity/pairs", data={"item_id": "P-1", "other_id": "P-1"}).status_code == 400
    assert sign_in("viewer").post("/admin/similarity/pairs", data={}).status_code == 403


@pytest.mark.ticket("RS-057")
def test_a_past_answer_is_made_again_and_compared(
    app: Flask,
    clock: FixedClock,
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
) -> None:
    answer = told_engine.recommend(RecommendRequest("u_1", 4, Context("home.trending")))
    with app.app_context():
        for request_id in (answer.request_id, "nobody-s"):
            an_event(EventKind.VIEW, clock.now(), request_id=request_id, surface="home", widget="trending", rank=1)
        db.session.commit()
    browser = sign_in("analyst")

    asked = browser.get(f"/admin/answers/{answer.request_id}").text
    made = browser.get(f"/admin/answers/{answer.request_id}?again=1").text
    unknown = browser.get("/admin/answers/nobody-s?again=1").text

    assert "Make it again" in asked
    assert "<strong>Identical.</strong>" in made
    assert "Recsys keeps no list of this id" in unknown
