"""Ten thousand requests for somebody else's things, by their right and their mangled names: none reads or changes any."""

import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.accounts.models import Address, MemberSession, User, WishlistItem
from shop_app.cart.models import Cart, CartLine
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.orders.models import Order, PaymentAttempt
from tests.factories.accounts import PASSWORD, a_member, sign_in
from tests.factories.catalog import a_product
from tests.factories.shoppers import ADDRESS

SWAPS = int(os.environ.get("OBJECT_SWAPS", "500"))
"""The short form; CI sets 10,000 in a step of its own."""
CANARY = "zq7canary"
JSON = {"Accept": "application/json"}  # refusals come as short JSON, so thousands stay quick
OWNED = (Address, MemberSession, WishlistItem, Cart, CartLine, Order, PaymentAttempt)


@dataclass
class Things:
    """What a victim owns, by kind."""

    ids: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture
def victims(app: Flask, clock: FixedClock) -> Things:
    """Two members and a guest with orders, addresses, baskets, wishes, sessions and payments full of canaries."""
    with app.app_context():
        a_product("MUG-1", price=12_50, stock=90)
        db.session.commit()
    clients = []
    for number, is_member in enumerate((True, True, False)):
        client = app.test_client()
        clients.append(client)
        email = f"{CANARY}{number}@example.org"
        if is_member:
            a_member(app, email, name=f"{CANARY} {number}", now=clock.now())
            sign_in(client, email)
            client.post("/wishlist", data={"sku": "MUG-1"})
            client.post("/account/addresses", data={**ADDRESS, "full_name": CANARY, "line1": f"1 {CANARY} Road"})
        shop_once(client, email)
        client.post("/cart/lines", data={"sku": "MUG-1"})
    with app.app_context():
        return Things(
            {
                "order": [order.number for order in db.session.scalars(select(Order))],
                "address": [str(row.id) for row in db.session.scalars(select(Address))],
                "session": [str(row.id) for row in db.session.scalars(select(MemberSession))],
                "line": [str(row.id) for row in db.session.scalars(select(CartLine))],
                "payment": [row.key for row in db.session.scalars(select(PaymentAttempt))],
                "person": [*(user.key for user in db.session.scalars(select(User))), *map(str, range(1, 4))],
                "sku": ["MUG-1"],
            }
        )


def shop_once(client: FlaskClient, email: str) -> None:
    client.post("/cart/lines", data={"sku": "MUG-1"})
    hidden = dict(re.findall(r'type="hidden" name="(key|fingerprint)" value="([^"]+)"', client.get("/checkout").text))
    paid = {
        **hidden,
        **ADDRESS,
        "line1": f"9 {CANARY} Street",
        "email": email,
        "delivery": "collect",
        "method": "card_ok",
    }
    assert client.post("/checkout", data=paid).status_code == 303


MANGLES: tuple[Callable[[str, random.Random], str], ...] = (
    lambda name, _: name,
    lambda name, _: name.swapcase(),
    lambda name, _: f"%20{name}",
    lambda name, _: f"{name}%00",
    lambda name, _: f"{name}/",
    lambda name, _: f"0{name}",
    lambda name, rng: name[:-1] + rng.choice("0123456789"),
    lambda name, _: f"{name}%27 OR 1=1",
    lambda name, _: f"..%2F{name}",
    lambda name, _: f"+{name}",
    lambda name, _: "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in name),
)
CLAIMS = (
    "user_id",
    "user",
    "shopper",
    "shopper_key",
    "member",
    "owner",
    "id",
    "key",
    "number",
    "email",
    "access_token",
)


def requests_of(kind: str, name: str, rng: random.Random) -> list[tuple[str, str, dict[str, str]]]:
    """Every door a thing of this kind has."""
    claim = {rng.choice(CLAIMS): name}
    password = {"password": PASSWORD} if rng.random() < 0.05 else {}  # checking one is slow on purpose
    return {
        "order": [("GET", f"/orders/{name}", {}), ("GET", f"/orders/{name}?placed=yes&token={name}", {}),
                  ("GET", "/orders", claim)],
        "address": [("GET", f"/account/addresses/{name}", {}), ("POST", f"/account/addresses/{name}", dict(ADDRESS)),
                    ("POST", f"/account/addresses/{name}/removal", {}), ("GET", "/account/addresses", claim)],
        "session": [("POST", f"/account/sessions/{name}/end", {}), ("GET", "/account/security", claim)],
        "line": [("POST", f"/cart/lines/{name}", {"quantity": "0"}), ("GET", "/cart/_summary", claim)],
        "payment": [("GET", f"/checkout/payments/{name}", {}), ("POST", f"/checkout/payments/{name}", {}),
                    ("GET", f"/payments/sandbox/{name}", {})],
        "person": [("GET", "/account/profile", claim), ("POST", "/account/data/export", claim | password),
                   ("GET", f"/admin/people/{name}", {}), ("GET", "/wishlist", claim)],
        "sku": [("POST", f"/wishlist/{name}/removal", claim)],
    }[kind]  # fmt: skip


def generated(things: Things, count: int, seed: int) -> Iterator[tuple[str, str, dict[str, str]]]:
    rng = random.Random(seed)
    kinds = sorted(things.ids)
    while count > 0:
        kind = rng.choice(kinds)
        name = rng.choice(MANGLES)(rng.choice(things.ids[kind]), rng)
        for asked in requests_of(kind, name, rng):
            count -= 1
            yield asked


def everything_owned(app: Flask) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the victims, all columns."""
    tables = [model.__table__ for model in OWNED]
    with app.app_context():
        return {
            table.name: sorted((tuple(map(str, row)) for row in db.session.execute(select(*table.c))), key=str)
            for table in tables
        }


@pytest.mark.ticket("RS-071")
@pytest.mark.timeout(300)
def test_nobody_reads_or_changes_what_belongs_to_somebody_else(app: Flask, victims: Things, clock: FixedClock) -> None:
    before = everything_owned(app)
    a_member(app, "mallory@example.org", now=clock.now())
    mallory, guest = app.test_client(), app.test_client()
    sign_in(mallory, "mallory@example.org")
    guest.get("/")
    leaks, broken, tried = [], [], 0

    for method, path, values in generated(victims, SWAPS, seed=20_261):
        for attacker in (mallory, guest) if tried % 4 == 0 else (mallory,):
            tried += 1
            given = {"query_string": values} if method == "GET" and values else {"data": values}
            answer = attacker.open(path, method=method, headers=JSON, **given)
            if CANARY in answer.text or CANARY in str(answer.headers):
                leaks.append(f"{method} {path} {values}")
            if answer.status_code >= 500:
                broken.append(f"{method} {path}: {answer.status_code}")

    assert tried >= SWAPS
    assert (leaks, broken) == ([], [])
    after = everything_owned(app)
    changed = {name for name in before if not set(before[name]) <= set(after[name])}
    assert changed == set(), "rows of the victims were changed or removed"


def test_a_nul_is_nobodys_address_and_nobodys_word(app: Flask) -> None:
    client = app.test_client()

    assert client.get("/products/blue-mug%00", headers=JSON).status_code == 404
    assert client.get("/search?q=mug%00", headers=JSON).status_code == 400
    refused = client.post("/sign-in", data={"email": "a\0@example.org", "password": PASSWORD}, headers=JSON)
    assert (refused.status_code, list(refused.json["fields"])) == (400, ["request"])
