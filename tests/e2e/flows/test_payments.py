"""Payments that fail, hesitate or come twice, and baskets that change under way: one order at most, exact events."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.pages.qa import Qa
from tests.e2e.pages.shop import Seen, Visit
from tests.e2e.pages.staff import Staff

pytestmark = pytest.mark.timeout(180)
EMAIL = "ada@example.com"
PATIENCE_MS = 30_000


@pytest.fixture
def chosen(visit: Visit) -> Seen:
    """The visitor has put a recommended product in the basket."""
    visit.page.set_default_timeout(PATIENCE_MS)
    visit.open("/")
    visit.accept_all()
    first = visit.meet("top_picks")
    visit.follow(first)
    visit.add_to_basket(via=first)
    return first


@pytest.fixture
def staff(browser: Browser, base_url: str, qa: Qa) -> Iterator[Staff]:
    staff = Staff(browser, base_url)
    qa.post("events/reset")
    yield staff
    staff.context.close()


def ordered(visit: Visit) -> int:
    visit.open("/orders")
    return visit.page.locator("section[aria-labelledby^=order-]").count()


@pytest.mark.ticket("RS-086")
def test_a_declined_card_keeps_the_basket_and_another_card_pays(visit: Visit, chosen: Seen) -> None:
    visit.check_out(email=EMAIL, method="Test card without money")
    expect(visit.page.get_by_role("alert")).to_contain_text("The bank said no")
    visit.open("/cart")
    expect(visit.page.locator(".cart-line")).to_have_count(1)
    visit.assert_events()

    visit.check_out(email=EMAIL)

    visit.expect_purchase([(chosen.item, chosen)])
    visit.assert_events()


@pytest.mark.ticket("RS-086")
def test_a_second_step_that_is_refused_buys_nothing_and_one_that_is_approved_buys_once(
    visit: Visit, chosen: Seen
) -> None:
    page = visit.page
    visit.check_out(email=EMAIL, method="Test card that asks for a second step")
    page.get_by_role("button", name="Refuse").click()
    page.wait_for_url("**/checkout")
    expect(page.get_by_role("alert")).to_contain_text("The bank said no")
    visit.assert_events()

    visit.check_out(email=EMAIL, method="Test card that asks for a second step")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url("**/orders/**")

    visit.expect_purchase([(chosen.item, chosen)])
    visit.assert_events()


@pytest.mark.ticket("RS-086")
def test_a_bank_that_answers_late_is_waited_for(visit: Visit, chosen: Seen) -> None:
    visit.check_out(email=EMAIL, method="Test card whose bank answers late, and pays")
    expect(visit.page.get_by_role("status").get_by_text("We are waiting for your bank")).to_be_visible()
    visit.qa.post("clock", advance_s=5)
    visit.page.wait_for_url("**/orders/**")

    visit.expect_purchase([(chosen.item, chosen)])
    visit.assert_events()


@pytest.mark.ticket("RS-086")
def test_a_form_sent_twice_is_one_order(visit: Visit, chosen: Seen) -> None:
    page = visit.page
    visit.check_out(email=EMAIL, method="Test card without money")
    expect(page.get_by_role("alert")).to_contain_text("The bank said no")
    page.get_by_label("Test card that pays", exact=True).check()
    form = page.locator("#checkout").evaluate("form => Object.fromEntries(new FormData(form))")

    page.get_by_role("button", name="Pay and place the order").dblclick()
    visit.expect_purchase([(chosen.item, chosen)])
    again = page.request.post("/checkout", form=form, headers={"Referer": f"{visit.qa.url}/checkout"})

    assert again.url.split("?")[0] == page.url.split("?")[0]
    assert ordered(visit) == 1
    visit.assert_events()


def test_a_price_that_moves_during_checkout_is_shown_before_anything_is_paid(
    visit: Visit, staff: Staff, chosen: Seen
) -> None:
    page = visit.page
    visit.open("/checkout")
    before = staff.change(chosen.item, "Price", "3.21")
    visit.fill_checkout(email=EMAIL)
    page.get_by_role("button", name="Pay and place the order").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged")
    visit.open("/cart")
    expect(page.locator(".cart-note-warn").first).to_contain_text("now £3.21")

    page.get_by_role("button", name="Understood").click()
    expect(page.get_by_text("Some prices have changed")).to_have_count(0)
    visit.check_out(email=EMAIL)

    visit.expect_purchase([(chosen.item, chosen)])
    visit.assert_events()
    bought = next(event for event in visit.qa.get("events/good") if event["type"] == 3)
    assert bought["meta"]["unit_price"] == 321
    staff.change(chosen.item, "Price", before)


def test_what_sells_out_during_checkout_is_named_and_not_bought(visit: Visit, staff: Staff, chosen: Seen) -> None:
    page = visit.page
    visit.open("/checkout")
    before = staff.change(chosen.item, "Stock", "0")
    visit.fill_checkout(email=EMAIL)
    page.get_by_role("button", name="Pay and place the order").click()
    page.wait_for_url("**/cart")

    expect(page.get_by_text("Sold out. Remove it to check out.")).to_be_visible()
    expect(page.get_by_role("link", name="Go to checkout")).to_have_count(0)
    visit.assert_events()
    staff.change(chosen.item, "Stock", before)
