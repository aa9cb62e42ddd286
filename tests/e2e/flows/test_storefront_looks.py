"""The storefront in a real browser: accessible in both widths and colours, and nothing ever jumps."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.e2e.pages.qa import Qa

SHIFT = """() => new Promise(resolve => {
  let total = 0;
  new PerformanceObserver(list => list.getEntries().forEach(entry => total += entry.value))
    .observe({type: 'layout-shift', buffered: true});
  setTimeout(() => resolve(total), 300);
})"""
SETTLED = "() => !document.querySelector('.widget[data-widget-state=loading]')"
LISTING = "/departments/kitchen-dining"


def product_path(page: Page, base_url: str) -> str:
    page.goto(f"{base_url}{LISTING}")
    return page.locator(".grid .card-title a").first.get_attribute("href") or ""


def scroll_through(page: Page) -> None:
    """Down by the wheel, as people do, until every list has had its turn."""
    for _ in range(page.evaluate("Math.ceil(document.documentElement.scrollHeight / 500)")):
        page.mouse.wheel(0, 500)
        page.wait_for_timeout(60)
    page.wait_for_function(SETTLED)


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_page_of_the_storefront_breaks_a_rule_of_accessibility(
    browser: Browser, base_url: str, width: int, colours: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=colours, reduced_motion="reduce"
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    addresses = ("/", LISTING, f"{LISTING}?colour=sage", "/search?q=teapot", "/search?q=qqqq",
                 product_path(page, base_url), "/recommendations/home.top_picks", "/nothing-here", "/styleguide")  # fmt: skip

    broken = {}
    for address in addresses:
        page.goto(base_url + address)
        scroll_through(page)
        rules = [violation["id"] for violation in Axe().run(page).response["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            rules.append("scrolls sideways")
        if rules:
            broken[address] = rules
    context.close()

    assert broken == {}
    assert complaints == []


@pytest.mark.ticket("RS-039")
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("mode", ["normal", "slow", "failed", "empty"])
def test_nothing_jumps_whatever_the_recommender_does(
    browser: Browser, base_url: str, qa: Qa, mode: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    qa.post("recsys", mode=mode)
    path = product_path(page, base_url)

    shifts = {}
    for address in ("/", LISTING, path, "/search?q=qqqq"):
        page.goto(base_url + address)
        scroll_through(page)
        shifts[address] = page.evaluate(SHIFT)
    context.close()

    assert shifts == dict.fromkeys(shifts, 0)


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
