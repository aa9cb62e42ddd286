"""Somebody signed in to the console."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from tests.factories.analytics import a_member

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def sign_in(app: Flask, clock: FixedClock) -> SignIn:
    """`sign_in("owner")` is a browser of a new member of that role; `confirmed` has just typed the password again."""

    def enter(role: str, *, confirmed: bool = False) -> FlaskClient:
        with app.app_context():
            user = a_member(clock.now(), role=role)
            db.session.commit()
            login_id = user.get_id()
        browser = app.test_client()
        with browser.session_transaction() as session:
            session["_user_id"] = login_id
            session["_fresh"] = True
            if confirmed:
                session["confirmed_at"] = clock.now().timestamp()
        return browser

    return enter
