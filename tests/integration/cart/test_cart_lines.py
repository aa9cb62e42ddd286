"""Baskets through their routes: what goes in, what is told, what is refused."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.cart.models import Cart, CartLine
from shop_app.cart.services import MAX_QUANTITY
from shop_app.catalog.models import Product, Variant
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent
from tests.factories.catalog import a_product


@pytest.fixture
def mug(app: Flask) -> None:
    with app.app_context():
        a_product("MUG-1", price=12_50, stock=7)
        db.session.commit()


def agree(client: FlaskClient) -> None:
    with client.session_transaction() as session:
        session["consent"] = [True, True]


def lines() -> list[CartLine]:
    return list(db.session.scalars(select(CartLine).order_by(CartLine.id)))


def events() -> list[TrackedEvent]:
    return list(db.session.scalars(select(TrackedEvent).order_by(TrackedEvent.id)))


@pytest.mark.usefixtures("mug")
@pytest.mark.ticket("RS-022")
def test_an_add_is_told_with_its_price_cart_and_place(app: Flask, client: FlaskClient) -> None:
    agree(client)

    response = client.post("/cart/lines", data={"sku": "MUG-1", "quantity": "2", "via": "home.top_picks:3:req-9"})

    assert response.status_code == 303
    assert response.location == "/cart"
    with app.app_context():
        (event,) = events()
        (cart,) = db.session.scalars(select(Cart))
        assert (event.type, event.item_id, event.value) == (2, "MUG-1", 2.0)
        assert event.meta == {"cart_id": cart.token, "unit_price": 1250, "currency": "GBP", "sku": "MUG-1"}
        assert (event.surface, event.widget, event.rank, event.request_id) == ("home", "top_picks", 3, "req-9")
        assert event.recommended is True
        assert event.shopper_key == cart.shopper_key


@pytest.mark.usefixtures("mug")
def test_adding_twice_makes_one_line_and_two_events(app: Flask, client: FlaskClient) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1", "quantity": "2"})
    client.post("/cart/lines", data={"sku": "MUG-1"})

    with app.app_context():
        assert [line.quantity for line in lines()] == [3]
        assert [event.value for event in events()] == [2.0, 1.0]


@pytest.mark.usefixtures("mug")
def test_the_last_recommended_click_keeps_the_credit(app: Flask, client: FlaskClient) -> None:
    for via in ("search.results:1", "home.top_picks:2:first", "pdp.similar:5:second", "search.results:9", "<script>"):
        client.post("/cart/lines", data={"sku": "MUG-1", "via": via})

    with app.app_context():
        (line,) = lines()
        assert (line.surface, line.widget, line.rank, line.request_id) == ("pdp", "similar", 5, "second")


@pytest.mark.usefixtures("mug")
def test_no_more_goes_in_than_there_is(app: Flask, client: FlaskClient) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1", "quantity": "9"})
    client.post("/cart/lines", data={"sku": "MUG-1"})

    with client.session_transaction() as session:
        assert session["_flashes"] == [
            ("warn", "7 × The MUG-1 added: that is all we can put aside for you."),
            ("warn", "Your basket already holds all of The MUG-1 we can give you."),
        ]
    with app.app_context():
        assert [line.quantity for line in lines()] == [7]
        assert [event.value for event in events()] == [7.0]


def test_a_line_holds_the_limit_at_most(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        a_product("PEN-1", stock=500)
        db.session.commit()

    client.post("/cart/lines", data={"sku": "PEN-1", "quantity": "400"})

    with app.app_context():
        assert [line.quantity for line in lines()] == [MAX_QUANTITY]


@pytest.mark.usefixtures("mug")
def test_raising_a_quantity_tells_the_difference_and_lowering_tells_nothing(app: Flask, client: FlaskClient) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1", "quantity": "2"})
    with app.app_context():
        line_id = lines()[0].id

    client.post(f"/cart/lines/{line_id}", data={"quantity": "5"})
    client.post(f"/cart/lines/{line_id}", data={"quantity": "1"})

    with app.app_context():
        assert [line.quantity for line in lines()] == [1]
        assert [event.value for event in events()] == [2.0, 3.0]


@pytest.mark.usefixtures("mug")
def test_zero_takes_the_line_out(app: Flask, client: FlaskClient) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1"})
    with app.app_context():
        line_id = lines()[0].id

    page = client.post(f"/cart/lines/{line_id}", data={"quantity": "0"}, follow_redirects=True)

    assert "Your basket is empty" in page.text
    with app.app_context():
        assert lines() == []


@pytest.mark.usefixtures("mug")
def test_nobody_touches_the_line_of_another(app: Flask, client: FlaskClient) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1"})
    with app.app_context():
        line_id = lines()[0].id

    response = app.test_client().post(f"/cart/lines/{line_id}", data={"quantity": "0"})

    assert response.status_code == 404
    with app.app_context():
        assert [line.quantity for line in lines()] == [1]


@pytest.mark.usefixtures("mug")
@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "1000", "x", "", "²"])
def test_a_strange_quantity_is_refused(app: Flask, client: FlaskClient, quantity: str) -> None:
    response = client.post("/cart/lines", data={"sku": "MUG-1", "quantity": quantity})

    assert response.status_code == 400
    with app.app_context():
        assert lines() == []


@pytest.mark.usefixtures("mug")
def test_what_is_not_sold_does_not_go_in(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        db.session.scalars(select(Product)).one().status = "discontinued"
        db.session.commit()

    assert client.post("/cart/lines", data={"sku": "MUG-1"}).status_code == 404
    assert client.post("/cart/lines", data={"sku": "NO-SUCH"}).status_code == 404


@pytest.mark.usefixtures("mug")
def test_the_page_says_that_a_price_moved_until_the_shopper_has_seen_it(app: Flask, client: FlaskClient) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1"})
    with app.app_context():
        db.session.scalars(select(Variant)).one().price_minor = 14_00
        db.session.commit()

    before = client.get("/cart").text
    client.post("/cart/prices")
    after = client.get("/cart").text

    assert "Was £12.50 when you added it, now £14.00." in before
    assert "£12.50" not in after
    assert "£14.00" in after


@pytest.mark.usefixtures("mug")
def test_a_line_that_sold_out_blocks_the_checkout_link(app: Flask, client: FlaskClient) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1", "quantity": "3"})
    with app.app_context():
        db.session.scalars(select(Variant)).one().stock = 2
        db.session.commit()

    page = client.get("/cart").text

    assert "Only 2 left. Lower the quantity to check out." in page
    assert "Go to checkout" not in page


@pytest.mark.usefixtures("mug")
@pytest.mark.parametrize(
    ("sku", "quantity", "notice", "count"),
    [
        ("MUG-1", "2", "The MUG-1 is in your basket.", 2),
        ("MUG-1", "9", "7 × The MUG-1 added: that is all we can put aside for you.", 7),
        ("NO-SUCH", "1", "We don’t sell that any more.", 0),
        ("MUG-1", "0", "Quantity is a whole number from 1 to 999.", 0),
    ],
)
def test_htmx_gets_the_mini_cart_and_a_notice(
    client: FlaskClient, sku: str, quantity: str, notice: str, count: int
) -> None:
    response = client.post("/cart/lines", data={"sku": sku, "quantity": quantity}, headers={"HX-Request": "true"})

    assert response.status_code == 200
    assert 'id="cart-link"' in response.text
    assert response.text.count(notice) == 2  # in the panel and for screen readers
    assert (f"{count} items" in response.text) == bool(count)
    assert "<html" not in response.text


@pytest.mark.usefixtures("mug")
def test_without_consent_the_event_names_nobody(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1"})
    clock.advance(timedelta(seconds=5))

    with app.app_context():
        (event,) = events()
        assert event.shopper_key != db.session.scalars(select(Cart.shopper_key)).one()
        assert event.session_id is None
