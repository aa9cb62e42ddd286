"""Filling the slots, through the routes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from recsys_engine.contract import Recommendations, RecommendRequest, ScoredItem
from shop_app.app import create_app
from shop_app.catalog.models import ProductSales
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable
from shop_app.site_settings import services as site_settings
from tests.factories.catalog import a_category, a_product


@dataclass
class Recommender:
    """Answers with `items`, or fails, or is late; remembers what it was asked."""

    items: tuple[str, ...] = ()
    trouble: Exception | None = None
    late_s: float = 0.0
    request_id: str = "req-7"
    asked: list[RecommendRequest] = field(default_factory=list)

    def recommend(self, request: RecommendRequest) -> Recommendations:
        self.asked.append(request)
        sleep(self.late_s)
        if self.trouble:
            raise self.trouble
        scored = tuple(ScoredItem(sku, 1.0, rank) for rank, sku in enumerate(self.items, start=1))
        return Recommendations(self.request_id, "test", scored)


@pytest.fixture
def recommender() -> Recommender:
    return Recommender()


@pytest.fixture
def app(settings: Settings, clock: FixedClock, recommender: Recommender) -> Iterator[Flask]:
    app = create_app(settings, clock=clock, gateway=recommender)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    with app.app_context():
        for number in range(1, 7):
            a_product(f"P{number}", category=a_category("kitchen" if number < 4 else "garden"))
        a_product("GONE", status="discontinued")
        a_product("SOLD", stock=0)
        db.session.add(ProductSales(product_id=2, day=clock.now().date(), units=9))
        db.session.commit()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def ranks(html: str) -> list[str]:
    """Item ids in the order of their ranks."""
    found = re.findall(r'data-item-id="([^"]+)" data-rank="(\d+)"', html)
    assert [int(rank) for _, rank in found] == list(range(1, len(found) + 1))
    return [sku for sku, _ in found]


@pytest.mark.ticket("RS-034")
def test_a_list_keeps_the_recommenders_order_and_says_where_it_came_from(
    client: FlaskClient, recommender: Recommender
) -> None:
    recommender.items = ("P3", "P1", "P5")

    response = client.get("/w/home.top_picks")

    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "private, no-store"
    assert ranks(response.text) == ["P3", "P1", "P5"]
    for said in (
        'data-widget-state="ready"',
        'data-request-id="req-7"',
        'data-surface="home"',
        'data-widget="top_picks"',
    ):
        assert said in response.text
    assert "/products/p1?via=home.top_picks:2:req-7" in response.text
    assert response.text.count('data-recommended="true"') == 3


@pytest.mark.ticket("RS-044")
@pytest.mark.ticket("RS-012")
def test_sold_out_and_discontinued_items_are_left_out_whatever_the_recommender_says(
    client: FlaskClient, recommender: Recommender
) -> None:
    recommender.items = ("SOLD", "P1", "GONE", "NEVER", "P2")

    assert ranks(client.get("/w/home.top_picks").text) == ["P1", "P2"]


@pytest.mark.ticket("RS-033")
@pytest.mark.ticket("RS-038")
@pytest.mark.parametrize("trouble", [RecsysUnavailable("down"), RecsysRejected("bad", "no"), None])
def test_without_a_list_best_sellers_stand_in_and_the_model_gets_no_credit(
    client: FlaskClient, recommender: Recommender, trouble: Exception | None
) -> None:
    recommender.trouble = trouble

    response = client.get("/w/pdp.similar?item=P1")

    assert response.status_code == 200
    assert 'data-widget-state="fallback"' in response.text
    assert "data-request-id" not in response.text
    assert 'data-recommended="true"' not in response.text
    assert ranks(response.text)[0] == "P2"
    assert "P1" not in ranks(response.text)
    assert "via=pdp.similar:1" in response.text


def test_the_category_comes_first_when_best_sellers_stand_in_on_a_product_page(client: FlaskClient) -> None:
    assert ranks(client.get("/w/pdp.similar?item=P5").text)[:2] == ["P6", "P4"]


@pytest.mark.ticket("RS-078")
def test_what_another_list_of_the_page_shows_does_not_stand_in_again(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        for number in range(7, 15):
            a_product(f"P{number}")
        db.session.commit()

    picks = ranks(client.get("/w/home.top_picks").text)
    trending = ranks(client.get("/w/home.trending", query_string={"shown": picks}).text)

    assert (len(picks), len(trending)) == (8, 6)
    assert set(picks).isdisjoint(trending)


@pytest.mark.ticket("RS-041")
def test_what_another_list_of_the_page_shows_is_not_asked_for_again(
    client: FlaskClient, recommender: Recommender
) -> None:
    recommender.items = ("P3", "P4")

    client.get("/w/pdp.similar?item=P1&shown=P2&shown=P5")

    assert recommender.asked[-1].constraints.exclude_item_ids == ("P1", "P2", "P5")


def test_the_last_good_list_is_found_again_beside_other_lists_and_repeats_none_of_them(
    client: FlaskClient, recommender: Recommender, clock: FixedClock
) -> None:
    recommender.items = ("P2", "P3", "P4")
    client.get("/w/pdp.similar?item=P1&shown=P5")
    clock.advance(timedelta(minutes=1))
    recommender.trouble = RecsysUnavailable("down")

    again = client.get("/w/pdp.similar?item=P1&shown=P3")

    assert ranks(again.text) == ["P2", "P4"]


@pytest.mark.ticket("RS-039")
def test_a_late_recommender_costs_no_more_than_its_deadline(client: FlaskClient, recommender: Recommender) -> None:
    recommender.late_s = 1.5

    begun = monotonic()
    response = client.get("/w/home.trending")

    assert monotonic() - begun < 1.2
    assert response.status_code == 200
    assert 'data-widget-state="fallback"' in response.text


@pytest.mark.ticket("RS-038")
def test_a_slot_without_fallback_is_hidden_when_empty(client: FlaskClient) -> None:
    response = client.get("/w/home.recent")

    assert response.status_code == 200
    assert 'data-widget-state="empty"' in response.text
    assert 'aria-hidden="true"' in response.text
    assert ranks(response.text) == []


def test_a_slot_switched_off_is_not_printed_and_not_filled(
    app: Flask, client: FlaskClient, recommender: Recommender, clock: FixedClock
) -> None:
    recommender.items = ("P1",)
    with app.app_context():
        site_settings.update("surface:home.trending", {"is_on": False}, expected_version=0, actor="t", now=clock.now())
        site_settings.update(
            "surface:home.top_picks", {"title": "Just for you", "k": 2}, expected_version=0, actor="t", now=clock.now()
        )
        db.session.commit()

    page = client.get("/").text

    assert "/w/home.trending" not in page
    assert "Just for you" in page
    assert 'data-widget-state="empty"' in client.get("/w/home.trending").text
    assert recommender.asked == []


@pytest.mark.ticket("RS-041")
@pytest.mark.ticket("RS-042")
def test_steering_reaches_the_recommender_and_is_never_replaced_by_a_list_that_ignores_it(
    client: FlaskClient, recommender: Recommender
) -> None:
    response = client.get("/w/listing.best_sellers?category=kitchen&min=5&max=20&include=brand:x&exclude=colour:red")

    asked = recommender.asked[0].constraints
    assert asked.price_between == (5.0, 20.0)
    assert asked.include_tags_any == ("brand:x",)
    assert asked.exclude_tags_any == ("colour:red",)
    assert 'data-widget-state="empty"' in response.text
    assert "Nothing here fits that" in response.text
    assert 'value="5"' in response.text


def test_a_steered_department_list_stays_inside_the_department(client: FlaskClient, recommender: Recommender) -> None:
    recommender.items = ("P5", "P1", "P4", "P2")

    assert ranks(client.get("/w/listing.best_sellers?category=kitchen&include=brand:x").text) == ["P1", "P2"]


def test_a_mistyped_price_still_gives_a_list(client: FlaskClient, recommender: Recommender) -> None:
    recommender.items = ("P1",)

    response = client.get("/w/listing.best_sellers?category=kitchen&min=abc")

    assert response.status_code == 200
    assert ranks(response.text) == ["P1"]


def test_an_unknown_slot_is_a_404(client: FlaskClient) -> None:
    assert client.get("/w/no.such").status_code == 404


@pytest.mark.ticket("RS-039")
def test_the_page_prints_a_skeleton_with_as_many_cards_and_a_way_without_javascript(client: FlaskClient) -> None:
    page = client.get("/products/p1").text

    assert page.count('hx-get="/w/pdp.similar?item=P1"') == 1
    assert 'aria-busy="true"' in page
    assert "data-widget-retry" in page
    assert 'href="/recommendations/pdp.similar?item=P1"' in page
    skeleton = page.split('id="w-pdp-similar"')[1].split("</section>")[0]
    assert skeleton.count('class="card"') == 8


def test_the_same_list_is_a_page_of_its_own(client: FlaskClient, recommender: Recommender) -> None:
    recommender.items = ("P3", "P1")

    response = client.get("/recommendations/home.top_picks")

    assert ranks(response.text) == ["P3", "P1"]
    assert "<h1>Picked for you</h1>" in response.text
    assert recommender.asked[0].k > 20


@pytest.mark.ticket("RS-040")
def test_a_list_is_a_labelled_section_with_a_list_in_it(client: FlaskClient, recommender: Recommender) -> None:
    recommender.items = ("P3", "P1")

    html = client.get("/w/home.top_picks").text

    assert 'aria-labelledby="w-home-top-picks-title"' in html
    assert '<h2 id="w-home-top-picks-title">Picked for you</h2>' in html
    assert '<ul class="carousel" role="list"' in html
    assert html.count("<h3") == 2


def test_recent_products_are_kept_only_for_people_who_agreed(app: Flask, recommender: Recommender) -> None:
    undecided, agreed = app.test_client(), app.test_client()
    agreed.post("/consent", data={"choice": "all", "next": "/"})

    for client in (undecided, agreed):
        client.get("/products/p1")
        client.get("/products/p2")
        client.get("/w/home.recent")

    assert recommender.asked[0].context.session_item_ids == ()
    assert recommender.asked[0].user_id is None
    assert recommender.asked[1].context.session_item_ids == ("P1", "P2")
    assert recommender.asked[1].user_id is not None
    assert "home-recent" not in undecided.get("/").text
    assert "home-recent" in agreed.get("/").text


def test_a_fragment_needs_few_queries(app: Flask, client: FlaskClient, recommender: Recommender) -> None:
    recommender.items = ("P1", "P2", "P3")
    seen: list[Any] = []
    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", lambda *args: seen.append(args[2]))

    client.get("/w/home.top_picks")

    assert len([sql for sql in seen if not sql.startswith(("BEGIN", "PRAGMA"))]) <= 4


def test_every_answer_shows_its_own_request_and_what_the_slot_says_now(
    app: Flask, client: FlaskClient, clock: FixedClock, recommender: Recommender
) -> None:
    """Drawn pieces are kept; what differs between answers must not be kept with them."""
    recommender.items = ("P1", "P2")
    first = client.get("/w/home.top_picks").text
    recommender.request_id, recommender.items = "req-8", ("P2", "P3")
    with app.app_context():
        words = {"title": "Only <today>"}
        site_settings.update("surface:home.top_picks", words, expected_version=0, actor="t", now=clock.now())
        db.session.commit()
    second = client.get("/w/home.top_picks").text

    assert 'data-request-id="req-7"' in first
    assert re.findall(r'data-item-id="(\w+)" data-rank="(\d)"', first)[:2] == [("P1", "1"), ("P2", "2")]
    assert "?via=home.top_picks:2:req-7" in first
    assert "req-7" not in second
    assert re.findall(r'data-item-id="(\w+)" data-rank="(\d)"', second)[:2] == [("P2", "1"), ("P3", "2")]
    assert "?via=home.top_picks:1:req-8" in second
    assert "Only &lt;today&gt;" in second
    assert not {"\x02", "\x03"} & {*first, *second}
