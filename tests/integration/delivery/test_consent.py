"""The choice about tracking."""

import hashlib

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.tracking.consent import PURPOSES, TEXT_VERSION, personalised
from shop_app.tracking.models import ConsentRecord


@pytest.mark.ticket("RS-017")
@pytest.mark.parametrize(
    ("form", "analytics", "personalisation"),
    [
        ({"choice": "all"}, True, True),
        ({"choice": "essential"}, False, False),
        ({"choice": "essential", "analytics": "on"}, False, False),
        ({"choice": "custom", "analytics": "on"}, True, False),
        ({"choice": "custom"}, False, False),
    ],
)
def test_a_choice_is_kept_with_the_words_it_was_made_on(
    app: Flask, client: FlaskClient, clock: FixedClock, form: dict[str, str], *, analytics: bool, personalisation: bool
) -> None:
    response = client.post("/consent", data={**form, "next": "/cart"})

    assert (response.status_code, response.location) == (303, "/cart")
    with app.app_context():
        record = db.session.scalars(select(ConsentRecord)).one()
    assert (record.analytics, record.personalisation) == (analytics, personalisation)
    assert (record.text_version, record.decided_at) == (TEXT_VERSION, clock.now())
    words = "\n".join(f"{p.name}|{p.title}|{p.text}" for p in PURPOSES)
    assert record.text_hash == hashlib.sha256(f"{TEXT_VERSION}\n{words}".encode()).hexdigest()


def test_the_banner_asks_until_there_is_an_answer_and_both_answers_look_alike(client: FlaskClient) -> None:
    before = client.get("/consent").text
    client.post("/consent", data={"choice": "essential"})
    after = client.get("/consent").text

    for page in (before, after):
        assert page.count('<button class="button button-quiet" name="choice" value=') == 3
        assert "checked disabled" in page
        assert page.count("checked") == 1


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_choosing_never_leads_off_the_shop(client: FlaskClient, target: str) -> None:
    assert client.post("/consent", data={"choice": "all", "next": target}).location == "/"


def test_the_latest_decision_counts(app: Flask, client: FlaskClient) -> None:
    client.post("/consent", data={"choice": "all"})
    with client.session_transaction() as cookie:
        key = cookie["anonymous"]
    with app.app_context():
        agreed = personalised([key, "a_undecided"])
    client.post("/consent", data={"choice": "essential"})
    with app.app_context():
        withdrawn = personalised([key, "a_undecided"])

    assert (agreed, withdrawn) == ({key}, set())
