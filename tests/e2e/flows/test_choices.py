"""Choosing: variants, facets, search, steering a list, keeping a product for later, a telephone in the hand."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.local_shop import LocalShop
from scripts.tour import find_examples
from tests.e2e.pages.qa import Qa
from tests.e2e.pages.shop import Visit

pytestmark = pytest.mark.timeout(180)
PATIENCE_MS = 30_000


@pytest.fixture
def shopping(page: Page, qa: Qa) -> Page:
    page.set_default_timeout(PATIENCE_MS)
    return page


@pytest.fixture
def telephone(browser: Browser, base_url: str, qa: Qa) -> Iterator[Visit]:
    context = browser.new_context(
        base_url=base_url,
        viewport={"width": 375, "height": 760},
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    yield Visit(context.new_page(), qa)
    context.close()


def test_the_chosen_variant_is_the_one_that_is_bought(shopping: Page, shop: LocalShop, qa: Qa) -> None:
    shopping.goto(find_examples(shop).choices)
    article = shopping.locator("dt:has-text('Product code') + dd")
    before = article.inner_text()
    other = shopping.locator(".choice:not(.choice-on):not(.choice-out)").first
    wanted = str(other.get_attribute("id")).removeprefix("choice-").rsplit("-", 1)[0]
    other.click()
    expect(article).not_to_have_text(before)
    expect(article).to_have_text(wanted)
    price = shopping.locator(".price-large").inner_text()
    assert f"variant={wanted}" in shopping.url

    shopping.get_by_role("button", name="Add to basket").click()
    shopping.get_by_role("link", name="View basket").click()

    expect(shopping.get_by_test_id("subtotal")).to_have_text(re.sub(r"\s.*", "", price.removeprefix("Now ")))
    added = next(event for event in qa.arrived() if event["type"] == 2)
    assert added["item_id"] == shopping.locator(".cart-line").get_attribute("data-item-id")


def test_the_address_is_the_state_of_a_listing_and_back_undoes_a_choice(shopping: Page, shop: LocalShop) -> None:
    shopping.goto(find_examples(shop).department)
    total = shopping.locator(".listing-bar [role=status]")
    everything = total.inner_text()
    facet = shopping.locator(".facet-values input[type=checkbox]").first
    facet.check()
    expect(total).not_to_have_text(everything)
    narrowed, address = total.inner_text(), shopping.url
    assert "=" in address

    shopping.reload()
    expect(total).to_have_text(narrowed)
    expect(facet).to_be_checked()

    shopping.go_back()
    expect(total).to_have_text(everything)
    expect(facet).not_to_be_checked()


def test_a_slip_of_the_finger_still_finds_it(shopping: Page) -> None:
    shopping.goto("/")
    shopping.get_by_label("Search the shop").fill("teapto")
    shopping.get_by_label("Search the shop").press("Enter")

    expect(shopping.get_by_role("heading", level=1)).to_have_text("Results for “teapot”")
    expect(shopping.get_by_text("No results for “teapto”")).to_be_visible()
    assert "teapot" in shopping.locator(".listing-results .card-title").first.inner_text().lower()


@pytest.mark.ticket("RS-041", "RS-042")
def test_price_and_brand_steer_the_list_of_best_sellers(shopping: Page, shop: LocalShop) -> None:
    shopping.goto(find_examples(shop).department)
    section = shopping.locator("#w-listing-best-sellers")
    section.get_by_text("Narrow these picks").click()
    with shopping.expect_response(re.compile("/w/listing.best_sellers.*max=20")) as answered:
        section.get_by_label("Price to").fill("20")
        section.get_by_label("Price to").press("Enter")
    assert answered.value.ok
    expect(section.get_by_label("Price to")).to_have_value("20")
    prices = section.locator(".price").all_inner_texts()
    assert prices
    assert all(float(re.findall(r"£([\d.]+)", price)[0]) <= 20 for price in prices)

    brand = section.locator(".card-brand").first.inner_text()
    with shopping.expect_response(re.compile("/w/listing.best_sellers.*include=[^&]+")):
        section.get_by_label("Only this brand").select_option(label=brand)
    expect(section.get_by_label("Only this brand").locator("option:checked")).to_have_text(brand)
    assert set(section.locator(".card-brand").all_inner_texts()) == {brand}

    shopping.reload()
    section.get_by_text("Narrow these picks").click()
    with shopping.expect_response(re.compile("/w/listing.best_sellers.*exclude=[^&]+")):
        section.get_by_label("Leave out this brand").select_option(label=brand)
    expect(section.get_by_label("Leave out this brand").locator("option:checked")).to_have_text(brand)
    others = section.locator(".card-brand").all_inner_texts()
    assert others
    assert brand not in others


def test_a_product_is_kept_on_the_wishlist_and_let_go(shopping: Page, shop: LocalShop) -> None:
    shopping.goto(find_examples(shop).plain)
    title = shopping.get_by_role("heading", level=1).inner_text()
    shopping.get_by_role("button", name="Add to wishlist").click()
    shopping.goto("/wishlist")
    expect(shopping.get_by_role("heading", name=title)).to_be_visible()

    shopping.get_by_role("button", name=f"Remove {title}").click()

    expect(shopping.get_by_role("heading", name="Nothing here yet")).to_be_visible()


def test_the_colours_are_kept_from_page_to_page(shopping: Page) -> None:
    shopping.goto("/help/delivery")
    light = shopping.evaluate("() => getComputedStyle(document.body).backgroundColor")
    shopping.get_by_role("button", name="Dark").click()
    expect(shopping.locator("html")).to_have_attribute("data-theme", "dark")

    shopping.goto("/cart")

    assert shopping.evaluate("() => getComputedStyle(document.body).backgroundColor") != light
    expect(shopping.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


@pytest.mark.ticket("RS-086")
def test_a_guest_buys_on_a_telephone(telephone: Visit) -> None:
    telephone.open("/")
    telephone.accept_all()
    telephone.page.locator("#w-home-top-picks").evaluate("section => section.scrollIntoView({block: 'start'})")
    first = next(card for card in telephone.dwell() if card.widget == "top_picks")
    telephone.follow(first)
    telephone.add_to_basket(via=first)

    telephone.check_out(email="ada@example.com")

    telephone.expect_purchase([(first.item, first)])
    telephone.assert_events()


@pytest.mark.ticket("RS-021")
def test_going_back_and_forward_counts_each_answer_once(visit: Visit) -> None:
    visit.page.set_default_timeout(PATIENCE_MS)
    visit.open("/")
    visit.accept_all()
    first = visit.meet("top_picks")
    visit.follow(first)
    visit.page.go_back()
    visit.page.wait_for_function("() => document.querySelector('#w-home-top-picks:not([data-widget-state=loading])')")
    visit.page.go_forward()
    visit.page.wait_for_url("**/products/**")

    arrived = [event for event in visit.qa.arrived() if event["type"] == 0 and event["widget"]]

    seen = [(event["request_id"], event["surface"], event["widget"], event["item_id"]) for event in arrived]
    recommended = [key for key in seen if key[0]]
    assert recommended
    assert len(recommended) == len(set(recommended))
