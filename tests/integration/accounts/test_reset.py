"""A forgotten password: one link, once, for half an hour; nobody learns from it who has an account."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from shop_app.accounts.models import Letter, MemberSession, User
from shop_app.accounts.resets import VALID
from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, limiter
from shop_app.privacy.services import erase, person_of
from shop_app.site_settings.models import AuditEntry
from tests.factories.accounts import EMAIL, PASSWORD, a_member, sign_in

NEW = "otter-kettle-maple"


@pytest.fixture
def limited(settings: Settings, clock: FixedClock, app: Flask) -> Iterator[Flask]:
    """The same shop with rate limits on."""
    limited = create_app(replace(settings, rate_limits=True), clock=clock)
    limited.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    with limited.app_context():
        limiter.reset()
    yield limited
    with limited.app_context():
        limiter.reset()
        limiter.enabled = False
        db.session.remove()
        db.engine.dispose()


def ask(client: FlaskClient, email: str = EMAIL) -> str:
    """What the page after the question says."""
    return client.post("/sign-in/reset", data={"email": email}, follow_redirects=True).text


def link(app: Flask) -> str:
    """The newest link, as a path."""
    with app.app_context():
        written = db.session.scalars(select(Letter.link).order_by(Letter.id.desc())).first()
    assert written
    return str(re.sub(r"^https?://[^/]+", "", written))


def choose(client: FlaskClient, path: str, password: str = NEW) -> int:
    """Open the link and choose a password."""
    client.get(path)
    return client.post("/sign-in/new-password", data={"password": password}).status_code


def can_sign_in(app: Flask, password: str) -> bool:
    return app.test_client().post("/sign-in", data={"email": EMAIL, "password": password}).status_code == 303


@pytest.mark.ticket("RS-074")
def test_the_link_changes_the_password_and_signs_every_browser_out(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    user_id, _ = a_member(app, now=clock.now())
    elsewhere = app.test_client()
    sign_in(elsewhere)

    ask(client)
    opened = client.get(link(app))
    form = client.get("/sign-in/new-password").text
    changed = client.post("/sign-in/new-password", data={"password": NEW})

    assert (opened.status_code, opened.location) == (303, "/sign-in/new-password")
    assert "Choose a new password" in form
    assert (changed.status_code, changed.location) == (303, "/sign-in")
    assert elsewhere.get("/account").status_code == 302
    assert (can_sign_in(app, PASSWORD), can_sign_in(app, NEW)) == (False, True)
    with app.app_context():
        ended = db.session.scalars(select(MemberSession.ended_at).where(MemberSession.user_id == user_id)).all()
        letter = db.session.scalars(select(Letter)).one()
        assert [moment for moment in ended if moment is None] == [None]  # the sign-in with the new password
        assert (letter.link, letter.used_at) == ("", clock.now())


def test_a_link_works_once_also_another_that_was_written_before(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    ask(client)
    first = link(app)
    ask(client)
    second = link(app)

    choose(client, first)
    again = [app.test_client().get(path, follow_redirects=True).text for path in (first, second)]
    choose(app.test_client(), second, "quite-another-one")

    assert all("used already, or is older" in page for page in again)
    assert can_sign_in(app, NEW)


def test_a_link_ends_after_half_an_hour_and_with_any_other_end_of_all_sessions(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    ask(client)
    old = link(app)
    clock.advance(VALID)
    choose(client, old)
    ask(client)
    overtaken = link(app)
    with app.app_context(), unit_of_work(db.session):
        db.session.query(User).one().session_epoch += 1
    choose(client, overtaken)

    assert can_sign_in(app, PASSWORD)


def test_a_link_opened_by_a_program_that_looks_at_mail_still_works(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    ask(client)
    app.test_client().get(link(app), follow_redirects=True)

    assert choose(client, link(app)) == 303
    assert can_sign_in(app, NEW)


@pytest.mark.parametrize("token", ["", "nonsense", "W251bGxd.abc", "x" * 5000])
def test_a_link_we_did_not_sign_changes_nothing(app: Flask, client: FlaskClient, clock: FixedClock, token: str) -> None:
    a_member(app, now=clock.now())
    ask(client)
    with_other_signature = link(app)[:-1] + ("A" if link(app)[-1] != "A" else "B")

    choose(client, f"/sign-in/link?token={token}")
    choose(client, with_other_signature[:-3] + "xyz")

    assert can_sign_in(app, PASSWORD)


def test_an_easy_password_is_refused_and_the_link_still_works(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    ask(client)

    refused = choose(client, link(app), "password123")
    taken = client.post("/sign-in/new-password", data={"password": NEW}).status_code

    assert (refused, taken) == (400, 303)
    assert can_sign_in(app, NEW)


@pytest.mark.ticket("RS-074")
def test_known_unknown_and_closed_accounts_get_one_answer_for_the_same_work(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    a_member(app, "imported@example.org", password=None, now=clock.now())
    statements: dict[str, list[str]] = {}
    pages = {}
    with app.app_context():
        engine = db.engine
    ask(app.test_client(), "first@example.org")  # fills what the page frame keeps in memory

    for email in (EMAIL, "nobody@example.org", "imported@example.org"):
        seen = statements.setdefault(email, [])

        def note(_c, _cursor, statement, *_, seen=seen):  # type: ignore[no-untyped-def]
            seen.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        pages[email] = re.sub(r'name="csrf_token" value="[^"]+"', "", ask(app.test_client(), email))
        event.remove(engine, "before_cursor_execute", note)

    assert len(set(pages.values())) == 1
    assert statements[EMAIL] == statements["nobody@example.org"] == statements["imported@example.org"]
    with app.app_context():
        rows = db.session.execute(select(Letter.user_id.is_not(None), Letter.link != "").order_by(Letter.id)).all()
    assert [tuple(map(bool, row)) for row in rows[1:]] == [(True, True), (False, False), (False, False)]


def test_asking_is_limited_alike_for_known_and_unknown_addresses(limited: Flask, clock: FixedClock) -> None:
    a_member(limited, now=clock.now())
    client = limited.test_client()

    answers = {
        email: [client.post("/sign-in/reset", data={"email": email}).status_code for _ in range(6)]
        for email in (EMAIL, "nobody@example.org")
    }

    assert answers == {EMAIL: [303] * 5 + [429], "nobody@example.org": [303] * 5 + [429]}


def test_the_second_factor_is_asked_for_as_ever(app: Flask, client: FlaskClient, clock: FixedClock) -> None:
    a_member(app, now=clock.now())
    with app.app_context(), unit_of_work(db.session):
        db.session.query(User).one().totp_secret = "JBSWY3DPEHPK3PXP"
    ask(client)

    choose(client, link(app))
    response = client.post("/sign-in", data={"email": EMAIL, "password": NEW})

    assert (response.status_code, response.location) == (303, "/sign-in/code?next=/account")


def test_only_owners_see_letters_and_looking_is_written_down(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    a_member(app, now=clock.now())
    a_member(app, "owner@example.org", role="owner", now=clock.now())
    a_member(app, "support@example.org", role="support", now=clock.now())
    ask(client)
    ask(client, "nobody@example.org")
    owner, support = app.test_client(), app.test_client()
    sign_in(owner, "owner@example.org")
    sign_in(support, "support@example.org")

    shown = owner.get("/admin/letters").text

    assert shown.count("/sign-in/link?token=") == 1
    assert "nobody: no account with that address" in shown
    assert support.get("/admin/letters").status_code == 403
    clock.advance(VALID)
    assert "/sign-in/link?token=" not in owner.get("/admin/letters").text
    with app.app_context():
        looked = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "letters.listed")).all()
        assert [entry.after for entry in looked] == [{"shown": 2}, {"shown": 2}]


def test_no_log_line_has_the_link_and_erasing_the_member_takes_the_letter(
    app: Flask, client: FlaskClient, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    _, key = a_member(app, now=clock.now())
    caplog.set_level(logging.DEBUG)

    ask(client)
    token = link(app).split("token=")[1]
    client.get(link(app), follow_redirects=True)
    with app.app_context(), unit_of_work(db.session):
        erase(person_of(key), clock.now())

    assert token not in caplog.text
    with app.app_context():
        assert db.session.query(Letter).count() == 0
