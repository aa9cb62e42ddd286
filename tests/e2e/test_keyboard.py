"""The shop without a mouse: everything is reached, everything reached is seen, and nothing holds the focus."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.qa import Qa

FOCUSED = """() => {
  const element = document.activeElement;
  const label = element.labels?.[0]?.innerText || element.innerText || element.getAttribute('aria-label') || '';
  const ring = node => node && getComputedStyle(node).outlineStyle !== 'none';
  return {
    name: label.trim(), tag: element.tagName, id: element.id,
    isSeen: ring(element) || ring(element.closest('.card')) || ring(element.parentElement),
  };
}"""
MOST_STOPS = 200


@pytest.fixture
def keyed(page: Page) -> Page:
    page.set_default_timeout(30_000)
    return page


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is focused has that name; every stop on the way must show that it has the focus."""
    stops = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        stops.append(focused["name"])
        if focused["tag"] != "BODY":
            assert focused["isSeen"], f"no ring around {focused}"
        if re.search(name, focused["name"]):
            return
    raise AssertionError(f"{name} is not reached: {stops}")


def fill(page: Page, label: str, text: str) -> None:
    tab_to(page, f"^{label}")
    page.keyboard.type(text)


@pytest.mark.timeout(180)
@pytest.mark.ticket("RS-044")
def test_a_whole_purchase_with_the_keyboard_alone(keyed: Page, base_url: str, qa: Qa) -> None:
    keyed.goto(base_url)
    tab_to(keyed, "^Essential only")
    with keyed.expect_navigation():
        keyed.keyboard.press("Enter")
    tab_to(keyed, "^Search the shop")
    keyed.keyboard.type("teapot")
    keyed.get_by_role("option").first.wait_for()
    keyed.keyboard.press("ArrowDown")
    keyed.keyboard.press("Enter")
    keyed.wait_for_url("**/products/**")
    tab_to(keyed, "^Add to basket")
    keyed.keyboard.press("Space")
    expect(keyed.locator("#cart-link .count")).to_be_visible()
    keyed.goto(f"{base_url}/cart")
    tab_to(keyed, "^Go to checkout")
    keyed.keyboard.press("Enter")
    keyed.wait_for_url("**/checkout")

    fill(keyed, "E-mail", "ada@example.com")
    fill(keyed, "Full name", "Ada Byron")
    fill(keyed, "Street and number", "12 St James Square")
    fill(keyed, "Town or city", "London")
    fill(keyed, "Postcode", "SW1Y 4JH")
    tab_to(keyed, "^Standard")
    keyed.keyboard.press("ArrowDown")
    expect(keyed.get_by_label("Express delivery")).to_be_checked()
    tab_to(keyed, "^Pay and place the order")
    keyed.keyboard.press("Enter")

    expect(keyed.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Order RS-"), timeout=30_000)
    assert sorted(event["type"] for event in qa.arrived()) == [2, 3, 4]


@pytest.mark.ticket("RS-044")
def test_the_first_stop_leads_past_the_header_and_the_last_leads_out(keyed: Page, base_url: str) -> None:
    keyed.goto(f"{base_url}/help/delivery")
    keyed.keyboard.press("Tab")
    assert keyed.evaluate(FOCUSED)["name"] == "Skip to the content"

    keyed.keyboard.press("Enter")
    keyed.keyboard.press("Tab")

    assert keyed.evaluate("() => !document.querySelector('header').contains(document.activeElement)")
    tab_to(keyed, "^Choose$")
    keyed.keyboard.press("Tab")
    assert keyed.evaluate(FOCUSED)["tag"] == "BODY", "the focus left the page"


@pytest.mark.ticket("RS-034", "RS-044")
def test_the_arrows_of_a_list_move_it(keyed: Page, base_url: str) -> None:
    keyed.goto(base_url)
    expect(keyed.locator("#w-home-top-picks[data-widget-state]")).not_to_have_attribute("data-widget-state", "loading")
    at_rest = keyed.locator("#w-home-top-picks-list").evaluate("list => list.scrollLeft")

    tab_to(keyed, "^Scroll on")
    keyed.keyboard.press("Enter")

    keyed.wait_for_function("rest => document.querySelector('#w-home-top-picks-list').scrollLeft > rest", arg=at_rest)
    expect(keyed.get_by_role("button", name="Scroll back").first).to_have_attribute("aria-disabled", "false")


def test_the_departments_open_and_close_again(keyed: Page, base_url: str) -> None:
    keyed.goto(base_url)
    tab_to(keyed, "^All departments")
    keyed.keyboard.press("Enter")
    expect(keyed.locator(".nav-panel a").first).to_be_visible()

    keyed.keyboard.press("Escape")

    expect(keyed.locator(".nav-panel a").first).to_be_hidden()
    assert keyed.evaluate(FOCUSED)["name"] == "All departments"
