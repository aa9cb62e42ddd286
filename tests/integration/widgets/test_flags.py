"""Switches of the whole shop act on the next list: page by page, and on what a list may know and try."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop_app.core.clock import FixedClock
from shop_app.core.shopper import Consent, Shopper
from shop_app.extensions import db
from shop_app.site_settings import flags
from shop_app.site_settings.services import audit_engine, update
from shop_app.widgets import views
from tests.factories.catalog import a_product
from tests.integration.widgets.test_slots import Recommender

MEMBER = Shopper("u_ada", "s_1", user_id=7, consent=Consent(analytics=True, personalisation=True, is_decided=True))


@pytest.fixture
def recommender(app: Flask) -> Recommender:
    found = Recommender(items=("P2", "P1"))
    app.extensions["recsys"] = found
    with app.app_context():
        for sku in ("P1", "P2", "P3"):
            a_product(sku)
        db.session.commit()
    return found


def switch_off(app: Flask, clock: FixedClock, *names: str) -> None:
    with app.app_context():
        _, version = flags.flags_now()
        values = {name: name not in names for name in flags.NAMES}
        update(flags.KEY, values, expected_version=version, actor="u_staff", now=clock.now())
        db.session.commit()


@pytest.mark.ticket("RS-068")
def test_without_the_recommender_best_sellers_stand_in_and_it_is_not_asked(
    app: Flask, client: FlaskClient, clock: FixedClock, recommender: Recommender
) -> None:
    before = client.get("/w/home.top_picks").text
    switch_off(app, clock, "recommender")
    asked = len(recommender.asked)
    off = client.get("/w/home.top_picks").text
    asked_while_off = len(recommender.asked) - asked
    switch_off(app, clock)
    after = client.get("/w/home.top_picks").text

    assert 'data-widget-state="ready"' in before
    assert 'data-widget-state="fallback"' in off
    assert 'data-widget-state="ready"' in after
    assert asked_while_off == 0


@pytest.mark.ticket("RS-068")
def test_a_page_switched_off_has_no_lists_and_the_others_keep_theirs(
    app: Flask, client: FlaskClient, clock: FixedClock, recommender: Recommender
) -> None:
    assert "/w/home.top_picks" in client.get("/").text
    switch_off(app, clock, "surface.home")

    assert "/w/home.top_picks" not in client.get("/").text
    assert 'data-widget-state="empty"' in client.get("/w/home.top_picks").text
    assert 'data-widget-state="ready"' in client.get("/w/cart.also_like").text


def test_a_list_knows_nobody_and_tries_nothing_out_when_that_is_switched_off(
    app: Flask, client: FlaskClient, clock: FixedClock, recommender: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "current_shopper", lambda: MEMBER)
    client.get("/w/home.top_picks")
    switch_off(app, clock, "personalisation", "exploration")
    client.get("/w/home.top_picks")

    known, stranger = recommender.asked
    assert (known.user_id, known.context.session_id, known.overrides.exploration_rate) == ("u_ada", "s_1", None)
    assert (stranger.user_id, stranger.context.session_id, stranger.overrides.exploration_rate) == (None, None, 0.0)


def test_a_switch_nobody_knows_is_refused() -> None:
    with pytest.raises(flags.InvalidInput):
        flags.parse_flags({"flag_gravity": "on"})


def test_a_changed_recommender_is_asked_anew_at_once(
    app: Flask, client: FlaskClient, clock: FixedClock, recommender: Recommender
) -> None:
    for _ in range(2):
        client.get("/w/home.top_picks")
    repeated = len(recommender.asked)
    with app.app_context():
        audit_engine(actor="u_staff", action="engine.override", subject="P1", now=clock.now())
        db.session.commit()
    client.get("/w/home.top_picks")

    assert repeated == 1
    assert len(recommender.asked) == 2
