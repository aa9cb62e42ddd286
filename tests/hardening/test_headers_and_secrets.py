"""What every answer carries, what no answer and no log line ever does, and what a rotation of secrets leaves standing."""

import json
import logging
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.accounts.models import Address, User
from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.logs import set_up_logging
from tests.factories.accounts import EMAIL, PASSWORD, a_member, sign_in
from tests.factories.catalog import a_product
from tests.factories.shoppers import ADDRESS

OLD, NEW = "old-secret-" * 4, "new-secret-" * 4
PAGES = (
    "/",
    "/search?q=mug",
    "/cart",
    "/sign-in",
    "/sign-up",
    "/consent",
    "/no-such-page",
    "/w/home.top_picks",
    "/cart/_summary",
)


def shop_with(settings: Settings, clock: FixedClock, **changes: Any) -> Flask:
    shop = create_app(replace(settings, **changes), clock=clock)
    shop.config["TESTING"] = True
    return shop


@pytest.fixture
def closing(app: Flask) -> Iterator[list[Flask]]:
    """Shops beside `app` over the same database; their pools are closed at the end."""
    shops: list[Flask] = []
    yield shops
    for shop in shops:
        with shop.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def root_log() -> Iterator[logging.Logger]:
    """The root logger, with its handlers put back at the end."""
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = kept
    root.setLevel(level)


def token_of(page: str) -> str:
    return re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]


@pytest.mark.ticket("RS-070")
def test_a_rotated_secret_keeps_sessions_forms_and_known_browsers(
    app: Flask, settings: Settings, clock: FixedClock, closing: list[Flask]
) -> None:
    a_member(app, now=clock.now())
    before = shop_with(settings, clock, secret_key=OLD)
    between = shop_with(settings, clock, secret_key=NEW, secret_key_previous=OLD)
    after = shop_with(settings, clock, secret_key=NEW)
    closing += [before, between, after]
    first = before.test_client()
    first.post(
        "/sign-in", data={"email": EMAIL, "password": PASSWORD, "csrf_token": token_of(first.get("/sign-in").text)}
    )
    form = {"theme": "dark", "csrf_token": token_of(first.get("/account/profile").text)}
    jar = [(cookie.key, cookie.value) for cookie in first._cookies.values()]  # type: ignore[attr-defined]

    def with_jar(shop: Flask) -> FlaskClient:
        client = shop.test_client()
        for name, value in jar:
            client.set_cookie(name, value)
        return client

    rotating, rotated = with_jar(between), with_jar(after)
    assert rotating.get("/account").status_code == 200
    assert rotating.post("/preferences/theme", data=form).status_code == 303, "a form from before the rotation"
    assert rotated.get("/account").status_code == 302, "the old secret is worth nothing any more"
    assert rotated.post("/preferences/theme", data=form).status_code == 400
    renewed = [(c.key, c.value) for c in rotating._cookies.values()]  # type: ignore[attr-defined]
    jar[:] = renewed
    assert with_jar(after).get("/account").status_code == 200, "signed anew while both were valid"


