"""The privacy review (RS-072), carried out: a month of shopping by people who are known in every detail, and then
everything the recommender was sent, searched for each of them.
"""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.accounts.models import User
from shop_app.core.clock import FixedClock
from shop_app.core.events import META_KEYS
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.sync.services import Carrier, drain
from shop_app.tracking.consent import personalised
from shop_app.tracking.models import TrackedEvent
from tests.factories.accounts import PASSWORD
from tests.factories.catalog import a_product
from tests.factories.events import a_browser_event
from tests.fakes import FakeGateway
from tests.integration.delivery.test_intake import report
from tests.unit.core.test_redaction import a_card, a_phone, an_iban

DAYS = 30
PEOPLE = 24
TRAITS = {
    "locale", "country", "device", "loyalty_tier", "newsletter", "preferred_categories", "member_since", "last_seen",
}  # fmt: skip
TRAIT_VALUES = re.compile(
    r"[a-z]{2}(-[A-Z]{2})?|[A-Z]{2}|phone|tablet|desktop|none|bronze|silver|gold|True|False|\[[a-z0-9/', -]*\]|\d{4}-\d{2}-\d{2}"
)
"""Everything a trait may say: languages, countries, kinds of device, tiers, departments, days."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What one person would not have told."""

    email: str
    full_name: str
    line1: str
    city: str
    postcode: str
    phone: str
    card: str
    iban: str

    @property
    def values(self) -> Iterator[str]:
        return (getattr(self, field.name) for field in fields(self))


def somebody(rng: random.Random, number: int) -> Detail:
    def unique(word: str) -> str:
        return f"{word}{''.join(rng.choices('bcdfghklmnprstvz', k=8))}"

    return Detail(
        email=f"{unique('mail')}@{unique('host')}.example",
        full_name=f"{unique('Ada').title()} {unique('Byron').title()}",
        line1=f"{number + 100} {unique('Lane').title()}",
        city=unique("Ville").title(),
        postcode=f"YO{number % 10} {rng.randrange(1, 9)}HH",
        phone=a_phone(rng),
        card=a_card(rng),
        iban=an_iban(rng),
    )


def shop_for_a_day(app: Flask, person: Detail, rng: random.Random) -> None:
    """One person's day, now and then with an account; they type what they should not wherever they can."""
    client = app.test_client()
    choice = rng.choice(("all", "all", "essential", "custom"))
    client.post("/consent", data={"choice": choice, "analytics": "on"})
    slip = rng.choice((person.email, person.phone, person.card, person.iban))
    client.get(f"/search?q={person.full_name}")
    report(
        client,
        a_browser_event(text=f"The MUG-1 for {slip}", href=f"/products/mug-1?for={person.email}",
                        referrer=f"https://mail.example/{person.full_name}?q={person.email}", kind="", type="click"),
        a_browser_event(item_id="POT-1"),
    )  # fmt: skip
    if rng.random() < 0.5:
        form = {"email": person.email, "password": PASSWORD, "name": person.full_name, "newsletter": "on"}
        headers = {"Accept-Language": rng.choice(("de-DE,de", "en-GB", "fr", "x" * 40, person.full_name))}
        client.post("/sign-up", data=form, headers=headers)
        client.post("/account/profile", data={"name": person.full_name, "country": "DE", "categories": "home"})
    if rng.random() < 0.4:
        client.post("/cart/lines", data={"sku": "MUG-1"})
        hidden = dict(re.findall(r'name="(key|fingerprint)" value="([^"]+)"', client.get("/checkout").text))
        address = {
            "full_name": person.full_name,
            "line1": person.line1,
            "city": person.city,
            "postcode": person.postcode,
        }
        form = {
            **hidden,
            **address,
            "country": "GB",
            "email": person.email,
            "delivery": "standard",
            "method": "card_ok",
        }
        client.post("/checkout", data=form)


def import_a_row(person: Detail, clock: FixedClock, number: int) -> TrackedEvent:
    """History from elsewhere, which has not been through the intake, with whatever somebody put into it."""
    return TrackedEvent(
        source_event_id=f"imported-{number}", type=1, shopper_key=f"a_imported{number}", item_id="MUG-1",
        occurred_at=clock.now(), received_at=clock.now(), next_attempt_at=clock.now(),
        meta={"text": f"for {person.email}", "href": f"/p?mail={person.email}", "email": person.email, "name": person.full_name,
              "phone": person.phone, "referrer": f"https://x.example/?tel={person.phone}"},
    )  # fmt: skip


@pytest.fixture
def people(app: Flask, clock: FixedClock) -> list[Detail]:
    """The month, over; everything is delivered to `app.extensions["recsys"].inner`."""
    rng = random.Random(72)
    everybody = [somebody(rng, number) for number in range(PEOPLE)]
    app.extensions["recsys"].inner = FakeGateway()
    with app.app_context(), unit_of_work(db.session):
        for sku in ("MUG-1", "POT-1"):
            a_product(sku, stock=500)
    for day in range(DAYS):
        for person in rng.sample(everybody, 1 + day % 2):
            shop_for_a_day(app, person, rng)
        with app.app_context(), unit_of_work(db.session):
            db.session.add(import_a_row(everybody[day % PEOPLE], clock, day))
        clock.advance(timedelta(days=1))
    with app.app_context():
        for _ in range(4):
            drain(Carrier(app.extensions["recsys"].inner, clock, rng))
    return everybody


@pytest.mark.ticket("RS-072")
@pytest.mark.ticket("RS-016")
@pytest.mark.timeout(120)
def test_a_month_of_shopping_tells_the_recommender_nothing_that_names_anybody(
    app: Flask, client: FlaskClient, people: list[Detail]
) -> None:
    sent: FakeGateway = app.extensions["recsys"].inner
    with app.app_context():
        agreed = personalised(list(db.session.scalars(select(User.key))))
        rows = list(db.session.scalars(select(TrackedEvent)))

    events, users = list(sent.events.values()), list(sent.users.values())
    assert len(events) > 2 * DAYS
    assert {user.user_id for user in users} == agreed
    assert agreed
    assert {key for event in events for key in event.meta} <= META_KEYS
    assert {key for user in users for key in user.traits} == TRAITS
    assert all(TRAIT_VALUES.fullmatch(str(value)) for user in users for value in user.traits.values())
    assert all(re.fullmatch(r"[au]_\w+", event.user_id) for event in events)
    assert leaks([event.meta for event in events] + [user.traits for user in users], people) == []
    assert leaks([row.meta for row in rows if not row.source_event_id.startswith("imported")], people) == []
    assert client.get("/healthz").status_code == 200


def leaks(said: list[Any], people: list[Detail]) -> list[tuple[str, str]]:
    """Which details of whom stand in what was said, as they are or with other spaces and letters."""
    text = json.dumps(said, ensure_ascii=False, default=str)
    plain = re.sub(r"[\s().-]", "", text).lower()
    return [
        (person.email, value)
        for person in people
        for value in person.values
        if value in text or (len(value) > 7 and re.sub(r"[\s().-]", "", value).lower() in plain)
    ]
