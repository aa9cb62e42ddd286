"""Everything a shopper does works without a line of JavaScript."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.pages.qa import Qa
from tests.e2e.pages.shop import fill_address


@pytest.fixture
def plain(browser: Browser, base_url: str) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False, base_url=base_url, viewport={"width": 375, "height": 800})
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


@pytest.mark.ticket("RS-086")
def test_search_choose_buy(plain: Page, qa: Qa) -> None:
    plain.goto("/")
    plain.get_by_role("link", name=re.compile("^See the list")).first.click()
    title = plain.locator("[data-item-id] a").first.inner_text()
    plain.get_by_label("Search the shop").fill(title)
    plain.get_by_label("Search the shop").press("Enter")
    plain.get_by_role("link", name=title, exact=True).first.click()
    plain.get_by_role("button", name="Add to basket").click()
    plain.get_by_role("link", name="Go to checkout").click()
    plain.get_by_label("E-mail").fill("ada@example.com")
    fill_address(plain)
    plain.get_by_role("button", name="Pay and place the order").click()

    expect(plain.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Order RS-"))
    assert sorted(event["type"] for event in qa.arrived()) == [2, 3, 4]


def test_a_listing_is_narrowed_sorted_and_paged_by_its_form_and_links(plain: Page) -> None:
    plain.goto("/search?q=mug")
    plain.goto("/")
    plain.locator(".site-nav summary").click()
    plain.locator(".nav-panel a").first.click()
    facets = plain.locator(".filters-toggle > summary")
    facets.click()
    plain.locator(".facet-values input[type=checkbox]").first.check()
    plain.get_by_role("button", name="Apply filters").click()

    assert "=" in plain.url
    expect(plain.locator("[data-widget=grid] [data-item-id]").first).to_be_visible()
