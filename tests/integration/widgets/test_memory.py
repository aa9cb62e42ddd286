"""What widgets remember: the same question is answered once, and an older list stands in while nobody answers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from recsys_engine.contract import Recommendations, RecommendRequest, ScoredItem
from shop_app.app import create_app
from shop_app.catalog.models import Product
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.jobs.metering import write_counts
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.recsys.models import AnswerMinute
from shop_app.site_settings import services as site_settings
from shop_app.tracking.models import TrackedEvent
from tests.factories.catalog import a_product

REPEAT = timedelta(seconds=10)


@dataclass
class Recommender:
    """Answers with `items` under a new request id each time, or fails; remembers what it was asked."""

    items: tuple[str, ...] = ("P1", "P2", "P3")
    is_down: bool = False
    asked: list[RecommendRequest] = field(default_factory=list)

    def recommend(self, request: RecommendRequest) -> Recommendations:
        self.asked.append(request)
        if self.is_down:
            raise RecsysUnavailable("down")
        scored = tuple(ScoredItem(sku, 1.0, rank) for rank, sku in enumerate(self.chosen(request), start=1))
        return Recommendations(f"req-{len(self.asked)}", "test", scored)

    def chosen(self, request: RecommendRequest) -> Sequence[str]:
        return self.items


@contextmanager
def a_shop_that_repeats(
    settings: Settings, clock: FixedClock, recommender: Recommender, skus: Iterable[str]
) -> Iterator[Flask]:
    """It sells `skus` and remembers lists for ten seconds."""
    app = create_app(replace(settings, recsys_repeat_s=10), clock=clock, gateway=recommender)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    with app.app_context():
        for sku in skus:
            a_product(sku)
        db.session.commit()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def recommender() -> Recommender:
    return Recommender()


@pytest.fixture
def app(settings: Settings, clock: FixedClock, recommender: Recommender) -> Iterator[Flask]:
    with a_shop_that_repeats(settings, clock, recommender, [f"P{number}" for number in range(1, 7)]) as app:
        yield app


def items(html: str) -> list[str]:
    return re.findall(r'data-item-id="([^"]+)" data-rank', html)


def request_id(html: str) -> str:
    return next(iter(re.findall(r'data-request-id="([^"]+)"', html)), "")


def without_token(html: str) -> str:
    """The list as drawn, but for the token of each session's own forms."""
    return re.sub(r'name="csrf_token" value="[^"]+"', "", html)


def source(html: str) -> str:
    return re.findall(r'data-source="([^"]+)"', html)[0]


def agreed(app: Flask) -> FlaskClient:
    """A browser whose person agreed to personalisation."""
    client = app.test_client()
    client.post("/consent", data={"choice": "all", "next": "/"})
    return client


@pytest.mark.ticket("RS-076")
def test_the_same_question_is_asked_once_in_ten_seconds_whoever_asks(
    app: Flask, recommender: Recommender, clock: FixedClock
) -> None:
    first = app.test_client().get("/w/home.trending").text
    second = app.test_client().get("/w/home.trending").text
    clock.advance(REPEAT)
    third = app.test_client().get("/w/home.trending").text

    assert without_token(first) == without_token(second)
    assert [request_id(first), request_id(third)] == ["req-1", "req-2"]
    assert len(recommender.asked) == 2


@pytest.mark.ticket("RS-076")
def test_another_place_product_basket_setting_or_person_is_another_question(
    app: Flask, recommender: Recommender, clock: FixedClock
) -> None:
    stranger, with_basket = app.test_client(), app.test_client()
    with_basket.post("/cart/lines", data={"sku": "P1"})
    for path in ("/w/home.trending", "/w/home.top_picks", "/w/pdp.similar?item=P1", "/w/pdp.similar?item=P2"):
        stranger.get(path)
    with_basket.get("/w/home.trending")
    for client in (agreed(app), agreed(app)):
        client.get("/w/home.trending")
    with app.app_context():
        site_settings.update("surface:home.trending", {"k": 3}, expected_version=0, actor="t", now=clock.now())
        db.session.commit()
    stranger.get("/w/home.trending")
    for _ in range(2):
        stranger.get("/w/listing.best_sellers?min=5")

    assert len(recommender.asked) == 10  # a steered list is asked for every time


