"""Who may open what, for every route and every role, generated from the routes themselves; and what a write must carry.

A new route fails here until it is put into one of the tables: that is the moment to decide who it is for.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter, Rule
from werkzeug.test import TestResponse

from scripts.access_table import HALF_WAY, MEMBERS, NOBODY, PAGE, PUBLIC, ROLES, WITHOUT_TOKEN, expected, page
from shop_app.accounts.models import User
from shop_app.admin.permissions import RULES
from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from tests.factories.accounts import a_member


@pytest.fixture
def shop(settings: Settings, clock: FixedClock) -> Iterator[Flask]:
    """The shop as it stands in public, with one member of every role; CSRF tokens are asked for when a test says so."""
    shop = create_app(replace(settings, qa_mode=False), clock=clock)
    shop.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    for role in ROLES[1:]:
        a_member(shop, f"{role}@example.org", password=None, role=role, now=clock.now())
    yield shop
    with shop.app_context():
        db.session.remove()
        db.engine.dispose()


def client_of(shop: Flask, role: str) -> FlaskClient:
    """A browser signed in as `role`."""
    client = shop.test_client()
    if role != NOBODY:
        with shop.app_context():
            identity = db.session.query(User).filter_by(email=f"{role}@example.org").one().get_id()
        with client.session_transaction() as session:
            session["_user_id"] = identity
    return client


def routes(shop: Flask) -> list[tuple[Rule, str]]:
    """Every route with each of its methods."""
    rules = sorted(shop.url_map.iter_rules(), key=lambda rule: rule.rule)
    return [(rule, method) for rule in rules for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})]


def address(shop: Flask, rule: Rule) -> str:
    """The route's path about things that do not exist."""
    values = {
        name: 999_999 if isinstance(kind, IntegerConverter) else "nothing" for name, kind in rule._converters.items()
    }
    with shop.test_request_context():
        return str(shop.url_map.bind("localhost").build(rule.endpoint, values))


def outcome(response: TestResponse) -> str:
    if response.status_code == 302 and response.location.startswith("/sign-in"):
        return "sign in"
    if response.status_code == 403:
        return "password again" if "confirm_password" in response.text else "forbidden"
    return "open" if response.status_code < 500 else f"broken {response.status_code}"


@pytest.mark.parametrize("role", ROLES)
def test_every_route_opens_for_whom_it_should(shop: Flask, role: str) -> None:
    wrong = {}
    for rule, method in routes(shop):
        got = outcome(client_of(shop, role).open(address(shop, rule), method=method))
        wanted = expected(rule.endpoint, method, role)
        if got != wanted:
            wrong[f"{method} {rule.rule} ({rule.endpoint})"] = f"{got}, not {wanted}"

    assert wrong == {}


def writes(shop: Flask) -> list[tuple[Rule, str]]:
    return [(rule, method) for rule, method in routes(shop) if method != "GET" and rule.endpoint not in WITHOUT_TOKEN]


def test_every_write_refuses_a_missing_and_a_foreign_token(shop: Flask) -> None:
    shop.config["WTF_CSRF_ENABLED"] = True
    foreign = token_of(shop.test_client())
    passed = []
    for rule, method in writes(shop):
        for data in ({}, {"csrf_token": foreign}, {"csrf_token": "nonsense"}):
            response = client_of(shop, "owner").open(address(shop, rule), method=method, data=data)
            if response.status_code != 400 or "form has expired" not in response.text:
                passed.append(f"{method} {rule.rule} with {list(data.values())}: {response.status_code}")

    assert passed == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
def test_every_write_refuses_a_page_of_another_site(shop: Flask, headers: dict[str, str]) -> None:
    passed = []
    for rule, method in writes(shop):
        response = client_of(shop, "owner").open(address(shop, rule), method=method, headers=headers)
        if response.status_code != 403:
            passed.append(f"{method} {rule.rule}: {response.status_code}")

    assert passed == []


def test_the_tables_name_routes_that_exist(shop: Flask) -> None:
    """The tables name only routes that exist: a renamed one must not leave its old name behind."""
    real = {rule.endpoint for rule in shop.url_map.iter_rules()}

    assert (PUBLIC | MEMBERS | HALF_WAY | set(RULES)) - real == set()


@pytest.mark.ticket("RS-074")
def test_the_matrix_that_is_written_down_is_the_one_in_force(shop: Flask) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(shop), "python -m scripts.access_table --write"


def token_of(client: FlaskClient) -> str:
    page = client.get("/sign-in").text
    return page.split('name="csrf_token" value="', 1)[1].split('"', 1)[0]
