"""Members, and getting them signed in through the door everybody uses."""

from datetime import datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from shop_app.accounts.services import create_user
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db

PASSWORD = "maple-kettle-otter"
EMAIL = "grace@example.org"


def a_member(
    app: Flask,
    email: str = EMAIL,
    *,
    password: str | None = PASSWORD,
    name: str = "Grace Hopper",
    role: str = "shopper",
    now: datetime,
    **traits: Any,
) -> tuple[int, str]:
    """Id and key of a committed member."""
    with app.app_context(), unit_of_work(db.session):
        user = create_user(email, password, name, role, now=now, **traits)
        return user.id, user.key


def sign_in(client: FlaskClient, email: str = EMAIL, password: str = PASSWORD) -> None:
    """Sign `client` in; fails the test when the shop says no."""
    response = client.post("/sign-in", data={"email": email, "password": password})
    assert response.status_code == 303, response.text
