"""The console in a real browser: accessible at both widths and in both colours, usable by keyboard, and it works."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from shop_app.catalog.demo.logins import LOGINS
from tests.e2e.pages.shop import Visit

EMAIL, PASSWORD = next((email, password) for email, password, _, role in LOGINS if role == "owner")
PAGES = (
    "/admin/", "/admin/funnel", "/admin/attribution", "/admin/preview?slot=home.trending", "/admin/events", "/admin/products",
    "/admin/slots", "/admin/slots/home.top_picks", "/admin/event-types", "/admin/rules", "/admin/experiments", "/admin/experiments/new",
    "/admin/live", "/admin/guardrails", "/admin/regrets", "/admin/flags", "/admin/overrides", "/admin/segments", "/admin/profiles/new", "/admin/ranking",
    "/admin/policies", "/admin/policies/new", "/admin/bandits", "/admin/similarity", "/admin/funnel?by=audience",
    "/admin/orders", "/admin/members", "/admin/letters", "/admin/alerts", "/admin/delivery", "/admin/differences", "/admin/dead-letters", "/admin/audit",
)  # fmt: skip
PARTS = 5
"""Into so many tests the pages are dealt, so that none takes long."""


def signed_in(page: Page, base_url: str) -> Page:
    page.goto(f"{base_url}/admin/")
    page.get_by_label("E-mail").first.fill(EMAIL)
    page.get_by_label("Password", exact=True).first.fill(PASSWORD)
    page.get_by_role("button", name="Sign in").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    return page


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (375, "dark")])
def test_no_page_of_the_console_breaks_a_rule_of_accessibility_or_scrolls_sideways(
    browser: Browser, base_url: str, width: int, colours: str, part: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    signed_in(page, base_url)

    broken = {}
    for address in PAGES[part::PARTS]:
        page.goto(base_url + address)
        rules = [violation["id"] for violation in Axe().run(page).response["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            rules.append("scrolls sideways")
        if rules:
            broken[address] = rules
    context.close()

    assert broken == {}
    assert complaints == []


def test_a_slot_is_changed_by_keyboard_alone_and_brought_back(page: Page, base_url: str) -> None:
    signed_in(page, base_url).goto(f"{base_url}/admin/slots/home.trending")
    before = page.get_by_label("Title").input_value()

    page.get_by_label("Title").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("Loved this week")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved. The next page shows it.")).to_be_visible()
    page.goto(base_url)
    expect(page.get_by_role("heading", name="Loved this week")).to_be_visible()
    page.goto(f"{base_url}/admin/slots/home.trending")
    page.get_by_role("button", name="Bring back the delivered values").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_label("Title")).to_have_value(before)
    page.goto(base_url)
    expect(page.get_by_role("heading", name="Loved this week")).to_have_count(0)


def test_a_heavier_weight_moves_the_list(visit: Visit, base_url: str) -> None:
    page = visit.page
    visit.open("/")
    visit.accept_all()
    looked_at, bought = look_at_one_and_take_another(visit)
    signed_in(page, base_url)
    before = ranking(page, base_url)

    page.goto(f"{base_url}/admin/event-types")
    for name, weight in (("view", "100"), ("click", "0.001"), ("add", "0.001"), ("purchase", "0.001")):
        page.get_by_label(f"Weight of {name}").fill(weight)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The next list is ranked")).to_be_visible()

    after = ranking(page, base_url)
    assert before.index(bought) < before.index(looked_at)
    assert after.index(looked_at) < after.index(bought)


def look_at_one_and_take_another(visit: Visit) -> tuple[str, str]:
    """Two products of a department: the first is looked at three times, the second once and then taken. Their SKUs."""
    visit.page.goto("/departments")
    links = [str(a.get_attribute("href")).split("?")[0] for a in visit.page.locator("[data-item-id] a").all()[:2]]
    skus = []
    for link, times in zip(links, (3, 1), strict=True):
        for _ in range(times):
            visit.open(link)
        skus.append(str(visit.page.locator("[data-page-item]").get_attribute("data-page-item")))
    visit.add_to_basket(quantity=3)
    visit.qa.wait_until(lambda: len(visit.qa.get("events/all")) >= 5)
    visit.qa.post("drain")
    return skus[0], skus[1]


def ranking(page: Page, base_url: str) -> list[str]:
    page.goto(f"{base_url}/admin/preview?slot=home.trending&draft_k=24")
    return page.locator("[aria-labelledby=drafted] .trail-title .mono").all_inner_texts()
