"""From an admin's wish to what a worker found, on the product's page."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from shop_app import cli
from shop_app.app import create_app
from shop_app.catalog.links.checks import LEASE, ask_for_checks, is_waiting, note_answer, take_check
from shop_app.catalog.links.fetching import Answer, Verdict
from shop_app.catalog.models import LinkCheck, Product
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.jobs import links as job
from shop_app.site_settings.models import AuditEntry
from tests.factories.accounts import a_member
from tests.factories.catalog import a_product

PICTURE = "https://pictures.example.com/mug.png"
ELSEWHERE = "https://elsewhere.example.com/mug.png"


@pytest.fixture
def shop(app: Flask, settings: Settings, clock: FixedClock) -> Iterator[Flask]:
    """A shop under https that may ask one host, with a mug that has two pictures elsewhere and one here."""
    chosen = replace(settings, link_check_hosts="pictures.example.com", public_url="https://shop.example.com/")
    shop = create_app(chosen, clock=clock)
    shop.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    with shop.app_context():
        a_product("MUG-1").image_urls = [PICTURE, PICTURE, ELSEWHERE, "/media/own.svg"]
        db.session.commit()
    yield shop
    with shop.app_context():
        db.session.remove()
        db.engine.dispose()


def staff(shop: Flask, role: str, clock: FixedClock) -> FlaskClient:
    client = shop.test_client()
    a_member(shop, f"{role}@example.org", role=role, now=clock.now())
    client.post("/sign-in", data={"email": f"{role}@example.org", "password": "maple-kettle-otter"})
    return client


def page(client: FlaskClient) -> str:
    with client.application.app_context():
        number = db.session.scalars(select(Product.id).where(Product.sku == "MUG-1")).one()
    return client.get(f"/admin/products/{number}").text


@pytest.mark.ticket("RS-008")
def test_what_an_admin_asks_for_is_looked_at_by_the_worker_and_shown(
    shop: Flask, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, frozenset[str], bool]] = []

    def look(url: str, *, hosts: frozenset[str], wants_picture: bool) -> Answer:
        asked.append((url, hosts, wants_picture))
        return Answer(Verdict.FINE, 200, "image/png", 4321) if url == PICTURE else Answer(Verdict.REDIRECT, 302)

    monkeypatch.setattr(cli, "look", look)
    browser = staff(shop, "merchandiser", clock)

    told = browser.post("/admin/products/link-checks", data={"skus": "MUG-1"}, follow_redirects=True).text
    waiting = page(browser)
    nothing_yet = list(asked)
    with shop.app_context():
        result = shop.test_cli_runner().invoke(args=["check-links"])

    assert "3 addresses are looked at" in told
    assert waiting.count(">waits<") == 3
    assert nothing_yet == []  # the page fetched nothing
    assert result.exit_code == 0, result.output
    hosts = frozenset({"pictures.example.com"})
    with shop.app_context():
        slug = db.session.scalars(select(Product.slug)).one()
    assert asked == [
        (f"https://shop.example.com/products/{slug}", hosts, False), (PICTURE, hosts, True), (ELSEWHERE, hosts, True),
    ]  # fmt: skip
    shown = page(browser)
    assert "answers as it should" in shown
    assert "4,321" in shown
    assert shown.count("redirects, which is not followed (302)") == 2
    assert "2 broken addresses" in browser.get("/admin/products").text
    with shop.app_context():
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "catalog.links")).one()
        assert (entry.subject, entry.note) == ("3 addresses", "MUG-1")


def test_without_an_allowed_host_nothing_is_asked(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        a_product("MUG-1").image_urls = [PICTURE]
        db.session.commit()

    told = staff(app, "owner", clock).post("/admin/products/link-checks", data={"skus": "MUG-1"}, follow_redirects=True)

    assert "LINK_CHECK_HOSTS" in told.text
    with app.app_context():
        assert db.session.query(LinkCheck).count() == 0


def test_who_may_not_change_products_may_not_have_them_looked_at(shop: Flask, clock: FixedClock) -> None:
    assert staff(shop, "viewer", clock).post("/admin/products/link-checks", data={"skus": "MUG-1"}).status_code == 403


def test_an_address_is_taken_once_again_when_its_process_died_and_asking_anew_forgets_the_old(
    shop: Flask, clock: FixedClock
) -> None:
    with shop.app_context():
        product = db.session.scalars(select(Product)).one()
        with unit_of_work(db.session):
            ask_for_checks([product], "", clock.now())
        with unit_of_work(db.session):
            first, second, none = (take_check(clock.now()) for _ in range(3))
        assert first
        assert second
        assert (first.url, second.url, none) == (PICTURE, ELSEWHERE, None)
        assert not is_waiting(clock.now())
        clock.advance(LEASE + timedelta(seconds=1))
        with unit_of_work(db.session):
            again = take_check(clock.now())
        assert again
        assert again.url == PICTURE
        with unit_of_work(db.session):
            ask_for_checks([product], "", clock.now())
            note_answer(again, Answer(Verdict.FINE, 200), clock.now())
        states = db.session.execute(select(LinkCheck.url, LinkCheck.verdict).order_by(LinkCheck.id)).all()
        assert [tuple(row) for row in states] == [(PICTURE, None), (ELSEWHERE, None)]


def test_the_job_starts_a_process_only_when_something_waits(
    shop: Flask, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, ...]] = []
    popen: Callable[..., None] = lambda command, **_: started.append(command)  # noqa: E731
    monkeypatch.setattr(job.subprocess, "Popen", popen)
    with shop.app_context():
        idle = job.begin()
        with unit_of_work(db.session):
            ask_for_checks([db.session.scalars(select(Product)).one()], "", clock.now())
        busy = job.begin()

    assert (idle, busy) == ({"started": 0}, {"started": 1})
    assert started == [job.COMMAND]