@pytest.mark.ticket("RS-076")
def test_a_person_s_next_event_makes_it_a_new_question_and_until_recsys_has_it_nothing_is_repeated(
    app: Flask, recommender: Recommender, clock: FixedClock
) -> None:
    client = agreed(app)

    def asked_by(visits: int) -> int:
        before = len(recommender.asked)
        for _ in range(visits):
            client.get("/w/home.top_picks")
        return len(recommender.asked) - before

    assert asked_by(2) == 1
    client.post("/cart/lines", data={"sku": "P2"})
    assert asked_by(2) == 2
    with app.app_context():
        assert db.session.scalar(select(db.func.count(TrackedEvent.id))) == 1
        db.session.execute(update(TrackedEvent).values(delivery="sent", sent_at=clock.now()))
        db.session.commit()
    clock.advance(timedelta(seconds=2))
    assert asked_by(3) == 1


@pytest.mark.ticket("RS-076")
def test_what_sold_out_or_was_archived_a_moment_ago_leaves_a_repeated_list(
    app: Flask, recommender: Recommender
) -> None:
    client = app.test_client()
    before = client.get("/w/home.trending").text
    with app.app_context():
        db.session.execute(update(Product).where(Product.sku == "P1").values(stock=0))
        db.session.execute(update(Product).where(Product.sku == "P3").values(status="discontinued"))
        db.session.commit()
    after = client.get("/w/home.trending").text

    assert (items(before), items(after)) == (["P1", "P2", "P3"], ["P2"])
    assert len(recommender.asked) == 1


@pytest.mark.ticket("RS-078")
def test_while_the_recommender_is_away_the_last_good_list_is_shown_without_credit(
    app: Flask, recommender: Recommender, clock: FixedClock
) -> None:
    member, stranger = agreed(app), app.test_client()
    recommender.items = ("P6", "P5", "P4", "P3")
    member.get("/w/home.top_picks")
    recommender.items = ("P1", "P2", "P3")
    app.test_client().get("/w/home.top_picks")
    recommender.is_down = True
    member.post("/cart/lines", data={"sku": "P5"})
    clock.advance(REPEAT)

    own, anybodys = member.get("/w/home.top_picks").text, stranger.get("/w/home.top_picks").text
    elsewhere = stranger.get("/w/pdp.similar?item=P2").text
    clock.advance(timedelta(hours=1))
    too_old = stranger.get("/w/home.top_picks").text

    assert items(own) == ["P6", "P4", "P3"]  # without what is in the basket by now
    assert items(anybodys) == ["P1", "P2", "P3"]
    assert [source(html) for html in (own, anybodys, elsewhere, too_old)] == [
        "cached",
        "cached",
        "fallback",
        "fallback",
    ]
    for html in (own, anybodys, elsewhere, too_old):
        assert request_id(html) == ""
        assert 'data-recommended="true"' not in html
        assert 'data-widget-state="fallback"' in html


@pytest.mark.ticket("RS-076", "RS-077", "RS-078")
def test_every_answer_is_counted_with_where_it_came_from(
    app: Flask, recommender: Recommender, clock: FixedClock
) -> None:
    client = app.test_client()
    for _ in range(3):
        client.get("/w/home.trending")
    recommender.is_down = True
    clock.advance(REPEAT)
    client.get("/w/home.trending")
    client.get("/w/home.recent")
    client.get("/w/pdp.similar?item=P1")
    with app.app_context():
        write_counts()
        found = db.session.scalars(select(AnswerMinute).order_by(AnswerMinute.slot, AnswerMinute.reason)).all()

        assert [(row.slot, row.source, row.reason, row.answers, row.hits) for row in found] == [
            ("home.recent", "none", "failed", 1, 0),
            ("home.trending", "model", "", 3, 2),
            ("home.trending", "cached", "failed", 1, 0),
            ("pdp.similar", "fallback", "failed", 1, 0),
        ]


@pytest.mark.ticket("RS-076")
def test_repeating_can_be_switched_off(settings: Settings, clock: FixedClock, recommender: Recommender) -> None:
    app = create_app(replace(settings, recsys_repeat_s=0), clock=clock, gateway=recommender)
    with app.app_context():
        a_product("P1")
        db.session.commit()
    for _ in range(2):
        app.test_client().get("/w/home.trending")

    assert len(recommender.asked) == 2
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
