"""The steps shoppers share, and the ledger of what each should have reported."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.e2e.pages.qa import Qa

KEY = ("type", "item_id", "surface", "widget", "rank", "request_id")
VIEW, CLICK, ADD, PURCHASE, CUSTOM = range(5)
SETTLED = "() => ![...document.querySelectorAll('[hx-trigger^=load][data-widget-state=loading]')].length"

CARDS_IN_VIEW = """() => {
  const half = (box, clip) => {
    const width = Math.min(box.right, clip.right) - Math.max(box.left, clip.left);
    const height = Math.min(box.bottom, clip.bottom) - Math.max(box.top, clip.top);
    return width > 0 && height > 0 ? width * height / (box.width * box.height) : 0;
  };
  const clipOf = (card) => {
    const list = card.closest('.carousel')?.getBoundingClientRect();
    const clip = {left: 0, top: 0, right: innerWidth, bottom: innerHeight};
    return list ? {left: Math.max(0, list.left), top: 0, right: Math.min(innerWidth, list.right), bottom: innerHeight} : clip;
  };
  return [...document.querySelectorAll('[data-widget] [data-item-id]')].filter(card => card.offsetParent).map(card => {
    const place = card.closest('[data-widget]').dataset;
    const shown = half(card.getBoundingClientRect(), clipOf(card));
    return {item: card.dataset.itemId, surface: place.surface, widget: place.widget, rank: +card.dataset.rank,
            request: place.requestId || null, recommended: card.dataset.recommended === 'true', shown};
  }).filter(seen => seen.rank > 0 && seen.shown > 0.02);
}"""
"""The oracle: geometry at rest, computed without the tracker's code."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A card as it stood on the page."""

    item: str
    surface: str
    widget: str
    rank: int
    request: str | None


@dataclass
class Visit:
    """One shopper in one browser. `expected` counts the events that must have reached Recsys, and no others may have."""

    page: Page
    qa: Qa
    expected: "Counter[tuple[Any, ...]]" = field(default_factory=Counter)
    _seen: "set[tuple[str, str]]" = field(default_factory=set)
    is_tracked: bool = True

    def open(self, path: str) -> None:
        """Go to a page and wait until everything above the fold has its list."""
        self.page.goto(path)
        self._arrived()

    def accept_all(self) -> None:
        """Agree in the banner."""
        self.page.get_by_role("button", name="Accept all").click()
        expect(self.page.get_by_role("button", name="Accept all")).to_have_count(0)
        self._arrived()

    def dwell(self) -> list[Seen]:
        """Stay until every card that is at least half visible has been reported; returns those cards."""
        self.page.wait_for_function(SETTLED)
        cards = self.page.evaluate(CARDS_IN_VIEW)
        assert all(not 0.48 < card["shown"] < 0.52 for card in cards), (
            "a card stands on the threshold: change the viewport"
        )
        seen = [Seen(c["item"], c["surface"], c["widget"], c["rank"], c["request"]) for c in cards if c["shown"] > 0.5]
        for card in seen:
            self._expect_impression(card)
        self.qa.wait_until(lambda: self.qa.logged_impressions() >= self._impressions_expected())
        return seen

    def meet(self, widget: str) -> Seen:
        """The first card of that widget, after looking around."""
        return next(card for card in self.dwell() if card.widget == widget)

    def follow(self, card: Seen) -> None:
        """Click that card."""
        self.expected[(CLICK, card.item, card.surface, card.widget, card.rank, card.request)] += self.is_tracked
        self.card(card).get_by_role("link").first.click()
        self.page.wait_for_url("**/products/**")
        self._arrived()

    def card(self, card: Seen) -> Locator:
        """Where that card stands on this page."""
        return self.page.locator(
            f'[data-surface="{card.surface}"][data-widget="{card.widget}"] [data-item-id="{card.item}"][data-rank="{card.rank}"]'
        )

    def add_to_basket(self, via: Seen | None = None, quantity: int = 1) -> None:
        """Press the button of a product page."""
        item = str(self.page.locator("[data-page-item]").get_attribute("data-page-item"))
        if quantity != 1:
            self.page.get_by_label("Quantity").fill(str(quantity))
        put_in_basket(self.page)
        place = (via.surface, via.widget, via.rank, via.request) if via else (None, None, None, None)
        self.expected[(ADD, item, *place)] += 1
        self._arrived()

    def check_out(self, *, email: str | None, method: str = "Test card that pays") -> None:
        """Fill the form as a stranger in London and pay."""
        self.open("/checkout")
        self.fill_checkout(email=email, method=method)
        self.page.get_by_role("button", name="Pay and place the order").click()

    def fill_checkout(self, *, email: str | None, method: str = "Test card that pays") -> None:
        """Fill the form that is open."""
        if email:
            self.page.get_by_label("E-mail").fill(email)
        if self.page.get_by_label("Another address").count():
            self.page.get_by_label("Another address").check()
        fill_address(self.page)
        self.page.get_by_label(method, exact=True).check()

    def expect_purchase(self, lines: "list[tuple[str, Seen | None]]") -> None:
        """The order page is open: one purchase a line with the place it was met at, and one summary of the order."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Order RS-"))
        self._arrived()
        for item, via in lines:
            place = (via.surface, via.widget, via.rank, via.request) if via else (None, None, None, None)
            self.expected[(PURCHASE, item, *place)] += 1
        self.expected[(CUSTOM, None, None, None, None, None)] += 1

    def assert_events(self) -> None:
        """What Recsys has is exactly what was expected: none missing, none more, none twice."""
        self.qa.wait_until(lambda: len(self.qa.get("events/all")) >= sum(self.expected.values()))
        arrived = Counter(_key(event) for event in self.qa.arrived())

        assert arrived - self.expected == Counter(), f"not expected: {arrived - self.expected}"
        assert self.expected - arrived == Counter(), f"missing: {self.expected - arrived}"
        assert self.qa.get("events/bad") == []

    def _arrived(self) -> None:
        """A page has loaded: a product page reports its view at once."""
        self.page.wait_for_function(SETTLED)
        self._seen.clear()
        item = self.page.evaluate("() => document.querySelector('[data-page-item]')?.dataset.pageItem ?? null")
        if item:
            self.expected[(VIEW, item, "pdp", None, None, None)] += self.is_tracked

    def _expect_impression(self, card: Seen) -> None:
        key = (card.request or card.surface + card.widget, card.item)
        if self.is_tracked and key not in self._seen:
            self._seen.add(key)
            self.expected[(VIEW, card.item, card.surface, card.widget, card.rank, card.request)] += 1

    def _impressions_expected(self) -> int:
        return sum(n for key, n in self.expected.items() if key[0] == VIEW and key[3])


def put_in_basket(page: Page) -> None:
    """Press the button of a product page, read the news, and go on to the basket."""
    page.get_by_role("button", name="Add to basket").click()
    page.get_by_role("link", name="View basket").click()
    page.wait_for_url("**/cart")


def fill_address(page: Page) -> None:
    """Somebody in London."""
    page.get_by_label("Full name").fill("Ada Byron")
    page.get_by_label("Street and number").fill("12 St James Square")
    page.get_by_label("Town or city").fill("London")
    page.get_by_label("Postcode").fill("SW1Y 4JH")


def _key(event: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(event[name] or (0 if name == "type" else None) for name in KEY)
