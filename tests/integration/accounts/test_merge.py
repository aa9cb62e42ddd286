"""Becoming one person after signing in (RS-014)."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.accounts.models import IdentityMerge, WishlistItem
from shop_app.accounts.services import Merge, add_wish, merge_anonymous
from shop_app.cart.models import Cart, CartLine
from shop_app.cart.services import MAX_QUANTITY, add_line
from shop_app.core.attribution import Attribution
from shop_app.core.clock import FixedClock
from shop_app.core.shopper import Consent, Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.tracking.models import ConsentRecord, TrackedEvent
from tests.conftest import NOW
from tests.factories.accounts import EMAIL, PASSWORD, a_member, sign_in
from tests.factories.catalog import a_product
from tests.factories.shoppers import a_shopper

RACERS = 8


@pytest.fixture(autouse=True)
def shelf(app: Flask) -> None:
    with app.app_context():
        for sku in ("A-1", "B-1", "C-1"):
            a_product(sku, stock=50)
        db.session.commit()


def put(shopper: Shopper, sku: str, quantity: int = 1, place: Attribution | None = None) -> None:
    with unit_of_work(db.session):
        add_line(shopper, sku, quantity, place, NOW)


def wish(key: str, *skus: str) -> None:
    with unit_of_work(db.session):
        for sku in skus:
            add_wish(key, sku, NOW)


def merge(anonymous_key: str, member: Shopper) -> Merge:
    with unit_of_work(db.session):
        return merge_anonymous(anonymous_key, member, NOW)


def basket(key: str) -> dict[str, int]:
    rows = select(CartLine).join(Cart).where(Cart.shopper_key == key, Cart.status == "open")
    return {line.variant.sku: line.quantity for line in db.session.scalars(rows)}


@pytest.mark.ticket("RS-014")
def test_basket_wishlist_and_events_become_the_members(app: Flask, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    guest, member = a_shopper(), a_shopper(key=key, user_id=1)
    with app.app_context():
        put(guest, "A-1", 15)
        put(guest, "B-1", 2, Attribution("home", "top_picks", 1, "req-1"))
        put(member, "A-1", 9)
        put(member, "C-1")
        wish(guest.key, "A-1", "B-1")
        wish(key, "B-1")

        done = merge(guest.key, member)

        assert (done.is_new, done.lines, done.events) == (True, 2, 2)
        assert basket(key) == {"A-1": MAX_QUANTITY, "B-1": 2, "C-1": 1}
        assert basket(guest.key) == {}
        assert len(db.session.scalars(select(WishlistItem)).all()) == 2
        assert set(db.session.scalars(select(WishlistItem.shopper_key))) == {key}
        assert set(db.session.scalars(select(TrackedEvent.shopper_key))) == {key}
        kept = db.session.scalars(select(CartLine).where(CartLine.request_id == "req-1")).one()
        assert (kept.surface, kept.widget, kept.rank) == ("home", "top_picks", 1)


@pytest.mark.ticket("RS-014")
def test_merging_twice_changes_nothing_more(app: Flask, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    guest, member = a_shopper(), a_shopper(key=key, user_id=1)
    with app.app_context():
        put(guest, "A-1", 3)

        first, second = merge(guest.key, member), merge(guest.key, member)

        assert (first.is_new, second.is_new) == (True, False)
        assert basket(key) == {"A-1": 3}
        assert len(db.session.scalars(select(IdentityMerge)).all()) == 1


@pytest.mark.ticket("RS-014")
def test_two_devices_add_up(app: Flask, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    phone, laptop, member = a_shopper(), a_shopper(), a_shopper(key=key, user_id=1)
    with app.app_context():
        put(phone, "A-1", 2)
        put(laptop, "A-1", 3)

        merge(phone.key, member)
        merge(laptop.key, member)

        assert basket(key) == {"A-1": 5}


@pytest.mark.ticket("RS-014")
def test_racing_merges_do_the_work_once(app: Flask, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    phone, laptop, member = a_shopper(), a_shopper(), a_shopper(key=key, user_id=1)
    with app.app_context():
        put(phone, "A-1", 2)
        put(laptop, "A-1", 3)
        wish(phone.key, "B-1")
        wish(laptop.key, "B-1")
    start = Barrier(RACERS)

    def race(n: int) -> bool:
        with app.app_context():
            start.wait()
            return merge((phone if n % 2 else laptop).key, member).is_new

    with ThreadPoolExecutor(RACERS) as pool:
        news = list(pool.map(race, range(RACERS)))

    assert sorted(news) == [False] * (RACERS - 2) + [True] * 2
    with app.app_context():
        assert basket(key) == {"A-1": 5}
        assert db.session.scalars(select(WishlistItem.shopper_key)).all() == [key]


@pytest.mark.ticket("RS-014")
def test_two_devices_signing_in_at_the_same_moment_become_one_person(app: Flask, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    devices = [app.test_client() for _ in range(4)]
    for number, device in enumerate(devices):
        device.post("/consent", data={"choice": "all"})
        device.post("/cart/lines", data={"sku": "A-1", "quantity": str(number + 1)})
    start = Barrier(len(devices))

    def enter(device: FlaskClient) -> int:
        start.wait()
        return device.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}).status_code

    with ThreadPoolExecutor(len(devices)) as pool:
        answers = list(pool.map(enter, devices))
    again = devices[0].post("/sign-in", data={"email": EMAIL, "password": PASSWORD}).status_code

    assert answers == [303] * len(devices)
    assert again == 303
    with app.app_context():
        assert basket(key) == {"A-1": 1 + 2 + 3 + 4}
        assert len(db.session.scalars(select(IdentityMerge)).all()) == len(devices)
        assert set(db.session.scalars(select(TrackedEvent.shopper_key))) == {key}
        assert db.session.scalars(select(Cart).where(Cart.status == "open")).one().shopper_key == key


@pytest.mark.ticket("RS-014")
def test_without_consent_the_basket_comes_along_and_the_history_does_not(app: Flask, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    guest = a_shopper()
    member = a_shopper(key=key, user_id=1, consent=Consent(True, False, True))
    with app.app_context():
        put(guest, "A-1")

        merge(guest.key, member)

        assert basket(key) == {"A-1": 1}
        assert db.session.scalars(select(TrackedEvent.shopper_key)).all() == [guest.key]


@pytest.mark.ticket("RS-014")
def test_signing_in_brings_everything_along(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    with client.session_transaction() as session:
        session["consent"] = [True, True]
    client.post("/cart/lines", data={"sku": "A-1", "quantity": "2"})
    client.post("/wishlist", data={"sku": "B-1"})

    sign_in(client)

    assert "The A-1" in client.get("/cart").text
    assert "The B-1" in client.get("/wishlist").text
    with app.app_context():
        assert basket(key) == {"A-1": 2}
        assert set(db.session.scalars(select(TrackedEvent.shopper_key))) == {key}


def test_the_next_person_of_the_browser_starts_empty(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    client.post("/cart/lines", data={"sku": "A-1"})
    sign_in(client)

    client.post("/sign-out")

    assert "Your basket is empty" in client.get("/cart").text
    assert "Nothing here yet" in client.get("/wishlist").text


def choice_of(key: str) -> list[tuple[bool, bool]]:
    rows = select(ConsentRecord).where(ConsentRecord.shopper_key == key).order_by(ConsentRecord.id)
    return [(row.analytics, row.personalisation) for row in db.session.scalars(rows)]


def test_a_choice_made_before_signing_in_is_the_accounts(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    client.post("/consent", data={"choice": "all"})

    sign_in(client)
    sign_in(second := app.test_client())

    with app.app_context():
        assert choice_of(key) == [(True, True)]
    with second.session_transaction() as session:
        assert session["consent"] == [True, True]


def test_the_newest_choice_wins(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    sign_in(client)
    client.post("/consent", data={"choice": "all"})
    stranger = app.test_client()
    stranger.post("/consent", data={"choice": "essential"})

    sign_in(stranger)

    with app.app_context():
        assert choice_of(key) == [(True, True), (False, False)]


def test_a_browser_that_refuses_by_header_moves_no_history(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    _, key = a_member(app, now=clock.now())
    client.post("/consent", data={"choice": "all"})
    client.post("/cart/lines", data={"sku": "A-1"})

    client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}, headers={"Sec-GPC": "1"})

    with app.app_context():
        assert key not in db.session.scalars(select(TrackedEvent.shopper_key)).all()
        assert basket(key) == {"A-1": 1}
