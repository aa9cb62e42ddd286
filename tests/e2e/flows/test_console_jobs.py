"""What people come to the console for, each from the first click to the effect in the shop."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.local_shop import LocalShop
from tests.e2e.pages.shop import Visit
from tests.e2e.pages.staff import OWNER, Staff


@pytest.fixture
def desk(browser: Browser, base_url: str):
    staff = Staff(browser, base_url)
    yield staff.page
    staff.context.close()


def confirm(page: Page) -> None:
    """Type the password again when the console asks for it."""
    if page.get_by_role("heading", name="Your password, please").count():
        page.get_by_label("Password").fill(OWNER[1])
        page.get_by_role("button", name="Go on").click()


def test_an_experiment_is_planned_started_seen_by_a_shopper_and_concluded(
    desk: Page, visit: Visit, shop: LocalShop
) -> None:
    desk.goto("/admin/experiments/new?slot=home.trending")
    desk.get_by_label("Key", exact=True).fill("fewer-cards")
    desk.get_by_label("Hypothesis").fill("Four cards are looked at more closely.")
    desk.get_by_label("Name").first.fill("four")
    desk.get_by_label("Cards").first.fill("4")
    desk.get_by_role("button", name="Store the plan").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text("fewer-cards")
    desk.get_by_role("button", name="Start").click()
    expect(desk.get_by_text("It runs.")).to_be_visible()

    visit.open("/")
    visit.accept_all()
    visit.open("/")
    section = visit.page.locator("#w-home-trending")
    section.scroll_into_view_if_needed()
    expect(section).to_have_attribute("data-experiment", "fewer-cards")
    assert section.get_attribute("data-ab-bucket") in {"control", "four"}
    visit.qa.wait_until(lambda: any(e["widget"] == "trending" for e in visit.qa.get("events/all")))

    desk.get_by_label("Why").fill("Seen enough.")
    desk.get_by_role("button", name="The decision is taken").click()
    confirm(desk)
    expect(desk.get_by_text("Every shopper has the control again.")).to_be_visible()
    visit.open("/")
    visit.page.locator("#w-home-trending").scroll_into_view_if_needed()
    expect(visit.page.locator("#w-home-trending[data-widget-state=ready]")).to_have_count(1)
    expect(visit.page.locator("#w-home-trending[data-experiment]")).to_have_count(0)
    with desk.expect_download() as report:
        desk.get_by_role("link", name="CSV").click()
    assert report.value.path().read_text(encoding="utf-8-sig").startswith('"variant","metric",')


def test_a_harmful_variant_is_stopped_by_hand_at_once(desk: Page) -> None:
    desk.goto("/admin/experiments/new?slot=search.rescue")
    desk.get_by_label("Key", exact=True).fill("no-rescue")
    desk.get_by_label("Hypothesis").fill("Nobody misses it.")
    desk.get_by_label("Name").first.fill("gone")
    desk.get_by_label("Not shown at all").first.check()
    desk.get_by_role("button", name="Store the plan").click()
    desk.get_by_role("button", name="Start").click()
    desk.get_by_label("Why").fill("People complain.")
    desk.get_by_role("button", name="Stop it").click()
    confirm(desk)

    expect(desk.get_by_text("People complain.")).to_be_visible()
    expect(desk.locator(".tag-bad", has_text="stopped")).to_be_visible()


def test_why_an_item_is_not_shown_leads_to_the_override_that_hides_it(desk: Page) -> None:
    desk.goto("/admin/preview?slot=home.trending")
    first = desk.locator(".trail-title .mono").first.inner_text()
    desk.goto(f"/admin/overrides?item={first}")
    desk.get_by_label("Do", exact=True).select_option("suppress")
    desk.get_by_label("Why", exact=True).fill("Its picture is wrong.")
    desk.get_by_role("button", name="Add override").click()
    expect(desk.get_by_text("Its picture is wrong.")).to_be_visible()

    desk.goto("/admin/preview?slot=home.trending")
    desk.get_by_label("Why not this SKU?").fill(first)
    desk.get_by_role("button", name="Show").click()
    expect(desk.get_by_role("status").filter(has_text=first)).to_contain_text("It falls out at the step")
    assert first not in desk.locator(".trail-title .mono").all_inner_texts()

    desk.goto("/admin/overrides")
    desk.get_by_role("button", name=re.compile(f"End it.*{re.escape(first)}")).click()
    expect(desk.get_by_text("The next list is without it.")).to_be_visible()


def test_the_lists_of_a_page_are_switched_off_and_brought_back_with_one_click(desk: Page, visit: Visit) -> None:
    visit.open("/")
    expect(visit.page.locator("#w-home-trending")).to_have_count(1)
    desk.goto("/admin/flags")
    desk.get_by_role("checkbox", name=re.compile("The front page")).uncheck()
    desk.get_by_role("button", name="Save").click()
    confirm(desk)
    expect(desk.get_by_text("Off now:")).to_be_visible()
    visit.qa.wait_until(lambda: "w-home-trending" not in visit.page.request.get("/").text())

    desk.get_by_role("button", name="Bring back everything").click()
    confirm(desk)
    expect(desk.get_by_text("Off now:")).to_have_count(0)
    visit.qa.wait_until(lambda: "w-home-trending" in visit.page.request.get("/").text())


def test_a_segment_with_its_profile_and_a_bandit_with_its_policies_are_made_by_form(desk: Page) -> None:
    desk.goto("/admin/profiles/new")
    desk.get_by_label("Key", exact=True).fill("wide")
    desk.get_by_label("Name", exact=True).fill("Wide")
    desk.get_by_label("Most of one brand").fill("1")
    desk.get_by_role("button", name="Try it first").click()
    expect(desk.get_by_role("heading", name="With this profile")).to_be_visible()
    desk.get_by_role("button", name="Save").click()
    desk.get_by_role("link", name="New segment").click()
    desk.get_by_label("Key", exact=True).fill("away")
    desk.get_by_label("Name", exact=True).fill("Long away")
    desk.get_by_label("Ranked with profile").select_option("wide")
    desk.get_by_label("Condition 1", exact=True).select_option("user.traits.last_seen")
    desk.get_by_label("Condition 1: how").select_option("gte_days_since")
    desk.get_by_label("Condition 1: what").fill("30")
    desk.get_by_role("button", name="Save").click()
    expect(desk.get_by_role("row", name=re.compile("^Long away"))).to_contain_text("last seen")

    for key, name, brands in (("plain", "As it is", ""), ("wide", "One of a brand", "1")):
        desk.goto("/admin/policies/new")
        desk.get_by_label("Key", exact=True).fill(key)
        desk.get_by_label("Name", exact=True).fill(name)
        desk.get_by_label("Most of one brand").fill(brands)
        desk.get_by_role("button", name="Save").click()
    desk.goto("/admin/bandits")
    desk.get_by_label("Slot").select_option("cart.also_like")
    desk.get_by_label("One of a brand").check()
    desk.get_by_role("button", name="Start it").click()
    expect(desk.get_by_text("A policy that does harm ends it by itself.", exact=False).first).to_be_visible()
    desk.get_by_role("button", name="End it on cart.also_like").click()
    expect(desk.get_by_text("ranked by its incumbent again")).to_be_visible()


def test_everything_is_sent_again_and_the_funnel_leaves_as_a_file(desk: Page) -> None:
    desk.goto("/admin/delivery")
    desk.get_by_label(re.compile("items|products", re.IGNORECASE)).first.check()
    desk.get_by_role("button", name=re.compile("again", re.IGNORECASE)).click()
    confirm(desk)
    expect(desk.get_by_text("Marked to be sent again:")).to_be_visible()

    desk.goto("/admin/funnel")
    with desk.expect_download() as table:
        desk.get_by_role("link", name="Download CSV").click()
    assert table.value.path().read_text(encoding="utf-8-sig").startswith('"surface","widget","impressions"')


def test_the_live_page_brings_new_figures_by_itself_and_can_be_paused(desk: Page, visit: Visit) -> None:
    desk.clock.install()
    desk.goto("/admin/live")
    views = desk.locator(".tile", has_text="Views").locator(".tile-figure")
    before = views.inner_text()
    visit.open("/")
    visit.accept_all()
    visit.open("/departments")
    visit.qa.wait_until(lambda: len(visit.qa.get("events/all")) >= 1)
    desk.clock.run_for(5_500)
    expect(views).not_to_have_text(before)

    desk.get_by_role("button", name="Pause").click()
    paused = views.inner_text()
    visit.open("/")
    desk.clock.run_for(11_000)
    expect(desk.get_by_role("button", name="Go on")).to_have_attribute("aria-pressed", "true")
    expect(views).to_have_text(paused)
