"""The choice about tracking."""

import hashlib

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.tracking.consent import ANSWERS, EXPLANATION, PURPOSES, QUESTION, TEXT_VERSION, personalised
from shop_app.tracking.identity import REFUSED
from shop_app.tracking.models import ConsentRecord
from tests.factories.catalog import a_product


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
    purposes = [f"{p.name}|{p.title}|{p.text}" for p in PURPOSES]
    words = "\n".join([QUESTION, EXPLANATION, "Accept all", "Essential only", "Save my choice", *purposes])
    assert record.text_hash == hashlib.sha256(f"{TEXT_VERSION}\n{words}".encode()).hexdigest()


def test_what_is_hashed_is_what_is_shown(client: FlaskClient) -> None:
    banner, page = client.get("/cart").text, client.get("/consent").text

    assert all(words in banner for words in (QUESTION, EXPLANATION, *list(ANSWERS.values())[:2]))
    assert all(
        words in page for words in (*ANSWERS.values(), *(p.title for p in PURPOSES), *(p.text for p in PURPOSES))
    )
    assert "Global Privacy Control" not in page
    assert "Global Privacy Control" in client.get("/consent", headers={"Sec-GPC": "1"}).text


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


def cookies(client: FlaskClient) -> dict[str, bool]:
    """Name of each cookie, and whether it outlives the browser."""
    return {cookie.key: cookie.expires is not None or cookie.max_age is not None for cookie in client._cookies.values()}


@pytest.mark.ticket("RS-017")
@pytest.mark.parametrize("answer", ["", "essential"])
def test_without_a_yes_nobody_is_known_until_something_is_kept_for_them(
    app: Flask, client: FlaskClient, answer: str
) -> None:
    with app.app_context():
        a_product("MUG-1")
        db.session.commit()
    if answer:
        client.post("/consent", data={"choice": answer})
    for path in ("/", "/products/mug-1", "/w/home.trending", "/search?q=mug", "/cart"):
        client.get(path)
    with client.session_transaction() as cookie:
        before = set(cookie)
    client.post("/cart/lines", data={"sku": "MUG-1"})
    with client.session_transaction() as cookie:
        after = set(cookie)

    assert before <= {"csrf_token", "consent", "_permanent", "_fresh"}
    assert after - before - {"_flashes"} == {"anonymous"}
    assert cookies(client)["shop"] is False
    assert "The MUG-1" in client.get("/cart").text


@pytest.mark.ticket("RS-017")
def test_an_answer_outlives_the_browser_and_a_no_is_the_same_for_everybody(client: FlaskClient) -> None:
    client.post("/consent", data={"choice": "all"})
    assert cookies(client) == {"shop": True}

    client.post("/consent", data={"choice": "essential"})
    assert cookies(client) == {"shop": False, REFUSED: True}
    assert client.get_cookie(REFUSED).value == "yes"  # type: ignore[union-attr]

    client.delete_cookie("shop")  # the browser was closed
    page = client.get("/cart").text
    assert "May we learn" not in page
    assert 'data-consent="none"' in page

    client.post("/consent", data={"choice": "all"})
    assert cookies(client) == {"shop": True}
