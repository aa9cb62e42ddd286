"""Signing up, in and out: who gets in, what it leaves behind, what it tells a stranger."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app.accounts.models import MemberSession, User
from shop_app.accounts.two_step import STEP_S, new_secret
from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.extensions import db, limiter
from shop_app.outbox.models import ChangedEntity
from tests.factories.accounts import EMAIL, PASSWORD, a_member, sign_in


@pytest.fixture
def strict(settings: Settings, clock: FixedClock, app: Flask) -> Iterator[Flask]:
    """The same shop with CSRF tokens and rate limits on."""
    strict = create_app(replace(settings, rate_limits=True), clock=clock)
    strict.config["TESTING"] = True
    with strict.app_context():
        limiter.reset()
    yield strict
    with strict.app_context():
        limiter.reset()
        limiter.enabled = False
        db.session.remove()
        db.engine.dispose()


def token_of(client: FlaskClient, path: str) -> str:
    (token, *_) = re.findall(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    return str(token)


def try_password(client: FlaskClient, email: str, password: str, token: str) -> int:
    return client.post("/sign-in", data={"email": email, "password": password, "csrf_token": token}).status_code


@pytest.mark.ticket("RS-013")
def test_signing_up_makes_a_member_with_traits_and_asks_for_a_sync(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    form = {
        "name": "Ada Byron",
        "email": " Ada@Example.org ",
        "password": PASSWORD,
        "newsletter": "on",
        "next": "/orders",
    }
    headers = {"Accept-Language": "fr-BE,fr;q=0.8", "User-Agent": "Mozilla/5.0 (Linux; Android 14; Mobile) Chrome/130"}

    response = client.post("/sign-up", data=form, headers=headers)

    assert (response.status_code, response.location) == (303, "/orders")
    with app.app_context():
        (user,) = db.session.scalars(select(User))
        assert (user.email, user.name, user.role, user.newsletter) == ("ada@example.org", "Ada Byron", "shopper", True)
        assert (user.locale, user.country, user.device, user.loyalty_tier) == ("fr-BE", "BE", "phone", "none")
        assert user.last_seen_at == clock.now()
        assert user.key.startswith("u_")
        assert PASSWORD not in user.password_hash
        assert ("user", user.id) in {(c.kind, c.entity_id) for c in db.session.scalars(select(ChangedEntity))}
    assert "Hello, Ada Byron" in client.get("/account").text


@pytest.mark.ticket("RS-013")
def test_signing_in_notes_when_and_asks_for_a_sync(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    user_id, _ = a_member(app, now=clock.now())
    clock.advance(timedelta(days=3))

    sign_in(client)

    with app.app_context():
        assert db.session.get_one(User, user_id).last_seen_at == clock.now()
        (mark,) = db.session.scalars(select(ChangedEntity).where(ChangedEntity.kind == "user"))
        assert (mark.entity_id, mark.version) == (user_id, 2)


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())

    wrong = client.post("/sign-in", data={"email": EMAIL, "password": "not the password"})
    unknown = client.post("/sign-in", data={"email": "nobody@example.org", "password": "not the password"})

    assert wrong.status_code == unknown.status_code == 400
    changing = r'name="csrf_token" value="[^"]+"'
    assert re.sub(changing, "", wrong.text.replace(EMAIL, "")) == re.sub(
        changing, "", unknown.text.replace("nobody@example.org", "")
    )
    assert "do not match" in wrong.text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"password": "password123"}, "people try first"),
        ({"password": "short"}, "10 characters or more"),
        ({"email": "nobody"}, "Enter an e-mail address"),
        ({"name": "  "}, "Enter your name"),
        ({"email": EMAIL}, "sign in instead"),
    ],
)
def test_a_sign_up_that_cannot_be_says_why(
    app: Flask, client: FlaskClient, clock: FixedClock, changes: dict[str, str], text: str
) -> None:
    a_member(app, now=clock.now())
    form = {"name": "Ada Byron", "email": "ada@example.org", "password": PASSWORD, **changes}

    response = client.post("/sign-up", data=form)

    assert response.status_code == 400
    assert text in response.text
    assert PASSWORD not in response.text
    with app.app_context():
        assert len(db.session.scalars(select(User)).all()) == 1


def test_nobody_gives_themselves_a_role(app: Flask, client: FlaskClient) -> None:
    client.post(
        "/sign-up",
        data={"name": "Eve", "email": "eve@example.org", "password": PASSWORD, "role": "owner", "loyalty_tier": "gold"},
    )

    with app.app_context():
        (user,) = db.session.scalars(select(User))
        assert (user.role, user.loyalty_tier) == ("shopper", "none")


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_signing_in_leads_nobody_away(app: Flask, client: FlaskClient, clock: FixedClock, target: str) -> None:
    a_member(app, now=clock.now())

    response = client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": target})

    assert response.location == "/account"


def test_the_session_changes_at_sign_in_and_the_visit_goes_on(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    client.post("/consent", data={"choice": "custom", "analytics": "on"})
    client.get("/cart")
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
        visit = session["visit"][0]

    sign_in(client)

    with client.session_transaction() as session:
        assert "planted" not in session
        assert session["consent"] == [True, False]
        assert session["visit"][0] == visit


def test_signing_out_starts_somebody_new(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    client.post("/consent", data={"choice": "all"})
    with client.session_transaction() as session:
        before = session["anonymous"]
    sign_in(client)

    client.post("/sign-out")
    client.get("/cart")

    with client.session_transaction() as session:
        assert session["anonymous"] not in {before, ""}
        assert "_user_id" not in session
    assert client.get("/account").location.startswith("/sign-in?next=")
    with app.app_context():
        assert db.session.scalars(select(MemberSession)).one().ended_at == clock.now()


def test_a_copied_cookie_is_worthless_after_signing_out(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    sign_in(client)
    stolen = client.get_cookie("shop")
    assert stolen is not None

    client.post("/sign-out")

    thief = app.test_client()
    thief.set_cookie("shop", stolen.value)
    assert thief.get("/account").status_code == 302


def test_a_member_sees_their_sessions_and_ends_one(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    other = app.test_client()
    client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}, headers={"User-Agent": "Firefox/140 (Linux)"})
    other.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}, headers={"User-Agent": "Chrome/150 (Windows)"})

    page = client.get("/account/security").text
    (session_id,) = re.findall(r"/account/sessions/(\d+)/end", page)
    client.post(f"/account/sessions/{session_id}/end")

    assert "Firefox on Linux" in page
    assert "Chrome on Windows" in page
    assert other.get("/account").status_code == 302
    assert client.get("/account").status_code == 200


def test_nobody_ends_the_session_of_another(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    a_member(app, "eve@example.org", now=clock.now())
    sign_in(client)
    eve = app.test_client()
    sign_in(eve, "eve@example.org")
    with app.app_context():
        first = db.session.scalars(select(MemberSession.id).order_by(MemberSession.id)).first()

    eve.post(f"/account/sessions/{first}/end")

    assert client.get("/account").status_code == 200


def test_a_new_password_signs_out_every_other_browser(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    other = app.test_client()
    sign_in(client)
    sign_in(other)

    wrong = client.post("/account/password", data={"current": "not the password", "password": "seven blue lamps"})
    right = client.post("/account/password", data={"current": PASSWORD, "password": "seven blue lamps"})

    assert (wrong.status_code, right.status_code) == (400, 303)
    assert other.get("/account").status_code == 302
    assert client.get("/account").status_code == 200
    sign_in(other, password="seven blue lamps")


def test_signing_out_everywhere_else_keeps_this_browser(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    other = app.test_client()
    sign_in(client)
    sign_in(other)

    client.post("/account/sessions/end")

    assert other.get("/account").status_code == 302
    assert client.get("/account").status_code == 200


def test_a_second_step_asks_for_a_code_and_takes_it_once(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    secret = new_secret()
    user_id, _ = a_member(app, now=clock.now(), role="owner")
    with app.app_context():
        db.session.get_one(User, user_id).totp_secret = secret
        db.session.commit()
    code = pyotp.TOTP(secret).at(clock.now())

    asked = client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": "/orders"})
    wrong = client.post("/sign-in/code", data={"code": "000000" if code != "000000" else "111111", "next": "/orders"})
    locked_out = client.get("/account")
    right = client.post("/sign-in/code", data={"code": code, "next": "/orders"})

    assert asked.location == "/sign-in/code?next=/orders"
    assert (wrong.status_code, locked_out.status_code) == (400, 302)
    assert (right.status_code, right.location) == (303, "/orders")
    again = app.test_client()
    again.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
    assert again.post("/sign-in/code", data={"code": code}).status_code == 400
    clock.advance(timedelta(seconds=2 * STEP_S))
    assert again.post("/sign-in/code", data={"code": pyotp.TOTP(secret).at(clock.now())}).status_code == 303


def test_a_second_step_is_set_up_with_a_code_and_the_password(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    user_id, _ = a_member(app, now=clock.now())
    sign_in(client)
    (secret,) = re.findall(r'data-testid="totp-secret">([A-Z2-7]+)<', client.get("/account/two-step").text)
    code = pyotp.TOTP(secret).at(clock.now())

    without = client.post("/account/two-step", data={"code": code, "current": "not the password"})
    done = client.post("/account/two-step", data={"code": code, "current": PASSWORD})

    assert (without.status_code, done.status_code) == (400, 303)
    with app.app_context():
        assert db.session.get_one(User, user_id).totp_secret == secret


def test_a_form_without_its_token_is_refused(strict: Flask) -> None:
    client = strict.test_client()
    form = {"name": "Ada Byron", "email": "ada@example.org", "password": PASSWORD}

    without = client.post("/sign-up", data=form)
    foreign = client.post("/sign-up", data={**form, "csrf_token": token_of(strict.test_client(), "/sign-up")})
    with_own = client.post("/sign-up", data={**form, "csrf_token": token_of(client, "/sign-up")})

    assert (without.status_code, foreign.status_code, with_own.status_code) == (400, 400, 303)
    assert "This form has expired" in without.text


def test_guessing_stops_at_ten_and_the_owner_still_gets_in(strict: Flask, clock: FixedClock) -> None:
    a_member(strict, now=clock.now())
    owner, guesser = strict.test_client(), strict.test_client()
    token = token_of(owner, "/sign-in")
    assert try_password(owner, EMAIL, PASSWORD, token) == 303
    owner_page = owner.get("/account").text
    owner_token = re.findall(r'name="csrf_token" value="([^"]+)"', owner_page)[0]
    owner.post("/sign-out", data={"csrf_token": owner_token})

    guesser_token = token_of(guesser, "/sign-in")
    answers = [try_password(guesser, EMAIL, f"guess number {n}", guesser_token) for n in range(15)]
    last_resort = try_password(guesser, EMAIL, PASSWORD, guesser_token)

    assert answers == [400] * 10 + [429] * 5
    assert last_resort == 429
    assert try_password(owner, EMAIL, PASSWORD, token_of(owner, "/sign-in")) == 303


@pytest.mark.ticket("RS-070")
def test_a_thousand_stolen_passwords_cost_ten_looks_at_an_account(
    strict: Flask, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: dict[str, int] = {}
    evaluated: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, stored: str, password: str) -> bool:
        evaluated.append(password)
        return bool(verify(self, stored, password))

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    a_member(strict, now=clock.now())
    owner = strict.test_client()
    assert try_password(owner, EMAIL, PASSWORD, token_of(owner, "/sign-in")) == 303
    owner.post("/sign-out", data={"csrf_token": token_of(owner, "/account")})
    answers: dict[str, list[int]] = {}
    for email in (EMAIL, "nobody@example.org"):
        evaluated.clear()
        answers[email] = []
        guesser = strict.test_client()
        token = token_of(guesser, "/sign-in")
        for n in range(1000):
            form = {"email": email, "password": f"stolen number {n}", "csrf_token": token}
            # every guess from an address of its own: only the limit per account can stop it
            address = f"10.{n // 250}.{n % 250}.{len(answers)}"
            answer = guesser.post("/sign-in", data=form, environ_base={"REMOTE_ADDR": address})
            answers[email].append(answer.status_code)
        looks[email] = len(evaluated)

    assert looks == {EMAIL: 10, "nobody@example.org": 10}  # the same work, known or not
    assert answers[EMAIL] == answers["nobody@example.org"] == [400] * 10 + [429] * 990
    assert try_password(owner, EMAIL, PASSWORD, token_of(owner, "/sign-in")) == 303  # a browser that was here before
