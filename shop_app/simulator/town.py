"""A town of shoppers over some days: who comes when, and what the shop's keeper does in between."""

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from shop_app.simulator.browser import Browser, Door
from shop_app.simulator.shoppers import Offer, population
from shop_app.simulator.truth import Truth
from shop_app.simulator.visits import Goal, Person, Visit

EVENING_H, SPREAD_H = 18.0, 4.0
MOST_LISTING_PAGES = 4
"""So many pages of each department are read before the first shopper comes: what they know of the range."""
LONGEST_SLEEP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate. `speed`: simulated seconds a second, 0 = as fast as it goes. `run` names this run's events;
    `keenness` is added to everybody's log odds of clicking and buying.
    """

    seed: int
    shoppers: int
    start: datetime
    days: float
    speed: float = 0.0
    run: str = ""
    keenness: float = 0.0

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=self.days)


@dataclass(slots=True)
class Tally:
    """What was done."""

    visits: int = 0
    orders: int = 0
    events: int = 0


@dataclass(order=True, slots=True)
class _Coming:
    at: datetime
    number: int
    goal: Goal | None = field(default=None, compare=False)


@dataclass(slots=True)
class Town:
    """Shoppers and the shop. `open_door` gives each a browser's way in; `every_hour` is called as time goes."""

    plan: Plan
    host: str
    open_door: Callable[[int], Door]
    set_clock: Callable[[datetime], None]
    truth: Truth
    every_hour: Callable[[datetime], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)

    def live(self) -> Iterator[tuple[datetime, Tally]]:
        """Let the days pass; yields simulated time and the tally after each visit."""
        began = time.monotonic()
        self.set_clock(self.plan.start)
        knows, departments = self._read_range()
        people = self._people(departments)
        queue = [_Coming(self._first_visit(person), person.shopper.number) for person in people]
        heapq.heapify(queue)
        hour = self.plan.start
        while queue and queue[0].at < self.plan.end:
            coming = heapq.heappop(queue)
            hour = self._keep_shop(hour, coming.at)
            self._hold_back(began, coming.at)
            for then in self._visit(people[coming.number], coming, knows):
                heapq.heappush(queue, then)
            yield coming.at, self.tally
        self._keep_shop(hour, self.plan.end)
        self.set_clock(self.plan.end)

    def _people(self, departments: tuple[str, ...]) -> list[Person]:
        found = []
        for shopper in population(self.plan.seed, self.plan.shoppers, departments, self.plan.keenness):
            found.append(Person(shopper, Browser(self.open_door(shopper.number), self.host, shopper.user_agent)))
            self.truth.note(
                "shopper",
                shopper=shopper.number,
                likes=shopper.likes,
                price_limit_minor=shopper.price_limit_minor,
                bias=round(shopper.bias, 6),
                gap_days=round(shopper.gap / timedelta(days=1), 3),
                consent=shopper.consent,
            )
        return found

    def _visit(self, person: Person, coming: _Coming, knows: dict[str, Offer]) -> list[_Coming]:
        """One visit; returns when this person comes next, for nothing special and for what will have run out."""
        rng = Random(f"{self.plan.seed}:{person.shopper.number}:{person.visits}")
        self.set_clock(coming.at)
        visit = Visit(person, coming.at, rng, self.plan.run, knows, self.truth, self.set_clock)
        bought = visit.go(coming.goal)
        self.tally.visits += 1
        self.tally.orders += bool(bought)
        self.tally.events += visit.count
        then = [] if coming.goal else [_Coming(self._next_visit(visit.at, person, rng), coming.number)]
        lasts = person.shopper.runs_out
        if bought and lasts and bought[0] in knows:
            again = _at_evening(visit.at + lasts * rng.uniform(0.85, 1.15), rng)
            then.append(_Coming(again, coming.number, Goal(bought[0], knows[bought[0]].path)))
        return [one for one in then if one.at > visit.at]

    def _first_visit(self, person: Person) -> datetime:
        rng = Random(f"{self.plan.seed}:first:{person.shopper.number}")
        at = _at_evening(self.plan.start + person.shopper.gap * rng.random(), rng)
        return max(at, self.plan.start + timedelta(minutes=rng.uniform(1, 60)))

    def _next_visit(self, after: datetime, person: Person, rng: Random) -> datetime:
        at = _at_evening(after + person.shopper.gap * rng.expovariate(1), rng)
        return at if at > after + timedelta(hours=1) else at + timedelta(days=1)

    def _keep_shop(self, hour: datetime, until: datetime) -> datetime:
        while hour + timedelta(hours=1) <= until:
            hour += timedelta(hours=1)
            self.set_clock(hour)
            self.every_hour(hour)
        return hour

    def _hold_back(self, began: float, at: datetime) -> None:
        """Wait until real time has caught up with `speed` times simulated time."""
        if not self.plan.speed:
            return
        due = began + (at - self.plan.start).total_seconds() / self.plan.speed
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, LONGEST_SLEEP_S))

    def _read_range(self) -> tuple[dict[str, Offer], tuple[str, ...]]:
        """What everybody in town knows: the departments and the first pages of each."""
        browser = Browser(self.open_door(-1), self.host, "Mozilla/5.0 ShopSimulator/1.0 crawler")
        departments = tuple(sorted(browser.page("/").departments))
        knows: dict[str, Offer] = {}
        for department in departments:
            first = browser.page(department)
            more = sorted(first.pages, key=lambda href: (len(href), href))[: MOST_LISTING_PAGES - 1]
            for page in (first, *(browser.page(_beside(department, href)) for href in more)):
                for card in (card for shown in page.lists for card in shown.cards):
                    knows.setdefault(card.sku, card.offer(department))
        return knows, departments


def _beside(path: str, href: str) -> str:
    return path + href if href.startswith("?") else href


def _at_evening(moment: datetime, rng: Random) -> datetime:
    """The day of `moment` at an hour people shop."""
    hour = min(23.5, max(6.0, rng.gauss(EVENING_H, SPREAD_H)))
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=hour)
