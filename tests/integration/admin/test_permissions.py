"""Every page of the console has a rule, and the rule is kept."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import IntegerConverter

from shop_app.accounts.models import STAFF_ROLES
from shop_app.admin.permissions import GRANTS, RULES, Right, may_open
from tests.integration.admin.conftest import SignIn


def routes(app: Flask) -> list[tuple[str, str, str]]:
    """(endpoint, method, address) of every page of the console, with example values in the address."""
    found = []
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if rule.endpoint.startswith("admin."):
                values = {name: _example(rule, name) for name in rule.arguments}
                address = app.url_map.bind("localhost").build(rule.endpoint, values)
                methods = sorted(rule.methods - {"HEAD", "OPTIONS"})
                found += [(rule.endpoint, method, address) for method in methods]
    return found


def _example(rule, name):
    return 1 if isinstance(rule._converters[name], IntegerConverter) else "x"


@pytest.mark.ticket("RS-074")
def test_every_route_of_the_console_has_a_rule_and_every_rule_a_route(app: Flask) -> None:
    assert {endpoint for endpoint, _, _ in routes(app)} == set(RULES)


@pytest.mark.ticket("RS-074")
def test_everybody_without_the_right_is_refused_on_every_route(app: Flask, sign_in: SignIn) -> None:
    browsers = {role: sign_in(role) for role in ("shopper", *STAFF_ROLES)}

    for endpoint, method, address in routes(app):
        for role, browser in browsers.items():
            if not may_open(role, endpoint):
                assert browser.open(address, method=method).status_code == 403, (role, endpoint)


def test_roles_grow_as_the_table_says() -> None:
    assert set(GRANTS) == set(STAFF_ROLES)
    assert GRANTS["owner"] == frozenset(Right)
    assert all(Right.SEE in rights for rights in GRANTS.values())
    assert not may_open("shopper", "admin.overview")
    assert not may_open("owner", "admin.no_such_page")


def test_writing_pages_are_posts(app: Flask) -> None:
    """GET never writes, except for noting that a person's data was looked at."""
    dangerous = {endpoint for endpoint, rule in RULES.items() if rule.is_dangerous}
    assert dangerous
    assert {method for endpoint, method, _ in routes(app) if endpoint in dangerous} == {"POST"}


@pytest.mark.ticket("RS-074")
def test_a_dangerous_action_asks_for_the_password_and_then_does_it(sign_in: SignIn) -> None:
    browser = sign_in("owner")

    asked = browser.post("/admin/resyncs", data={"items": "on"})
    wrong = browser.post("/admin/resyncs", data={"items": "on", "confirm_password": "not it"})
    right = browser.post("/admin/resyncs", data={"items": "on", "confirm_password": "a long pass phrase 42"})
    again = browser.post("/admin/resyncs", data={"items": "on"})

    assert asked.status_code == 403
    assert 'name="items" value="on"' in asked.text
    assert "not your password" in wrong.text
    assert right.status_code == 303
    assert again.status_code == 303


@pytest.mark.ticket("RS-074")
def test_a_visitor_is_sent_to_the_sign_in_page_from_every_route(app: Flask, client: FlaskClient) -> None:
    for endpoint, method, address in routes(app):
        response = client.open(address, method=method)

        assert response.status_code == 302, endpoint
        assert response.location.startswith("/"), endpoint
        assert "next=" in response.location, endpoint


@pytest.mark.parametrize(("role", "links"), [("shopper", 0), ("viewer", 1), ("owner", 1)])
def test_the_account_of_staff_leads_to_the_console(sign_in: SignIn, role: str, links: int) -> None:
    page = sign_in(role).get("/account")

    assert page.status_code == 200
    assert page.text.count('<a href="/admin/">Console</a>') == links
