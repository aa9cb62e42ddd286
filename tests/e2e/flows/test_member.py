"""A member's journeys: signed in, with a history, buying again."""

import secrets

import pytest
from playwright.sync_api import Browser, Page, expect

from shop_app.catalog.demo.logins import LOGINS
from tests.e2e.pages.qa import Qa
from tests.e2e.pages.shop import Visit
from tests.e2e.pages.staff import Staff

MEMBER = LOGINS[0]


def sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(MEMBER[0])
    page.get_by_label("Password", exact=True).fill(MEMBER[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Sign in")


def empty_the_basket(page: Page) -> None:
    """The member's account is one for all tests: another may have left something."""
    page.goto("/cart")
    remove = page.locator("main").get_by_role("button", name="Remove")
    while left := remove.count():
        remove.first.click()
        expect(remove).to_have_count(left - 1)


@pytest.mark.ticket("RS-037", "RS-086")
def test_a_member_buys_again_from_the_orders_page(visit: Visit) -> None:
    sign_in(visit.page)
    empty_the_basket(visit.page)
    visit.qa.post("events/reset")
    visit.open("/orders")
    if visit.page.get_by_role("button", name="Accept all").count():
        visit.accept_all()
    widget = visit.page.locator("#w-orders-buy-again")
    widget.scroll_into_view_if_needed()
    expect(
        visit.page.locator(
            "#w-orders-buy-again[data-widget-state=ready], #w-orders-buy-again[data-widget-state=fallback]"
        )
    ).to_be_visible()
    first = next(card for card in visit.dwell() if card.widget == "buy_again")
    visit.follow(first)
    visit.add_to_basket(via=first)

    visit.check_out(email=None)

    visit.expect_purchase([(first.item, first)])
    visit.assert_events()
    users = {event["user_id"] for event in visit.qa.get("events/good")}
    assert len(users) == 1
    assert users.pop().startswith("u_")


@pytest.mark.ticket("RS-014")
def test_signing_in_takes_the_basket_along(visit: Visit, qa: Qa) -> None:
    visit.open("/")
    visit.accept_all()
    first = visit.meet("top_picks")
    title = visit.card(first).get_by_role("heading").inner_text()
    visit.follow(first)
    visit.add_to_basket(via=first)

    sign_in(visit.page)
    visit.page.goto("/cart")

    expect(visit.page.get_by_role("heading", name=title)).to_be_visible()
    keys = {event["user_id"] for event in qa.arrived()}
    assert {key[:2] for key in keys} == {"u_"}


@pytest.mark.ticket("RS-074")
def test_a_forgotten_password_is_replaced_by_the_link_in_the_letter(
    page: Page, browser: Browser, base_url: str
) -> None:
    email = f"forgetful-{secrets.token_hex(4)}@example.org"
    page.goto("/sign-up")
    page.get_by_label("Name").fill("Ada Byron")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill("maple-kettle-otter")
    page.locator("main").get_by_role("button", name="Create account").click()
    page.goto("/account")
    page.get_by_role("button", name="Sign out").first.click()

    page.goto("/sign-in")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_text("a link is on its way")).to_be_visible()
    staff = Staff(browser, base_url)
    staff.page.goto("/admin/letters")
    link = staff.page.locator("tr").filter(has_text=email).locator("td").last.inner_text()
    staff.context.close()
    page.goto(link)
    assert "token" not in page.url
    page.get_by_label("New password").fill("otter-kettle-maple")
    page.get_by_role("button", name="Change password").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill("otter-kettle-maple")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Sign in")

    page.goto(link)
    expect(page.get_by_text("used already, or is older than 30 minutes")).to_be_visible()