@pytest.mark.ticket("RS-070")
def test_no_secret_reaches_a_page_or_a_log_line(
    settings: Settings, clock: FixedClock, closing: list[Flask], root_log: logging.Logger, capsys: Any
) -> None:
    secrets = {"secret_key": "zz-signing-secret-" * 3, "secret_key_previous": "zz-previous-secret-" * 3,
               "recsys_api_key": "zz-recsys-key-1234567890"}  # fmt: skip
    shop = shop_with(settings, clock, **secrets)
    shop.testing = False
    shop.config["WTF_CSRF_ENABLED"] = False
    closing.append(shop)
    a_member(shop, "owner@example.org", role="owner", now=clock.now())
    shop.add_url_rule("/broken", "broken", lambda: 1 // 0)  # a page that breaks
    set_up_logging("DEBUG")
    client = shop.test_client()
    sign_in(client, "owner@example.org")

    texts = [client.get(path).text for path in (*PAGES, "/admin/", "/admin/delivery", "/account/security", "/broken")]
    root_log.error("settings %s %r", shop.extensions["settings"], shop.extensions["settings"])
    written = capsys.readouterr()

    shown = "\n".join([*texts, written.out, written.err])
    assert [name for name, value in secrets.items() if value[:18] in shown] == []
    assert "settings" in shown, "the log was looked at"


@pytest.mark.ticket("RS-071")
@pytest.mark.parametrize("path", PAGES)
def test_pages_and_fragments_are_hardened(client: FlaskClient, path: str) -> None:
    headers = client.get(path, headers={"HX-Request": "true"}).headers
    policy = headers["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert {
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    } <= {part.strip() for part in policy.split(";")}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "HX-Request" in headers.get("Vary", "")
    assert headers["Cache-Control"] == "private, no-store"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.ticket("RS-071")
def test_over_https_cookies_are_host_bound_and_the_browser_is_told_to_stay(
    app: Flask, settings: Settings, clock: FixedClock, closing: list[Flask]
) -> None:
    shop = shop_with(settings, clock, cookie_secure=True)
    shop.config["WTF_CSRF_ENABLED"] = False
    closing.append(shop)
    a_member(app, now=clock.now())
    client = shop.test_client()
    answers = [
        client.post("/consent", data={"choice": "essential"}, base_url="https://localhost"),
        client.post("/preferences/theme", data={"theme": "dark"}, base_url="https://localhost"),
        client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}, base_url="https://localhost"),
    ]
    cookies = [cookie for answer in answers for cookie in answer.headers.getlist("Set-Cookie")]

    assert {cookie.split("=")[0] for cookie in cookies} >= {
        "__Host-shop",
        "__Host-refused",
        "__Host-theme",
        "__Host-known_browser",
    }
    for cookie in cookies:
        assert cookie.startswith("__Host-"), cookie
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(re.split(r";\s*", cookie)), cookie
        assert "Domain=" not in cookie
    assert all("max-age=31536000" in answer.headers["Strict-Transport-Security"] for answer in answers)
    assert 'data-theme="dark"' in client.get("/", base_url="https://localhost").text


@pytest.mark.ticket("RS-071")
def test_doors_worth_hammering_say_their_limit(
    app: Flask, settings: Settings, clock: FixedClock, closing: list[Flask]
) -> None:
    shop = shop_with(settings, clock, rate_limits=True)
    shop.config["WTF_CSRF_ENABLED"] = False
    closing.append(shop)
    client = shop.test_client()
    client.get("/")
    limits = {
        f"{method} {path}": client.open(path, method=method).headers.get("X-RateLimit-Limit")
        for method, path in (
            ("POST", "/sign-in"), ("POST", "/sign-up"), ("GET", "/search?q=x"), ("POST", "/t/events"), ("POST", "/checkout"),
        )
    }  # fmt: skip

    assert [door for door, limit in limits.items() if not limit or not 0 < int(limit) <= 1200] == []
    answers = [client.post("/checkout").status_code for _ in range(int(limits["POST /checkout"] or 0) + 1)]
    assert answers[-1] == 429
    assert client.get("/cart").status_code == 200, "only that door is closed"


@pytest.mark.ticket("RS-071")
def test_a_form_sets_what_it_names_and_nothing_else(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    user_id, _ = a_member(app, now=clock.now())
    other_id, _ = a_member(app, "other@example.org", now=clock.now())
    sign_in(client)
    more = {"role": "owner", "id": str(other_id), "user_id": str(other_id), "key": "u_x", "loyalty_tier": "gold",
            "session_epoch": "9", "email": "evil@example.org", "totp_secret": "X", "created_at": "2020-01-01"}  # fmt: skip
    client.post("/account/profile", data={"name": "Grace", **more})
    client.post("/account/addresses", data={**ADDRESS, **more})

    with app.app_context():
        user, other = db.session.get_one(User, user_id), db.session.get_one(User, other_id)
        assert (user.role, user.email, user.session_epoch, user.totp_secret) == (
            "shopper",
            EMAIL,
            other.session_epoch,
            None,
        )
        assert (other.email, other.role) == ("other@example.org", "shopper")
        assert [row.user_id for row in db.session.scalars(select(Address))] == [user_id]


@pytest.mark.ticket("RS-071")
def test_bodies_beyond_the_limits_are_refused(client: FlaskClient) -> None:
    with client.session_transaction() as session:
        session["consent"] = [True, True]
    ours = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}

    assert client.post("/t/events", data=b"x" * (64 * 1024 + 1), headers=ours).status_code == 413
    assert client.post("/search", data=b"x").status_code == 405
    assert client.post("/cart/lines", data={"sku": "x" * (5 * 1024 * 1024 + 1)}).status_code == 413


