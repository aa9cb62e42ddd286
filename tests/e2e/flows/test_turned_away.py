"""“Not for me”: others at once, without a mouse and without JavaScript, an Undo, and every card seen counted once."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.pages.shop import Visit
from tests.e2e.test_layout_shift import WATCH


def items(where: Locator) -> list[str]:
    return where.locator("[data-item-id]").evaluate_all("cards => cards.map(card => card.dataset.itemId)")


def top_picks(visit: Visit) -> tuple[list[str], str | None, dict[str, float] | None]:
    """What the list shows, as which answer, and where on the page."""
    section = visit.page.locator("#w-home-top-picks")
    return items(section), section.get_attribute("data-request-id"), section.bounding_box()


@pytest.mark.ticket("RS-058", "RS-040")
def test_others_come_and_go_by_the_keyboard_and_each_answer_s_cards_are_counted_once(visit: Visit) -> None:
    visit.page.add_init_script(WATCH)
    visit.open("/")
    visit.accept_all()
    visit.open("/")
    section, page = visit.page.locator("#w-home-top-picks"), visit.page
    visit.dwell()
    first, first_answer, first_box = top_picks(visit)

    section.get_by_role("button", name="Not for me").focus()
    page.keyboard.press("Enter")
    expect(section.get_by_role("status")).to_be_focused()
    expect(section.get_by_role("status")).to_have_text("Here are others.")
    second, second_answer, second_box = top_picks(visit)
    visit.dwell()

    assert len(first) == len(second)
    assert set(first) & set(second) == set()
    assert second_answer not in {None, first_answer}
    assert second_box == first_box

    page.keyboard.press("Tab")
    expect(section.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(section.get_by_role("status")).to_be_focused()
    expect(section.get_by_role("status")).to_have_text("They are back.")
    assert top_picks(visit) == (first, first_answer, first_box)
    visit.dwell()

    page.keyboard.press("Tab")
    expect(section.get_by_role("button", name="Not for me")).to_be_focused()
    page.keyboard.press("Enter")
    expect(section.get_by_role("status")).to_have_text("Here are others.")
    assert page.evaluate("() => shifts") == []
    visit.dwell()
    visit.open("/")
    later, _, _ = top_picks(visit)
    visit.dwell()

    assert set(first) & set(later) == set()
    visit.assert_events()


@pytest.mark.ticket("RS-038")
def test_they_stay_away_while_the_recommender_does_not_answer(visit: Visit) -> None:
    visit.open("/")
    visit.accept_all()
    visit.open("/")
    section = visit.page.locator("#w-home-top-picks")
    first = items(section)
    section.get_by_role("button", name="Not for me").click()
    expect(section.get_by_text("Here are others.")).to_be_focused()

    visit.qa.post("recsys", mode="failed")
    visit.open("/")

    expect(section).to_have_attribute("data-widget-state", "fallback")
    assert set(first) & set(items(section)) == set()


def test_without_javascript_the_list_s_page_has_others_and_an_undo(browser: Browser, base_url: str) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=base_url, viewport={"width": 375, "height": 800})
    context.set_default_timeout(10_000)
    page: Page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name="Accept all").click()
    page.get_by_role("link", name=re.compile("^See the list")).first.click()
    first = items(page.locator("main"))

    page.get_by_role("button", name="Not for me").click()
    expect(page.get_by_text("Here are others. This list leaves those out for 30 days.")).to_be_visible()
    assert first
    assert set(first) & set(items(page.locator("main"))) == set()

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("They may come back.")).to_be_visible()
    assert set(first) & set(items(page.locator("main"))) != set()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    context.close()
