"""What a shopper need not type twice and does not lose sight of."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from tests.factories.accounts import a_member, sign_in
from tests.factories.catalog import a_product
from tests.factories.shoppers import ADDRESS

TYPED = {"email": "ada@example.org", **ADDRESS, "delivery": "collect"}


@pytest.fixture(autouse=True)
def shelf(app: Flask) -> None:
    with app.app_context():
        a_product("MUG-1", price=12_50, stock=7)
        db.session.commit()


def buy(client: FlaskClient, method: str) -> str:
    """Put a mug into the basket and pay; returns where that leads."""
    client.post("/cart/lines", data={"sku": "MUG-1"})
    hidden = dict(re.findall(r'name="(key|fingerprint)" value="([^"]+)"', client.get("/checkout").text))
    return client.post("/checkout", data={**hidden, **TYPED, "method": method}).location


def test_a_refused_second_step_leaves_what_was_typed(client: FlaskClient) -> None:
    bank = buy(client, "card_challenge")
    client.post(bank, data={"answer": "refuse"})

    again = client.get("/checkout").text

    assert 'value="ada@example.org"' in again
    assert f'value="{ADDRESS["postcode"]}"' in again
    assert re.search(r'name="delivery" value="collect" checked', again)


def test_what_was_typed_is_shown_to_nobody_else(app: Flask, client: FlaskClient) -> None:
    client.post(buy(client, "card_challenge"), data={"answer": "refuse"})
    other = app.test_client()
    other.post("/cart/lines", data={"sku": "MUG-1"})

    assert "ada@example.org" not in other.get("/checkout").text


def test_an_order_placed_before_signing_in_is_listed_with_the_members(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    placed = buy(client, "card_ok")

    sign_in(client)

    number = placed.split("?", 1)[0].rsplit("/", 1)[-1]
    assert number in client.get("/orders").text
    elsewhere = app.test_client()
    sign_in(elsewhere)
    assert number not in elsewhere.get("/orders").text
