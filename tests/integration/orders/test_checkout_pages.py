"""Checking out through the pages: every end a payment can come to."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from shop_app.accounts.models import User
from shop_app.catalog.models import Product, ProductSales, Variant
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.orders.checkout import FORGOTTEN_AFTER, GIVEN_UP_AFTER, settle_forgotten
from shop_app.orders.models import Order, PaymentAttempt, PaymentNotice, SandboxPayment
from shop_app.orders.sandbox import ANSWERS_AFTER
from shop_app.outbox.models import ChangedEntity
from shop_app.tracking.models import TrackedEvent
from tests.factories.accounts import EMAIL, a_member, sign_in
from tests.factories.catalog import a_product
from tests.factories.shoppers import ADDRESS


@pytest.fixture(autouse=True)
def shelf(app: Flask) -> None:
    with app.app_context():
        a_product("MUG-1", price=12_50, stock=7)
        a_product("POT-1", price=40_00, stock=3)
        db.session.commit()


def fill(client: FlaskClient, *skus: str, via: str = "") -> None:
    with client.session_transaction() as session:
        session["consent"] = [True, True]
    for sku in skus or ("MUG-1",):
        client.post("/cart/lines", data={"sku": sku, "via": via})


def form(client: FlaskClient, **changes: str) -> dict[str, str]:
    page = client.get("/checkout").text
    hidden = dict(re.findall(r'type="hidden" name="(key|fingerprint)" value="([^"]+)"', page))
    return {**hidden, "email": "ada@example.org", **ADDRESS, "delivery": "collect", "method": "card_ok", **changes}


def buy(client: FlaskClient, **changes: str) -> TestResponse:
    return client.post("/checkout", data=form(client, **changes))


def orders() -> list[Order]:
    return list(db.session.scalars(select(Order).order_by(Order.id)))


def stock(sku: str = "MUG-1") -> int:
    return db.session.scalars(select(Variant.stock).where(Variant.sku == sku)).one()


def attempt_states() -> list[str]:
    return list(db.session.scalars(select(PaymentAttempt.status).order_by(PaymentAttempt.id)))


def webhook(app: Flask, client: FlaskClient, key: str, now: Any) -> TestResponse:
    with app.app_context():
        body, signature = app.extensions["payments"].webhook(key, now)
    return client.post("/payments/webhooks/sandbox", data=body, headers={"X-Signature": signature})


@pytest.mark.ticket("RS-023")
@pytest.mark.ticket("RS-024")
@pytest.mark.ticket("RS-025")
def test_an_order_is_told_line_by_line_and_as_a_whole(app: Flask, client: FlaskClient) -> None:
    fill(client, "MUG-1", "POT-1", "MUG-1", via="home.top_picks:2:req-7")

    response = buy(client, delivery="standard")

    assert response.status_code == 303
    with app.app_context():
        (order,) = orders()
        assert response.location == f"/orders/{order.number}?placed=yes"
        assert (order.subtotal_minor, order.delivery_minor, order.total_minor) == (65_00, 0, 65_00)
        events = db.session.scalars(select(TrackedEvent).where(TrackedEvent.type >= 3).order_by(TrackedEvent.id)).all()
        assert [(e.type, e.source_event_id, e.item_id, e.value) for e in events] == [
            (3, f"order:{order.number}:line:1", "MUG-1", 2.0),
            (3, f"order:{order.number}:line:2", "POT-1", 1.0),
            (4, f"order:{order.number}:order", None, 1.0),
        ]
        first, _, summary = events
        assert (first.meta["order_id"], first.meta["unit_price"], first.meta["currency"]) == (order.number, 1250, "GBP")
        assert (first.surface, first.widget, first.rank, first.request_id) == ("home", "top_picks", 2, "req-7")
        assert (summary.meta["kind"], summary.meta["total"]) == ("order", 65_00)
        assert summary.meta["items"] == [
            {"item_id": "MUG-1", "sku": "MUG-1", "quantity": 2, "unit_price": 1250},
            {"item_id": "POT-1", "sku": "POT-1", "quantity": 1, "unit_price": 4000},
        ]
        assert {e.shopper_key for e in events} == {order.shopper_key}
        assert (stock("MUG-1"), stock("POT-1")) == (5, 2)
        assert sorted(db.session.scalars(select(Product.stock))) == [2, 5]
        assert sorted(db.session.scalars(select(ProductSales.units))) == [1, 2]
        assert {(c.kind, c.entity_id) for c in db.session.scalars(select(ChangedEntity))} >= {("item", 1), ("item", 2)}
        assert attempt_states() == ["captured"]
        assert order.lines[0].request_id == "req-7"


def test_the_basket_is_empty_afterwards_and_the_order_page_thanks(app: Flask, client: FlaskClient) -> None:
    fill(client)

    page = client.post("/checkout", data=form(client), follow_redirects=True)

    assert "Thank you" in page.text
    assert "12 St James&#39;s Square" in page.text
    assert "req-" not in page.text
    assert "Your basket is empty" in client.get("/cart").text


def test_a_second_submit_returns_the_same_order(app: Flask, client: FlaskClient) -> None:
    fill(client)
    filled = form(client)

    first, second = client.post("/checkout", data=filled), client.post("/checkout", data=filled)

    assert first.location == second.location
    with app.app_context():
        assert len(orders()) == 1
        assert stock() == 6


def test_nobody_else_opens_a_guests_order(app: Flask, client: FlaskClient) -> None:
    fill(client)
    place = buy(client).location

    assert client.get(place).status_code == 200
    assert app.test_client().get(place).status_code == 404
    assert "No orders yet" in app.test_client().get("/orders").text
    assert "The MUG-1" in client.get("/orders").text


def test_a_member_sees_the_order_on_any_browser_and_another_member_does_not(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    a_member(app, "eve@example.org", now=clock.now())
    sign_in(client)
    fill(client)
    place = buy(client).location
    second, eve = app.test_client(), app.test_client()
    sign_in(second)
    sign_in(eve, "eve@example.org")

    assert second.get(place).status_code == 200
    assert eve.get(place).status_code == 404
    with app.app_context():
        assert orders()[0].email == EMAIL


def test_a_declined_card_leaves_everything_as_it_was_and_another_card_works(app: Flask, client: FlaskClient) -> None:
    fill(client)

    declined = buy(client, method="card_declined")

    assert declined.status_code == 402
    assert "The bank said no" in declined.text
    assert 'value="ada@example.org"' in declined.text
    with app.app_context():
        assert orders() == []
        assert stock() == 7
    assert buy(client).status_code == 303
    with app.app_context():
        assert len(orders()) == 1


@pytest.mark.parametrize(("answer", "count"), [("approve", 1), ("refuse", 0)])
def test_a_second_step_decides(app: Flask, client: FlaskClient, answer: str, count: int) -> None:
    fill(client)
    bank = buy(client, method="card_challenge")
    assert bank.location.startswith("/payments/sandbox/sbx_")
    assert "£12.50" in client.get(bank.location).text
    with app.app_context():
        assert orders() == []

    back = client.post(bank.location, data={"answer": answer})
    end = client.post(back.location)

    assert ("/orders/" in end.location) == bool(count)
    with app.app_context():
        assert len(orders()) == count
        assert attempt_states() == ["captured" if count else "declined"]


def test_a_silent_bank_is_asked_again(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    fill(client)

    waiting = buy(client, method="card_slow")
    early = client.post(waiting.location)
    clock.advance(ANSWERS_AFTER)
    late = client.post(waiting.location)

    assert early.location == waiting.location
    assert late.location.startswith("/orders/RS-")
    with app.app_context():
        assert len(orders()) == 1


def test_the_waiting_page_polls_as_a_fragment_and_then_leaves(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    fill(client)
    waiting = buy(client, method="card_slow").location

    fragment = client.post(waiting, headers={"HX-Request": "true"})
    clock.advance(ANSWERS_AFTER)
    done = client.post(waiting, headers={"HX-Request": "true"})

    assert 'id="waiting"' in fragment.text
    assert "<html" not in fragment.text
    assert done.headers["HX-Redirect"].startswith("/orders/RS-")


def test_a_late_webhook_places_the_order_once_however_often_it_comes(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    fill(client)
    waiting = buy(client, method="card_slow").location
    key = waiting.rsplit("/", 1)[-1]
    provider = app.test_client()

    answers = [webhook(app, provider, key, clock.now()).json for _ in range(3)]

    assert answers == [{"is_new": True}, {"is_new": False}, {"is_new": False}]
    assert client.get(waiting).location.startswith("/orders/RS-")
    with app.app_context():
        assert len(orders()) == 1
        assert stock() == 6
        assert len(db.session.scalars(select(PaymentNotice)).all()) == 1
        assert [e.type for e in db.session.scalars(select(TrackedEvent).where(TrackedEvent.type >= 3))] == [3, 4]


def test_a_webhook_about_goods_that_are_gone_lets_the_money_go(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    fill(client)
    key = buy(client, method="card_slow").location.rsplit("/", 1)[-1]
    with app.app_context():
        db.session.scalars(select(Variant).where(Variant.sku == "MUG-1")).one().stock = 0
        db.session.commit()

    webhook(app, client, key, clock.now())

    with app.app_context():
        assert orders() == []
        assert attempt_states() == ["voided"]
        assert db.session.scalars(select(SandboxPayment.state)).all() == ["voided"]


def test_a_forged_webhook_is_refused(client: FlaskClient) -> None:
    body = json.dumps({"notice_id": "x", "key": "k", "ref": "r", "state": "authorised"})

    response = client.post("/payments/webhooks/sandbox", data=body, headers={"X-Signature": "0" * 64})

    assert response.status_code == 403


def test_goods_that_sold_out_meanwhile_are_named_and_nothing_is_charged(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    fill(client, "MUG-1", "POT-1")
    waiting = buy(client, method="card_slow").location
    with app.app_context():
        db.session.scalars(select(Variant).where(Variant.sku == "POT-1")).one().stock = 0
        db.session.commit()
    clock.advance(ANSWERS_AFTER)

    page = client.post(waiting, follow_redirects=True)

    assert "The POT-1: 0 left" in page.text
    with app.app_context():
        assert orders() == []
        assert stock("MUG-1") == 7
        assert attempt_states() == ["voided"]


def test_a_price_that_moved_is_shown_before_anything_is_charged(app: Flask, client: FlaskClient) -> None:
    fill(client)
    filled = form(client)
    with app.app_context():
        db.session.scalars(select(Variant).where(Variant.sku == "MUG-1")).one().price_minor = 13_00
        db.session.commit()

    refused = client.post("/checkout", data=filled)

    assert refused.status_code == 409
    assert "changed since you saw it" in refused.text
    with app.app_context():
        assert attempt_states() == []
    assert buy(client).status_code == 303
    with app.app_context():
        assert orders()[0].total_minor == 13_00


def test_a_price_that_moves_after_the_bank_said_yes_voids(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    fill(client)
    waiting = buy(client, method="card_slow").location
    with app.app_context():
        db.session.scalars(select(Variant).where(Variant.sku == "MUG-1")).one().price_minor = 1
        db.session.commit()
    clock.advance(ANSWERS_AFTER)

    client.post(waiting)

    with app.app_context():
        assert orders() == []
        assert db.session.scalars(select(SandboxPayment.state)).all() == ["voided"]


def test_every_missing_field_is_named_beside_its_label(client: FlaskClient) -> None:
    fill(client)

    page = buy(
        client, email="nobody", full_name="", line1="", city="", postcode="", country="XX", delivery="", method="cash"
    )

    assert page.status_code == 400
    for text in (
        "Enter an e-mail address",
        "name on the parcel",
        "street and number",
        "town or city",
        "postcode",
        "Choose a country",
        "Choose how it should reach you",
        "Choose how to pay",
    ):
        assert text in page.text
    assert page.text.count('aria-invalid="true"') == 6


def test_an_empty_basket_cannot_be_checked_out(client: FlaskClient) -> None:
    assert client.get("/checkout").location == "/cart"


def test_the_key_of_another_shopper_opens_nothing(app: Flask, client: FlaskClient) -> None:
    fill(client)
    filled = form(client)
    client.post("/checkout", data=filled)
    thief = app.test_client()
    fill(thief)

    response = thief.post("/checkout", data={**form(thief), "key": filled["key"]})

    assert response.status_code == 400
    with app.app_context():
        assert len(orders()) == 1


def test_a_saved_address_is_used_and_a_typed_one_kept(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    sign_in(client)
    fill(client)
    buy(client, save_address="on")
    fill(client)
    page = client.get("/checkout").text
    (saved,) = re.findall(r'name="address" value="(\d+)" checked', page)

    placed = buy(client, address=saved, full_name="", line1="", city="", postcode="")

    assert placed.status_code == 303
    with app.app_context():
        assert [order.address for order in orders()] == [ADDRESS, ADDRESS]


def test_an_attempt_whose_request_died_is_finished_by_the_job(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    fill(client)
    buy(client, method="card_slow")
    clock.advance(FORGOTTEN_AFTER)

    with app.app_context():
        looked_at = settle_forgotten(app.extensions["payments"], clock.now())
        again = settle_forgotten(app.extensions["payments"], clock.now())

        assert (looked_at, again) == (1, 0)
        assert len(orders()) == 1
        assert attempt_states() == ["captured"]


def test_a_second_step_nobody_takes_is_given_up(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    fill(client)
    buy(client, method="card_challenge")
    clock.advance(GIVEN_UP_AFTER)

    with app.app_context():
        settle_forgotten(app.extensions["payments"], clock.now())

        assert attempt_states() == ["voided"]
        assert orders() == []
    assert buy(client).status_code == 303


def test_buying_again_puts_the_line_back_into_the_basket(app: Flask, client: FlaskClient) -> None:
    fill(client)
    page = client.post("/checkout", data=form(client), follow_redirects=True).text
    assert "Buy again" in page

    client.post("/cart/lines", data={"sku": "MUG-1", "via": "orders.lines:1"})

    assert "The MUG-1" in client.get("/cart").text


def test_spending_earns_a_tier_and_a_sync(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    user_id, _ = a_member(app, now=clock.now())
    sign_in(client)
    with app.app_context():
        before = {
            c.entity_id: c.version
            for c in db.session.scalars(select(ChangedEntity).where(ChangedEntity.kind == "user"))
        }
    fill(client, "POT-1", "POT-1", "POT-1")
    buy(client)

    with app.app_context():
        assert db.session.get_one(User, user_id).loyalty_tier == "bronze"
        after = {
            c.entity_id: c.version
            for c in db.session.scalars(select(ChangedEntity).where(ChangedEntity.kind == "user"))
        }
        assert after[user_id] == before[user_id] + 1
