"""Nothing on a page moves by itself: the sum of all layout shifts is exactly nought."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from scripts.local_shop import LocalShop
from scripts.tour import MEMBER, Tour, find_examples, sign_in
from tests.e2e.pages.qa import Qa

WATCH = """
window.shifts = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) {
    const box = rect => `${rect.width}x${rect.height} at ${rect.x},${rect.y}`;
    const name = node => node?.id || node?.className || node?.nodeName || '?';
    const what = entry.sources.map(s => `${name(s.node)}: ${box(s.previousRect)} -> ${box(s.currentRect)}`);
    window.shifts.push({value: entry.value, what});
  }
}).observe({type: 'layout-shift', buffered: true});
"""
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
ARRIVED = "() => !document.querySelector('.widget.htmx-request')"
SETTLED = "() => !document.querySelector('[data-widget-state=loading]')"


@pytest.fixture(scope="module", params=[375, 1280])
def member(request: pytest.FixtureRequest, browser: Browser, shop: LocalShop) -> Iterator[BrowserContext]:
    """Somebody with orders and something in the basket."""
    context = browser.new_context(viewport={"width": request.param, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(30_000)
    tour = Tour(context.new_page(), shop, find_examples(shop))
    sign_in(tour, MEMBER)
    tour.go(tour.examples.plain)
    tour.add_to_basket()
    context.add_init_script(WATCH)
    yield context
    context.close()


@pytest.mark.timeout(300)
@pytest.mark.ticket("RS-034", "RS-038")
@pytest.mark.parametrize("mode", ["normal", "slow", "failed", "empty"])
def test_nothing_moves(member: BrowserContext, shop: LocalShop, qa: Qa, mode: str) -> None:
    qa.post("recsys", mode=mode)
    examples = find_examples(shop)
    page = member.new_page()
    for path in ("/", examples.department, examples.plain, "/search?q=zzqx", "/cart", "/orders"):
        page.goto(shop.url + path)
        page.wait_for_function(SETTLED.replace("[data", "[hx-trigger^=load][data"))
        _walk_down(page)

        assert page.locator("section.widget").count(), f"no list on {path}"
        assert page.evaluate("() => shifts") == [], f"{path} moved"
    page.close()


@pytest.mark.timeout(300)
@pytest.mark.ticket("RS-038")
def test_a_list_that_cannot_be_had_leaves_all_in_its_place(member: BrowserContext, shop: LocalShop, qa: Qa) -> None:
    page = member.new_page()
    page.route("**/w/**", lambda route: route.abort())
    for path in ("/", find_examples(shop).plain):
        page.goto(shop.url + path)
        _walk_down(page)

        assert page.locator(".widget-failed").count(), f"no list failed on {path}"
        assert page.evaluate("() => shifts") == [], f"{path} moved"
    page.close()


def _walk_down(page: Page) -> None:
    """To the foot of the page by screens, waiting at each for what is on its way, as people do."""
    height = page.evaluate("() => document.body.scrollHeight")
    for top in range(0, height + 1, 700):
        page.evaluate("top => scrollTo({top, behavior: 'instant'})", top)
        page.evaluate(TWO_FRAMES)
        page.wait_for_function(ARRIVED)
        page.evaluate(TWO_FRAMES)
    page.wait_for_function(SETTLED)
    page.evaluate(TWO_FRAMES)
