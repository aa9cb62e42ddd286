"""Why an item is in a list, down to the sum; why another is not; what a draft would do."""

import re
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import delete, select

from recsys_engine.contract import Event, EventType
from shop_app.admin.queries.lists import Asked, list_story, why_missing
from shop_app.catalog.models import Product
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.site_settings.queries import slot_settings
from shop_app.sync.payloads import item_payload
from tests.factories.catalog import a_product
from tests.integration.admin.conftest import SignIn


@pytest.fixture
def told_engine(app: Flask, clock: FixedClock):
    """A dozen products that the engine knows, bought by three people."""
    with app.app_context():
        products = [a_product(f"P-{n}") for n in range(12)]
        products += [a_product("GONE", stock=0), a_product("HIDDEN", status="hidden"), a_product("UNSENT")]
        db.session.commit()
        gateway = app.extensions["recsys"]
        gateway.upsert_items([item_payload(product, "http://shop") for product in products[:-1]])
        gateway.send_events(
            [
                Event(f"u_{person}", f"P-{n}", EventType.PURCHASE, ts=clock.now(), source_event_id=f"{person}-{n}")
                for person in range(3)
                for n in range(person, 12, 3 - person)
            ]
        )
    return gateway


@pytest.mark.ticket("RS-057")
def test_the_parts_of_every_score_sum_to_it(app: Flask, told_engine) -> None:
    with app.app_context():
        story = list_story(told_engine, slot_settings("home.trending"), Asked(shopper_key="u_1"))

    assert len(story.places) >= 5
    assert [place.rank for place in story.places] == list(range(1, len(story.places) + 1))
    assert story.request_id.startswith("preview-")
    for place in story.places:
        assert place.sum_of_parts == pytest.approx(place.score)


def test_why_an_item_is_missing_is_said_in_a_sentence(app: Flask, told_engine) -> None:
    def why(sku: str, **asked) -> str:
        with app.app_context():
            return why_missing(told_engine, slot_settings("home.trending"), Asked(**asked), sku)

    assert "sells nothing" in why("NO-SUCH")
    assert "sold out" in why("GONE")
    assert "It is hidden" in why("HIDDEN")
    assert "Recsys does not know it" in why("UNSENT")
    assert "in the basket" in why("P-1", cart=("P-1",))
    with app.app_context():
        first = list_story(told_engine, slot_settings("home.trending"), Asked()).places[0].item_id
    assert why(first) == "It is shown, at place 1."
    with app.app_context():
        short = replace(slot_settings("home.trending"), k=2)
        last = list_story(told_engine, slot_settings("home.trending"), Asked()).places[-1].item_id
        behind = why_missing(told_engine, short, Asked(), last)
    assert re.fullmatch(r"It is at place \d+, score [\d.]+; the list ends at 2, score [\d.]+\.", behind)


def test_the_page_shows_the_list_beside_a_draft(told_engine, sign_in: SignIn) -> None:
    page = sign_in("merchandiser").get("/admin/preview?slot=home.trending&draft_k=3&missing=GONE").text

    live, draft = page.split('id="drafted"')
    assert len(re.findall(r'class="trail-rank"', live)) > 3
    assert len(re.findall(r'class="trail-rank"', draft)) == 3
    assert "sold out" in page


def test_a_recommender_that_is_away_is_said_and_nothing_breaks(app: Flask, sign_in: SignIn) -> None:

    class Away:
        def recommend(self, request):
            raise RecsysUnavailable("connection refused")

    app.extensions["recsys"] = Away()

    answer = sign_in("viewer").get("/admin/preview")

    assert answer.status_code == 503
    assert "cannot be reached" in answer.text


@pytest.mark.ticket("RS-067")
def test_differences_with_recsys_are_shown_field_by_field_and_sent_again(
    app: Flask, told_engine, clock: FixedClock, sign_in: SignIn
) -> None:
    with app.app_context():
        settings = app.extensions["settings"]
        for product in db.session.scalars(select(Product)):
            told_engine.upsert_items([item_payload(product, settings.public_url)])
        product = db.session.scalars(select(Product).where(Product.sku == "P-3")).one()
        product.price_minor, product_id = 9_999, product.id
        db.session.execute(delete(ChangedEntity))
        db.session.commit()
    browser = sign_in("support")

    shown = browser.get("/admin/differences").text
    other = browser.get("/admin/differences?field=tags").text
    browser.post("/admin/differences/syncing", data={"field": "tags"})
    with app.app_context():
        assert db.session.scalars(select(ChangedEntity.entity_id)).all() == []
    sent = browser.post("/admin/differences/syncing", data={"field": "price"})

    rows = re.findall(
        r'">(P-\d+)</a></th><td><span class="tag ">(\w+)</span></td><td class="small json">([\d.]+)', shown
    )
    assert rows == [("P-3", "price", "99.99")]
    assert "P-3" not in other
    assert sent.status_code == 303
    with app.app_context():
        assert db.session.scalars(select(ChangedEntity.entity_id)).all() == [product_id]
