"""A member's own pages."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.accounts.models import Address, User, WishlistItem
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity
from tests.factories.accounts import a_member, sign_in
from tests.factories.catalog import a_category, a_product
from tests.factories.shoppers import ADDRESS


@pytest.fixture
def member(app: Flask, client: FlaskClient, clock: FixedClock) -> int:
    with app.app_context():
        a_category("garden")
        a_product("MUG-1")
        db.session.commit()
    user_id, _ = a_member(app, now=clock.now())
    sign_in(client)
    return user_id


def book() -> list[tuple[str, bool]]:
    return [(a.city, a.is_default) for a in db.session.scalars(select(Address).order_by(Address.id))]


@pytest.mark.parametrize(
    "path", ["/account", "/account/profile", "/account/addresses", "/account/security", "/account/two-step"]
)
def test_strangers_are_asked_to_sign_in(client: FlaskClient, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 302
    assert response.location.startswith("/sign-in?next=")


@pytest.mark.ticket("RS-015")
def test_a_profile_is_kept_and_synced_with_known_departments_only(app: Flask, client: FlaskClient, member: int) -> None:
    form = {
        "name": "Grace B. Hopper",
        "country": "DE",
        "newsletter": "on",
        "categories": ["garden", "no-such"],
        "role": "owner",
    }

    response = client.post("/account/profile", data=form)

    assert response.status_code == 303
    with app.app_context():
        user = db.session.get_one(User, member)
        assert (user.name, user.country, user.newsletter, user.role) == ("Grace B. Hopper", "DE", True, "shopper")
        assert user.preferred_categories == ["garden"]
        assert db.session.scalars(select(ChangedEntity.version).where(ChangedEntity.kind == "user")).one() == 3
    page = client.get("/account/profile").text
    assert re.search(r'value="garden"[^>]* checked', page)


def test_a_profile_without_a_name_is_refused(client: FlaskClient, member: int) -> None:
    response = client.post("/account/profile", data={"name": " ", "country": "GB"})

    assert response.status_code == 400
    assert "Enter your name." in response.text


def test_addresses_are_added_changed_and_removed(app: Flask, client: FlaskClient, member: int) -> None:
    client.post("/account/addresses", data=ADDRESS)
    client.post("/account/addresses", data={**ADDRESS, "city": "Leeds", "is_default": "on"})
    with app.app_context():
        assert book() == [("London", False), ("Leeds", True)]
        first, second = db.session.scalars(select(Address.id).order_by(Address.id))

    client.post(f"/account/addresses/{first}", data={**ADDRESS, "city": "York"})
    assert "York" in client.get(f"/account/addresses/{first}").text
    client.post(f"/account/addresses/{second}/removal")

    with app.app_context():
        assert book() == [("York", True)]


def test_an_address_that_cannot_be_is_shown_again(app: Flask, client: FlaskClient, member: int) -> None:
    response = client.post("/account/addresses", data={**ADDRESS, "city": "", "line1": "x" * 300})

    assert response.status_code == 400
    assert "Enter the town or city." in response.text
    assert "Use 200 characters or fewer." in response.text
    assert 'value="Ada Byron"' in response.text
    with app.app_context():
        assert book() == []


def test_nobody_reads_or_changes_the_address_of_another(
    app: Flask, client: FlaskClient, clock: FixedClock, member: int
) -> None:
    client.post("/account/addresses", data=ADDRESS)
    a_member(app, "eve@example.org", now=clock.now())
    eve = app.test_client()
    sign_in(eve, "eve@example.org")

    answers = [
        eve.get("/account/addresses/1"),
        eve.post("/account/addresses/1", data={**ADDRESS, "city": "Eveham"}),
        eve.post("/account/addresses/1/removal"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    with app.app_context():
        assert book() == [("London", True)]


def test_a_wish_is_kept_once_and_taken_off(app: Flask, client: FlaskClient, member: int) -> None:
    client.post("/wishlist", data={"sku": "MUG-1", "next": "/products/mug-1"})
    again = client.post("/wishlist", data={"sku": "MUG-1", "next": "https://evil.example"})
    assert again.location == "/wishlist"
    with app.app_context():
        assert len(db.session.scalars(select(WishlistItem)).all()) == 1

    client.post("/wishlist/MUG-1/removal")

    with app.app_context():
        assert db.session.scalars(select(WishlistItem)).all() == []
    assert client.post("/wishlist", data={"sku": "NO-SUCH"}).status_code == 404


def test_the_overview_shows_what_was_looked_at_with_consent_only(client: FlaskClient, member: int) -> None:
    with client.session_transaction() as session:
        session["consent"] = [True, True]
        session["recent"] = ["MUG-1"]

    assert "The MUG-1" in client.get("/account").text
    with client.session_transaction() as session:
        session["consent"] = [True, False]
    page = client.get("/account").text
    assert "The MUG-1" not in page
    assert "agree to personalisation" in page