HOSTILE = (None, True, -1, 0, 1e308, 10**400, "", "\ud800", "\x00", "x" * 5_000, "'; DROP TABLE tracked_event;--", "{{7*7}}",
           "<script>alert(1)</script>", [], {}, [[[[[]]]]], {"a": {"b": {"c": []}}}, "2026-99-99", "NaN", -0.0)  # fmt: skip
GOOD = {"id": "e" * 20, "type": "view", "item_id": "MUG-1", "surface": "home", "created_at": 1_770_000_000_000}
FIELDS = (
    *GOOD,
    "kind",
    "widget",
    "rank",
    "request_id",
    "recommended",
    "href",
    "text",
    "referrer",
    "experiment",
    "ab_bucket",
    "new",
)


def beacons(count: int, seed: int) -> Iterator[Any]:
    """Bodies of the beacon's shape with hostile values anywhere, down to the outermost."""
    rng = random.Random(seed)
    for _ in range(count):
        events = []
        for _ in range(rng.randrange(4)):
            event: Any = dict(GOOD)
            for _ in range(rng.randrange(1, 5)):
                event[rng.choice(FIELDS)] = rng.choice(HOSTILE)
            events.append(event if rng.random() < 0.9 else rng.choice(HOSTILE))
        body: Any = {"sent_at": rng.choice((1_770_000_000_000, *HOSTILE)), "events": events}
        yield body if rng.random() < 0.9 else rng.choice((rng.choice(HOSTILE), {**body, "events": rng.choice(HOSTILE)}))


@pytest.mark.ticket("RS-071")
def test_hostile_beacons_are_judged_and_never_break_anything(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        a_product("MUG-1")
        db.session.commit()
    with client.session_transaction() as session:
        session["consent"] = [True, True]
    ours = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
    odd = []
    for body in beacons(250, seed=7):
        answer = client.post("/t/events", data=json.dumps(body).encode(), headers=ours)
        if answer.status_code not in {202, 400} or not answer.is_json:
            odd.append((answer.status_code, body))
    for raw in (b"", b"{", b"\xff\xfe", b"[" * 30_000, b'{"sent_at": 1e999, "events": []}', b'{"events": NaN}'):
        answer = client.post("/t/events", data=raw, headers=ours)
        if answer.status_code != 400 or not answer.is_json:
            odd.append((answer.status_code, raw[:20]))

    assert odd == []


def test_hostile_bodies_at_the_test_doors_are_refused_in_words(client: FlaskClient) -> None:
    broken = []
    for path in ("/__qa__/clock", "/__qa__/recsys", "/__qa__/session", "/__qa__/drain", "/__qa__/events"):
        for value in HOSTILE:
            body: Any = dict.fromkeys(
                ("now", "advance_s", "reads", "writes", "mode", "consent", "events", "user_id"), value
            )
            answer = client.post(path, data=json.dumps(body).encode(), content_type="application/json")
            if answer.status_code >= 500:
                broken.append((path, value, answer.status_code))

    assert broken == []


def test_the_webhook_takes_only_what_is_signed(app: Flask, client: FlaskClient) -> None:
    body = json.dumps({"notice_id": "n", "key": "k", "ref": "r", "state": "captured", "message": ""}).encode()

    for signature in ("", "0" * 64, "ü"):
        assert (
            client.post(
                "/payments/webhooks/sandbox",
                data=body,
                headers={"X-Signature": signature.encode("utf-8").decode("latin-1")},
            ).status_code
            == 403
        )


def test_the_password_lists_are_long_enough_to_matter() -> None:
    words = Path(__file__).parents[2].joinpath("shop_app/accounts/common_passwords.txt").read_text().split()

    assert len(set(words)) >= 1_000
