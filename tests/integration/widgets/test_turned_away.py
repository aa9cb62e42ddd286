"""“Not for me” changes the list: others in its place, none of those again for a while, and a way back."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from recsys_engine.contract import RecommendRequest
from shop_app.accounts.services import merge_anonymous
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.core.shopper import Consent
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.privacy import retention
from shop_app.privacy.registry import HOLDINGS, Person
from shop_app.site_settings import services as site_settings
from shop_app.tracking.consent import record_consent
from shop_app.tracking.models import LEFT_OUT_FOR, Complaint
from shop_app.tracking.services import record_complaint
from shop_app.widgets.queries import MOST_TURNED_AWAY, cart_pulse_and_turned_away
from shop_app.widgets.schemas import MOST_SHOWN
from tests.factories.events import AGREED, a_shopper
from tests.integration.widgets.test_memory import Recommender, a_shop_that_repeats, items, request_id

PLACE = ("home", "top_picks")
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"}


class Obedient(Recommender):
    """Answers with the first four of P01 … P12 that it is not told to leave out, or fails."""

    def chosen(self, request: RecommendRequest) -> list[str]:
        return [sku for sku in skus(1, 12) if sku not in request.constraints.exclude_item_ids][:4]


def skus(first: int, last: int) -> list[str]:
    return [f"P{number:02}" for number in range(first, last + 1)]


@pytest.fixture
def recommender() -> Recommender:
    return Obedient()


@pytest.fixture
def app(settings: Settings, clock: FixedClock, recommender: Recommender) -> Iterator[Flask]:
    with a_shop_that_repeats(settings, clock, recommender, skus(1, 12)) as app:
        yield app


def browser(app: Flask, choice: str = "all") -> FlaskClient:
    """A browser whose person chose so in the banner."""
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = BROWSER["User-Agent"]
    client.post("/consent", data={"choice": choice, "next": "/"})
    return client


def form(html: str, button: str) -> tuple[str, dict[str, str]]:
    """Where the form with that button goes, htmx first, and what it sends."""
    found = next(
        one for one in re.findall(r"<form class=\"widget-report\".*?</form>", html, re.DOTALL) if button in one
    )
    path = re.findall(r'hx-post="([^"]+)"', found) or re.findall(r'action="([^"]+)"', found)
    return path[0].replace("&amp;", "&"), dict(re.findall(r'name="([^"]+)" value="([^"]*)"', found))


def press(client: FlaskClient, html: str, button: str, **more: str) -> TestResponse:
    path, fields = form(html, button)
    return client.post(path, data={**fields, **more})


def kept() -> list[tuple[str | None, list[str] | None]]:
    rows = db.session.scalars(select(Complaint).order_by(Complaint.id))
    return [(row.request_id, row.turned_away) for row in rows]


def turned_away(key: str, clock: FixedClock, place: tuple[str, str] = PLACE) -> tuple[str, ...]:
    return cart_pulse_and_turned_away(key, place, clock.now())[2]


@pytest.mark.ticket("RS-058")
def test_others_take_the_place_at_once_and_those_stay_away_from_that_list_alone(
    app: Flask, clock: FixedClock, recommender: Recommender
) -> None:
    shopper, somebody = browser(app), browser(app)
    before = shopper.get("/w/home.top_picks").text
    elsewhere = shopper.get("/w/home.trending").text

    answer = press(shopper, before, "Not for me")
    after, trending = shopper.get("/w/home.top_picks").text, shopper.get("/w/home.trending").text
    theirs = somebody.get("/w/home.top_picks").text
    clock.advance(LEFT_OUT_FOR)
    later = shopper.get("/w/home.top_picks").text

    assert items(before) == items(elsewhere) == items(trending) == items(theirs) == items(later) == skus(1, 4)
    assert items(answer.text) == items(after) == skus(5, 8)
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (200, "#w-home-top-picks")
    assert re.search(r'<p role="status"[^>]* autofocus>Here are others\.</p>', answer.text)
    assert "Here are others" not in after
    assert request_id(answer.text) not in {"", request_id(before)}
    assert recommender.asked[2].constraints.exclude_item_ids == tuple(skus(1, 4))
    with app.app_context():
        assert kept() == [(request_id(before), skus(1, 4))]


def test_the_next_is_turned_away_too_until_nothing_is_left_and_then_the_list_hides(
    app: Flask, recommender: Recommender
) -> None:
    shopper = browser(app)
    answer = shopper.get("/w/home.top_picks").text
    for expected in (skus(5, 8), skus(9, 12), []):
        answer = press(shopper, answer, "Not for me").text
        assert items(answer) == expected
    afterwards = shopper.get("/w/home.top_picks").text

    assert recommender.asked[-1].constraints.exclude_item_ids == (*skus(9, 12), *skus(5, 8), *skus(1, 4))
    assert "There is nothing else to suggest here for now." in answer
    assert "widget-hidden" not in answer
    assert "Undo" in answer
    assert "Not for me" not in answer
    assert "widget-hidden" in afterwards
    assert items(press(shopper, answer, "Undo").text) == skus(9, 12)


@pytest.mark.ticket("RS-078", "RS-038")
def test_an_older_list_and_the_best_sellers_do_without_them_too(
    app: Flask, clock: FixedClock, recommender: Recommender
) -> None:
    shopper = browser(app)
    before = shopper.get("/w/home.top_picks").text
    recommender.is_down = True

    answer = press(shopper, before, "Not for me").text
    clock.advance(timedelta(hours=1))
    much_later = shopper.get("/w/home.top_picks").text
    stranger = app.test_client().get("/w/home.top_picks").text

    for html in (answer, much_later):
        assert 'data-source="fallback"' in html
        assert set(items(html)) == set(skus(5, 12))
    assert len(items(stranger)) == 8
    assert set(items(stranger)) & set(skus(1, 4)) == set()  # they sell least, and a stranger gets eight of twelve


def test_what_was_shown_while_the_recommender_is_away_is_left_out_of_the_older_list(
    app: Flask, recommender: Recommender
) -> None:
    shopper = browser(app)
    shopper.get("/w/home.top_picks")
    recommender.is_down = True
    shopper.post("/cart/lines", data={"sku": "P12"})
    older = shopper.get("/w/home.top_picks").text
    path, fields = form(older, "Not for me")

    answer = shopper.post(path, data={**fields, "shown_items": "P02 P03"}).text

    assert 'data-source="cached"' in older
    assert items(answer) == ["P01", "P04"]
    assert 'data-source="cached"' in answer
    with app.app_context():
        assert kept() == [(None, ["P02", "P03"])]


def test_taken_back_the_very_list_stands_there_again_and_that_it_was_said_stays_counted(
    app: Flask, recommender: Recommender
) -> None:
    shopper = browser(app)
    before = shopper.get("/w/home.top_picks").text
    answer = press(shopper, before, "Not for me").text
    asked = len(recommender.asked)

    back = press(shopper, answer, "Undo").text
    twice = press(shopper, answer, "Undo").text

    assert len(recommender.asked) == asked
    assert (items(back), request_id(back)) == (items(before), request_id(before))
    assert (items(twice), request_id(twice)) == (items(before), request_id(before))
    assert "They are back." in back
    assert "Undo" not in back
    with app.app_context():
        assert kept() == [(request_id(before), None)]

    assert items(press(shopper, back, "Not for me").text) == skus(5, 8)
    with app.app_context():
        assert kept() == [(request_id(before), skus(1, 4))]


def test_nobody_takes_back_what_somebody_else_said_or_what_was_said_of_another_list(app: Flask) -> None:
    shopper, other = browser(app), browser(app)
    answer = press(shopper, shopper.get("/w/home.top_picks").text, "Not for me").text
    path, _ = form(answer, "Undo")

    said = [
        other.post(path),
        shopper.post(path.replace("top_picks", "trending")),
        shopper.post(path.replace("/1/", f"/{2**31}/")),
    ]

    assert [one.status_code for one in said] == [200, 200, 404]
    assert shopper.post(path.replace("top_picks", "nothing")).status_code == 404
    with app.app_context():
        assert [items for _, items in kept()] == [skus(1, 4)]


@pytest.mark.ticket("RS-017")
@pytest.mark.parametrize("choice", ["essential", "analytics", ""])
def test_of_who_did_not_agree_nothing_is_kept_and_they_are_told_what_happened(app: Flask, choice: str) -> None:
    shopper = browser(app, choice)
    if choice == "analytics":
        shopper.post("/consent", data={"analytics": "on", "next": "/"})
    before = shopper.get("/w/home.top_picks").text

    answer = press(shopper, before, "Not for me")
    page = shopper.get("/recommendations/home.top_picks").text
    moved = press(shopper, page, "Not for me")

    assert "Thank you. We counted it." in answer.text
    assert "HX-Retarget" not in answer.headers
    assert items(shopper.get("/w/home.top_picks").text) == skus(1, 4)
    assert moved.location == "/recommendations/home.top_picks"
    told = shopper.get(moved.location).text
    assert "Thank you. We counted it." in told
    assert "Undo" not in told
    with app.app_context():
        assert [items for _, items in kept()] == [None, None]


def test_with_personalisation_switched_off_it_is_counted_and_no_more(app: Flask, clock: FixedClock) -> None:
    shopper = browser(app)
    with app.app_context():
        off = {"personalisation": False}
        site_settings.update("flags", off, expected_version=0, actor="t", now=clock.now())
        db.session.commit()

    answer = press(shopper, shopper.get("/w/home.top_picks").text, "Not for me")

    assert "Thank you. We counted it." in answer.text
    with app.app_context():
        assert [items for _, items in kept()] == [None]


def test_only_products_are_kept_and_no_more_than_a_page_shows(app: Flask) -> None:
    shopper = browser(app)
    before = shopper.get("/w/home.top_picks").text
    strange = " ".join(["NOPE", "<b>", "P03", "P03", "x" * 500, "P01", *(f"N{n}" for n in range(MOST_SHOWN)), "P05"])

    press(shopper, before, "Not for me", shown_items=strange)
    nothing = press(shopper, shopper.get("/w/home.trending").text, "Not for me", shown_items="NOPE")

    assert "Thank you. We counted it." in nothing.text
    with app.app_context():
        assert [items for _, items in kept()] == [["P03", "P01"], None]


def test_the_list_in_its_place_knows_the_page_it_stands_on(app: Flask, recommender: Recommender) -> None:
    shopper = browser(app)
    before = shopper.get("/w/pdp.similar?item=P12").text
    path, fields = form(before, "Not for me")

    answer = shopper.post(path, data={**fields, "shown": ["P05", "P06"]}).text

    assert path == "/w/pdp.similar/complaints?item=P12"
    assert recommender.asked[-1].context.item_id == "P12"
    assert recommender.asked[-1].constraints.exclude_item_ids == ("P12", "P05", "P06", *skus(1, 4))
    assert items(answer) == skus(7, 10)
    assert form(answer, "Undo")[0].endswith("/withdrawal?item=P12")


def test_without_javascript_the_page_does_the_same(app: Flask) -> None:
    shopper = browser(app)
    path = "/recommendations/listing.best_sellers?min=1&exclude=brand%3Ax"
    before = shopper.get(path).text

    moved = press(shopper, before, "Not for me")
    after = shopper.get(moved.location).text
    back = press(shopper, after, "Undo")
    again = shopper.get(back.location).text

    assert (items(before), items(after), items(again)) == (skus(1, 4), skus(5, 8), skus(1, 4))
    assert (moved.status_code, moved.location) == (303, f"{path}&undo=1")
    assert "Here are others. This list leaves those out for 30 days." in after
    assert (back.status_code, back.location) == (303, path)
    assert "They may come back." in again
    assert "Undo" not in again


@pytest.mark.ticket("RS-014")
@pytest.mark.parametrize("agrees", [True, False])
def test_what_a_guest_turned_away_goes_with_them_when_they_sign_in_if_they_agree(
    app: Flask, clock: FixedClock, *, agrees: bool
) -> None:
    guest = a_shopper()
    member = a_shopper(key="u_ada", user_id=1, consent=AGREED if agrees else Consent(is_decided=True))
    with app.app_context():
        with unit_of_work(db.session):
            record_complaint(PLACE, "r1", guest, clock.now(), ["P01", "P02"])
            record_complaint(PLACE, "", guest, clock.now(), ["P03"])
            record_complaint(PLACE, "r1", a_shopper(key="u_ada"), clock.now(), ["P04"])
        for _ in range(2):
            with unit_of_work(db.session):
                merge_anonymous(guest.key, member, clock.now())

        assert turned_away("u_ada", clock) == (("P04", "P03") if agrees else ("P04",))
        assert turned_away(guest.key, clock) == (("P01", "P02") if agrees else ("P03", "P01", "P02"))


@pytest.mark.ticket("RS-017")
def test_who_says_no_later_has_nothing_left_out_any_more(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        with unit_of_work(db.session):
            for key in ("a_ada", "a_ben"):
                record_complaint(PLACE, "r1", a_shopper(key=key), clock.now(), ["P01"])
        with unit_of_work(db.session):
            record_consent("a_ada", Consent(analytics=True, is_decided=True), clock.now())
            record_consent("a_ben", AGREED, clock.now())

        assert (turned_away("a_ada", clock), turned_away("a_ben", clock)) == ((), ("P01",))
        assert kept() == [("r1", None), ("r1", ["P01"])]


@pytest.mark.ticket("RS-073")
def test_after_its_time_it_is_emptied_and_the_complaint_stays(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        with unit_of_work(db.session):
            record_complaint(PLACE, "old", a_shopper(), clock.now() - LEFT_OUT_FOR - timedelta(hours=1), ["P01"])
            record_complaint(PLACE, "new", a_shopper(), clock.now(), ["P02"])
        with unit_of_work(db.session):
            gone = [retention.apply(clock.now())["what was turned away"] for _ in range(2)]

        assert gone == [1, 0]
        assert kept() == [("old", None), ("new", ["P02"])]
        assert retention.overdue(clock.now())["what was turned away"] == 0


@pytest.mark.ticket("RS-018")
def test_it_is_handed_out_and_erased_with_the_person(app: Flask, clock: FixedClock) -> None:
    holding, person = next(one for one in HOLDINGS if one.model is Complaint), Person((a_shopper().key,), None)
    with app.app_context():
        with unit_of_work(db.session):
            record_complaint(PLACE, "r1", replace(a_shopper(), is_qa=True), clock.now(), ["P01"])
        exported = holding.export(person)
        with unit_of_work(db.session):
            holding.erase(person)

        assert [(row["turned_away"], row["is_qa"]) for row in exported] == [(["P01"], True)]
        assert kept() == [(None, None)]


def test_a_list_leaves_out_the_newest_of_very_many(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        with unit_of_work(db.session):
            for number in range(30):
                at = clock.now() - timedelta(minutes=30 - number)
                shown = [f"N{number}-{place}" for place in range(10)]
                record_complaint(PLACE, f"r{number}", a_shopper(), at, shown)
            record_complaint(("home", "trending"), "t", a_shopper(), clock.now(), ["T"])
        found = turned_away(a_shopper().key, clock)

        assert len(found) == MOST_TURNED_AWAY == len(set(found))
        assert (found[0], found[-1]) == ("N29-0", "N10-9")
        assert turned_away(a_shopper().key, clock, ("home", "recent")) == ()
