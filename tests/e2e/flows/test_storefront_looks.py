"""Two parts of the storefront that answer the shopper at once: a list that failed, and the search box."""

import pytest
from playwright.sync_api import Page

ITEMS = "cards => cards.map(card => card.dataset.itemId)"


@pytest.mark.ticket("RS-039")
def test_a_list_that_does_not_load_can_be_tried_again(page: Page, base_url: str) -> None:
    page.route("**/w/home.top_picks*", lambda route: route.abort())
    page.goto(base_url)
    widget = page.locator("#w-home-top-picks")
    again = widget.get_by_role("button", name="Try again")
    again.wait_for()
    height = widget.evaluate("element => element.getBoundingClientRect().height")

    page.unroute("**/w/home.top_picks*")
    again.click()
    page.locator("#w-home-top-picks[data-widget-state=ready]").wait_for()

    assert widget.evaluate("element => element.getBoundingClientRect().height") == height
    assert widget.locator(".card").count() == 8


@pytest.mark.ticket("RS-078")
@pytest.mark.parametrize("path", ["/", "/search?q=towel"])
def test_the_lists_of_a_page_repeat_none_of_each_others_products(page: Page, base_url: str, path: str) -> None:
    page.goto(base_url + path)
    if path != "/":
        page.locator("main .card a").first.click()
        page.wait_for_url("**/products/**")
    widgets = page.locator(".widget[data-widget-state]")
    for number in range(widgets.count()):
        widgets.nth(number).evaluate("widget => widget.scrollIntoView()")
    page.wait_for_function("() => !document.querySelector('[data-widget-state=loading]')")

    shown = [widgets.nth(n).locator("[data-item-id]").evaluate_all(ITEMS) for n in range(widgets.count())]
    filled = [items for items in shown if items]

    assert len(filled) >= 2
    assert sum(map(len, filled)) == len(set().union(*filled))


@pytest.mark.ticket("RS-040")
def test_the_search_box_is_worked_by_keyboard_alone(page: Page, base_url: str) -> None:
    page.goto(base_url)
    box = page.get_by_role("combobox", name="Search the shop")
    box.focus()
    page.keyboard.type("teapot", delay=30)
    options = page.get_by_role("option")
    options.first.wait_for()

    page.keyboard.press("ArrowDown")
    chosen = page.locator("[role=option][aria-selected=true]")

    assert box.get_attribute("aria-expanded") == "true"
    assert box.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
    page.keyboard.press("Escape")
    assert box.get_attribute("aria-expanded") == "false"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/products/**")
