"""A catalogue file through the console into the shop, and a shopper's "Not for me" onto the guardrail page."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.flows.test_console_jobs import confirm
from tests.e2e.pages.shop import Visit
from tests.e2e.pages.staff import Staff


@pytest.fixture
def desk(browser: Browser, base_url: str):
    staff = Staff(browser, base_url)
    yield staff.page
    staff.context.close()


def test_a_file_is_looked_at_stored_sold_and_sent(desk: Page, visit: Visit) -> None:
    rows = "sku,title,category,price,stock\nE2E-LAMP,A lamp from a file,Lights,24.50,3\nE2E-BAD,Bad,Lights,cheap,1\n"
    desk.goto("/admin/products")
    desk.get_by_role("link", name="Import products").click()
    file = {"name": "lamps.csv", "mimeType": "text/csv", "buffer": rows.encode()}
    desk.get_by_label("File").set_input_files(file)
    desk.get_by_role("button", name="Show what it changes").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("Import of lamps.csv")
    expect(desk.get_by_role("region", name="Refused rows")).to_contain_text("3")
    expect(desk.get_by_role("region", name="Refused rows")).to_contain_text("price")
    expect(desk.get_by_role("region", name="New products")).to_contain_text("A lamp from a file")
    visit.open("/search?q=lamp+from+a+file")
    expect(visit.page.get_by_role("link", name="A lamp from a file")).to_have_count(0)

    desk.get_by_role("button", name="Store 1 product").click()
    confirm(desk)

    expect(desk.get_by_text("1 created, 0 changed, 0 unchanged, 1 left out")).to_be_visible()
    visit.open("/search?q=lamp+from+a+file")
    expect(visit.page.get_by_role("link", name="A lamp from a file")).to_be_visible()
    visit.qa.post("drain")
    desk.goto("/admin/differences")
    expect(desk.get_by_text("No differences")).to_be_visible()
    desk.goto("/admin/audit")
    expect(desk.get_by_role("row").filter(has_text="catalog.import").first).to_contain_text("lamps.csv")


def test_not_for_me_is_said_in_place_and_without_javascript_and_seen_by_staff(
    desk: Page, visit: Visit, browser: Browser, base_url: str
) -> None:
    visit.open("/")
    visit.accept_all()
    visit.open("/")
    top_picks = visit.page.locator("#w-home-top-picks")
    top_picks.get_by_role("button", name="Not for me").click()
    expect(top_picks.get_by_text("Here are others.")).to_be_focused()

    plain = browser.new_context(java_script_enabled=False, base_url=base_url)
    page = plain.new_page()
    page.goto("/")
    page.get_by_role("link", name=re.compile("^See the list")).first.click()
    page.get_by_role("button", name="Not for me").click()
    expect(page.get_by_text("Thank you. We counted it.")).to_be_visible()
    plain.close()

    desk.goto("/admin/guardrails")
    heads = desk.locator("table").last.get_by_role("columnheader").all_inner_texts()
    assert heads[-1] == "Not for me"
    row = desk.get_by_role("row").filter(has_text="home.top_picks")
    expect(row.get_by_role("cell").last).to_contain_text(re.compile(r"^\s*[1-9][0-9.]* %"))


def test_a_report_is_printed_without_what_can_only_be_pressed(desk: Page) -> None:
    desk.goto("/admin/experiments/new?slot=orders.buy_again")
    desk.get_by_label("Key", exact=True).fill("on-paper")
    desk.get_by_label("Hypothesis").fill("Paper is patient.")
    desk.get_by_label("Name").first.fill("four")
    desk.get_by_label("Cards").first.fill("4")
    desk.get_by_role("button", name="Store the plan").click()
    desk.add_init_script("window.print = () => { window.printed = true; }")
    desk.reload()
    desk.get_by_role("button", name="Print").click()
    assert desk.evaluate("() => window.printed")

    desk.emulate_media(media="print")

    expect(desk.get_by_text("experiment on-paper, draft, read")).to_be_visible()
    expect(desk.get_by_role("navigation", name="Console")).to_be_hidden()
    expect(desk.get_by_role("button", name="Start")).to_be_hidden()
    assert desk.evaluate("() => getComputedStyle(document.body).colorScheme") == "light"
