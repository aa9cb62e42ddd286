"""Two parts of the storefront that answer the shopper at once: a list that failed, and the search box."""

import pytest
from playwright.sync_api import Page


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
