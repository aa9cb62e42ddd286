"""A guest's journeys: what they see, what changes, and exactly which events reach Recsys."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.pages.shop import Visit, put_in_basket


@pytest.mark.ticket("RS-019", "RS-020", "RS-021", "RS-022", "RS-023", "RS-024", "RS-025", "RS-034", "RS-048", "RS-086")
def test_from_a_widget_to_an_order_every_event_arrives_once_with_its_place(visit: Visit) -> None:
    visit.open("/")
    visit.accept_all()
    first = visit.meet("top_picks")
    visit.follow(first)
    visit.dwell()
    visit.add_to_basket(via=first)
    visit.dwell()

    visit.check_out(email="ada@example.com")

    visit.expect_purchase([(first.item, first)])
    visit.dwell()
    visit.assert_events()
    assert first.request, "the list came from the recommender"


@pytest.mark.ticket("RS-086")
def test_a_second_product_found_by_search_joins_the_order(visit: Visit) -> None:
    visit.open("/")
    visit.accept_all()
    first = visit.meet("top_picks")
    title = visit.card(first).get_by_role("heading").inner_text()
    visit.page.get_by_label("Search the shop").fill(title)
    visit.page.get_by_label("Search the shop").press("Enter")
    visit.page.wait_for_url("**/search**")
    found = next(card for card in visit.dwell() if card.item == first.item)

    visit.follow(found)
    visit.add_to_basket(via=found, quantity=2)
    visit.check_out(email="ada@example.com")

    visit.expect_purchase([(found.item, found)])
    visit.assert_events()
    assert found.request is None, "a search result is nobody's recommendation"


@pytest.mark.ticket("RS-036")
def test_the_basket_suggests_what_is_not_in_it(visit: Visit) -> None:
    visit.open("/")
    visit.accept_all()
    first = visit.meet("top_picks")
    visit.follow(first)
    visit.add_to_basket(via=first)

    visit.page.locator("#w-cart-also-like").scroll_into_view_if_needed()
    section = visit.page.locator("#w-cart-also-like[data-widget-state=ready]")
    expect(section).to_be_visible()

    items = [card.get_attribute("data-item-id") for card in section.locator("[data-item-id]").all()]
    assert items
    assert first.item not in items


@pytest.mark.ticket("RS-017")
def test_without_agreement_nothing_is_reported_but_what_was_bought(visit: Visit) -> None:
    visit.is_tracked = False
    visit.open("/")
    visit.page.get_by_role("button", name="Essential only").click()
    visit.page.wait_for_function(
        "() => document.querySelector('[data-widget-state=ready], [data-widget-state=fallback]')"
    )
    link = visit.page.locator("[data-widget] [data-item-id] a").first
    via = re.search(r"via=(\w+)\.(\w+):(\d+)(?::([\w-]+))?", str(link.get_attribute("href")))
    assert via
    link.click()
    visit.page.wait_for_url("**/products/**")
    put_in_basket(visit.page)
    visit.check_out(email="ada@example.com")
    expect(visit.page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Order RS-"))

    arrived = visit.qa.arrived()

    assert sorted(event["type"] for event in arrived) == [2, 3, 4]
    session = visit.page.context.cookies()
    assert not any(event["user_id"] in str(session) for event in arrived if event["user_id"])
    assert all(event["meta"].get("session_id") is None for event in arrived)
    assert visit.page.evaluate("() => Object.keys(localStorage)") == []


@pytest.mark.ticket("RS-038", "RS-039", "RS-078")
def test_with_the_recommender_down_best_sellers_take_over_and_the_order_still_goes_through(visit: Visit) -> None:
    visit.qa.post("recsys", mode="failed")
    visit.open("/")
    visit.accept_all()
    seen = visit.meet("top_picks")
    assert seen.request is None
    assert visit.page.locator("#w-home-top-picks").get_attribute("data-widget-state") == "fallback"
    visit.follow(seen)
    visit.add_to_basket(via=seen)

    visit.check_out(email="ada@example.com")

    visit.expect_purchase([(seen.item, seen)])
    visit.assert_events()


@pytest.mark.ticket("RS-026")
def test_events_wait_while_recsys_refuses_to_answer_and_arrive_afterwards(visit: Visit) -> None:
    visit.qa.post("recsys", writes="failed")
    visit.open("/")
    visit.accept_all()
    first = visit.meet("top_picks")
    visit.follow(first)
    visit.qa.post("drain")
    assert visit.qa.get("events/good") == []

    visit.qa.post("recsys", writes="normal")

    visit.assert_events()
