"""One visit: what is opened, what comes into view, what is clicked, kept and bought. Every draw comes from one rng."""

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from urllib.parse import quote_plus

from shop_app.simulator.browser import Answer, Browser
from shop_app.simulator.pages import Card, Page, Shown
from shop_app.simulator.shoppers import Offer, Shopper
from shop_app.simulator.truth import Truth

LANDINGS = (("home", 0.6), ("department", 0.3), ("search", 0.1))
MOST_PAGES = 8
"""A visit ends after this many pages, whatever there is to see."""
SCROLLS_DOWN = 0.7
"""Chance that the lists below the fold are reached."""
SURE = 0.95
"""Somebody who came to buy something again does."""
CARDS = (("card_ok", 0.9), ("card_declined", 0.04), ("card_challenge", 0.06))
READING_S = (8, 60)
ADDRESS = {
    "full_name": "Sim Shopper",
    "line1": "1 Model Road",
    "city": "Testing",
    "postcode": "SW1A 1AA",
    "country": "GB",
}
MAIL_DOMAIN = "simulated.example"
"""Orders of simulated shoppers are told by their address."""
_ORDER = re.compile(r"/orders/(RS-[A-Z0-9-]+)")


@dataclass(slots=True)
class Person:
    """A shopper with their browser and what they remember: what is in the basket, whether they chose about tracking."""

    shopper: Shopper
    browser: Browser
    has_chosen: bool = False
    visits: int = 0
    basket: list[dict[str, object]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Goal:
    """A product somebody comes back for."""

    sku: str
    path: str


@dataclass(slots=True)
class Visit:
    """A visit under way. `knows` maps SKU → what was read about it; `set_clock` moves the shop's time."""

    person: Person
    at: datetime
    rng: Random
    run: str
    knows: Mapping[str, Offer]
    truth: Truth
    set_clock: Callable[[datetime], None]
    events: list[dict[str, object]] = field(default_factory=list)
    count: int = 0

    def go(self, goal: Goal | None) -> list[str]:
        """Do it all; returns the SKUs bought."""
        self.person.visits += 1
        who = self.person.shopper
        self.truth.note("visit", shopper=who.number, visit=self.person.visits, at=self._stamp(), goal=goal and goal.sku)
        waiting: deque[tuple[str, Card | None, Shown | None]] = deque()
        waiting.append((goal.path if goal else self._landing(), None, None))
        pages = 0
        while waiting and pages < MOST_PAGES:
            path, card, place = waiting.popleft()
            page = self._open(path)
            pages += 1
            if page.item:
                self._look_at_product(page, card, place, is_goal=goal is not None and pages == 1)
            waiting.extend(self._look_at_lists(page))
            self._report()
        return self._check_out(is_goal=goal is not None)

    def _landing(self) -> str:
        who = self.person.shopper
        kind = self.rng.choices([name for name, _ in LANDINGS], [share for _, share in LANDINGS])[0]
        if kind == "department" and who.likes:
            return self.rng.choice(who.likes)
        if kind == "search" and self.knows:
            house = self.knows[self.rng.choice(sorted(self.knows))].house
            return f"/search?q={quote_plus(house)}" if house else "/"
        return "/"

    def _open(self, path: str) -> Page:
        self._pass(self.rng.randint(*READING_S))
        page = self.person.browser.page(path)
        if not self.person.has_chosen:
            self._choose(page)
        for position, address in enumerate(page.slots):
            if position == 0 or self.rng.random() < SCROLLS_DOWN:
                page.lists += self.person.browser.fragment(address).lists
        return page

    def _choose(self, page: Page) -> None:
        """Answer the question about tracking once, as this shopper answers it."""
        form = page.form("/consent")
        if form is None:
            return
        choice = {"all": {"choice": "all"}, "analytics": {"analytics": "on"}, "none": {"choice": "essential"}}
        self.person.browser.post("/consent", form.fields | choice[self.person.shopper.consent])
        self.person.has_chosen = True

    def _look_at_lists(self, page: Page) -> list[tuple[str, Card | None, Shown | None]]:
        """Note what came into view and what is clicked, in the order of the page; a click opens a product later."""
        opened: list[tuple[str, Card | None, Shown | None]] = []
        for shown in page.lists:
            for card in shown.cards[: self._in_view()]:
                if card.rank < 1:
                    continue
                if self._see(card, shown):
                    opened.append((card.href, card, shown))
        return opened

    def _in_view(self) -> int:
        cards = self.person.shopper.window
        while cards < 48 and self.rng.random() < self.person.shopper.scroll:
            cards += self.person.shopper.window
        return cards

    def _see(self, card: Card, shown: Shown) -> bool:
        """One card in view; True when it is clicked."""
        who = self.person.shopper
        chance = who.click_chance(self._offer(card), card.rank)
        is_clicked = self.rng.random() < chance
        event = self._event("view", card, shown) | {"kind": "impression"}
        self.truth.note(
            "seen",
            shopper=who.number,
            at=self._stamp(),
            id=event["id"],
            surface=shown.surface,
            widget=shown.widget,
            request_id=shown.request_id,
            experiment=shown.experiment,
            bucket=shown.bucket,
            rank=card.rank,
            sku=card.sku,
            chance=round(chance, 9),
            clicked=is_clicked,
            reported=who.consent != "none",
        )
        self.events.append(event)
        if is_clicked:
            self._pass(2)
            self.events.append(self._event("click", card, shown) | {"href": card.href.partition("?")[0]})
        return is_clicked

    def _look_at_product(self, page: Page, card: Card | None, place: Shown | None, *, is_goal: bool) -> None:
        who = self.person.shopper
        offer = self.knows.get(page.item) or Offer(page.item, "", 0)
        if card is not None:
            offer = self._offer(card)
        self.events.append({"id": self._id(), "type": "view", "item_id": page.item, "surface": page.surface or "pdp"})
        self.events[-1]["created_at"] = self._ms()
        chance = SURE if is_goal else who.add_chance(offer)
        takes = self.rng.random() < chance
        self.truth.note("viewed", shopper=who.number, at=self._stamp(), sku=page.item, chance=round(chance, 9))
        form = page.form("/cart/lines")
        if takes and form is not None:
            self._pass(5)
            self._report()
            answer = self.person.browser.post("/cart/lines", form.fields | {"quantity": "1"})
            self._added(answer, page.item, form.fields, place)

    def _added(self, answer: Answer, sku: str, fields: Mapping[str, str], place: Shown | None) -> None:
        if answer.status >= 400:
            self.truth.note("refused", shopper=self.person.shopper.number, what="add", status=answer.status, sku=sku)
            return
        line: dict[str, object] = {"sku": sku, "variant": fields.get("sku", ""), "via": fields.get("via", "")}
        line["request_id"] = place.request_id if place else ""
        self.person.basket.append(line)
        self.truth.note("added", shopper=self.person.shopper.number, at=self._stamp(), **line)

    def _check_out(self, *, is_goal: bool) -> list[str]:
        if not self.person.basket or self.rng.random() >= (SURE if is_goal else self.person.shopper.resolve):
            return []
        self._look_at_lists(self._open("/cart"))
        self._report()
        method = self.rng.choices([name for name, _ in CARDS], [share for _, share in CARDS])[0]
        number = self._pay(method) or self._pay("card_ok")
        if not number:
            return []
        bought = [str(line["sku"]) for line in self.person.basket]
        self.truth.note(
            "ordered", shopper=self.person.shopper.number, at=self._stamp(), number=number, lines=self.person.basket
        )
        self.person.basket = []
        return bought

    def _pay(self, method: str) -> str:
        """Fill in the checkout; the order's number, or nothing when it came to nothing."""
        form = self._open("/checkout").form("/checkout")
        if form is None:
            return ""
        email = f"shopper-{self.run}-{self.person.shopper.number}@{MAIL_DOMAIN}"
        fields = form.fields | ADDRESS | {"email": email, "delivery": "standard", "method": method, "address": "new"}
        self._pass(40)
        answer = self.person.browser.post("/checkout", fields)
        if answer.location.startswith("/payments/sandbox/"):
            answer = self._approve(answer.location)
        found = _ORDER.search(answer.location)
        if found is None:
            self.truth.note("refused", shopper=self.person.shopper.number, what=method, status=answer.status, sku="")
        return found[1] if found else ""

    def _approve(self, path: str) -> Answer:
        """The bank's second step, then back to the shop, which asks the bank."""
        form = self.person.browser.page(path).form(path)
        fields = form.fields if form else {}
        back = self.person.browser.post(path, fields | {"answer": "approve"}).location
        waiting = self.person.browser.page(back).form(back)
        return self.person.browser.post(back, waiting.fields if waiting else {})

    def _report(self) -> None:
        """Send what the tracker holds; somebody who said no has no tracker."""
        events, self.events = self.events, []
        if not events or self.person.shopper.consent == "none":
            return
        answer = self.person.browser.beacon(self._ms(), events)
        if answer.status != 202:
            self.truth.note("refused", shopper=self.person.shopper.number, what="beacon", status=answer.status, sku="")

    def _event(self, kind: str, card: Card, shown: Shown) -> dict[str, object]:
        event: dict[str, object] = {
            "id": self._id(),
            "type": kind,
            "item_id": card.sku,
            "surface": shown.surface,
            "widget": shown.widget,
            "rank": card.rank,
            "recommended": card.is_recommended,
            "created_at": self._ms(),
        }
        optional = {"request_id": shown.request_id, "experiment": shown.experiment, "ab_bucket": shown.bucket}
        return event | {name: value for name, value in optional.items() if value}

    def _offer(self, card: Card) -> Offer:
        """What is known of a product: its department and price from the listings, else what the card says."""
        known = self.knows.get(card.sku)
        return replace(known, path=card.href.partition("?")[0]) if known else card.offer()

    def _id(self) -> str:
        self.count += 1
        return f"sim-{self.run}-{self.person.shopper.number}-{self.person.visits}-{self.count}"

    def _pass(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.set_clock(self.at)

    def _ms(self) -> int:
        return round(self.at.timestamp() * 1000)

    def _stamp(self) -> str:
        return self.at.isoformat(timespec="seconds")
