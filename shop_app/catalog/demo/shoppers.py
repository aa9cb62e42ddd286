"""Simulated shoppers with tastes of their own, and what they did in the weeks before "now".

A shopper likes two or three departments, a few houses and a price level, and runs out of coffee, soap or dog treats at
a pace of their own. A visit looks at things of one kind, sometimes takes one, and then what goes with it
(`complements.txt`): this is the truth that "bought together" should find again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from shop_app.catalog.demo.catalogue import kind_of
from shop_app.catalog.demo.deck import complements, houses, kind_named, kinds
from shop_app.catalog.importing.rows import EventRow, ProductRow
from shop_app.core.events import EventKind

WEEKS = 6
SHOPPERS = 400
GUEST_SHARE = 0.35
VISITS = (2, 11)
LOOKS = (2, 6)
EVENING_H, SPREAD_H = 19.5, 3.0
CLICK, ADD, BUY, COMPANION = 0.6, 0.45, 0.7, 0.6
"""Chances: a look began with a click, ends in the basket; a basket is bought; a companion of strength 1 is added."""
HOUSE_LIKED = 3.0
SHOPPER_TASTE = ("CMP", "KIT", "FOD")
"""What shopper@example.com likes: tents, kitchens, coffee."""
DEMO_SHOPPER = "shopper@example.com"


@dataclass(frozen=True, slots=True)
class Taste:
    """What one shopper likes. Shares sum to 1; `price_level` 0 (cheapest) to 1; `runs_out` are SKUs and days."""

    shopper: str
    departments: Mapping[str, float]
    houses: frozenset[str]
    price_level: float
    visits: int
    runs_out: tuple[tuple[str, float], ...]


class Street:
    """The shoppers of a demo: their tastes, and their events in order of time. The same seed gives the same street."""

    def __init__(self, catalogue: Sequence[ProductRow], seed: int, *, shoppers: int = SHOPPERS) -> None:
        self._seed = seed
        self._count = shoppers
        self._by_kind: dict[str, list[ProductRow]] = {}
        for row in catalogue:
            if row.status == "active" and row.stock > 0 and not row.components:
                self._by_kind.setdefault(kind_of(row.sku), []).append(row)
        rng = Random(f"{seed}:fame")
        self._fame = {row.sku: rng.lognormvariate(0, 0.8) for row in catalogue}

    def tastes(self) -> list[Taste]:
        """Everybody's, the demo shopper's first."""
        return [self._taste(number) for number in range(self._count)]

    def events(self, now: datetime) -> list[EventRow]:
        """What happened in the `WEEKS` before `now`, oldest first."""
        found = [event for taste in self.tastes() for event in self._life(taste, now)]
        return sorted(found, key=lambda event: (event.at, event.shopper, event.type, event.item))

    def _taste(self, number: int) -> Taste:
        rng = Random(f"{self._seed}:shopper:{number}")
        codes = sorted({kind.code for kind in kinds() if kind.key in self._by_kind})
        likes = rng.sample(codes, min(len(codes), rng.choice((2, 2, 3))))
        name = f"g{number:05d}" if rng.random() < GUEST_SHARE else f"m{number:05d}"
        if number == 0:
            name, likes = DEMO_SHOPPER, [code for code in SHOPPER_TASTE if code in codes] or likes
        weights = [rng.uniform(0.5, 2) for _ in likes]
        shares = {code: weight / sum(weights) for code, weight in zip(likes, weights, strict=True)}
        sellers = sorted(house.name for house in houses() if set(house.departments) & set(likes))
        return Taste(
            shopper=name,
            departments=shares,
            houses=frozenset(rng.sample(sellers, min(len(sellers), 4))),
            price_level=rng.random(),
            visits=VISITS[1] if number == 0 else rng.randint(*VISITS),
            runs_out=self._consumables(likes, rng),
        )

    def _consumables(self, likes: Sequence[str], rng: Random) -> tuple[tuple[str, float], ...]:
        usable = [k for k in kinds() if k.every_days and k.code in likes and k.key in self._by_kind]
        chosen = rng.sample(usable, min(len(usable), rng.choice((0, 1, 1, 2))))
        return tuple(
            (rng.choice(self._by_kind[kind.key]).sku, kind.every_days * rng.uniform(0.5, 0.9)) for kind in chosen
        )

    def _life(self, taste: Taste, now: datetime) -> Iterator[EventRow]:
        rng = Random(f"{self._seed}:life:{taste.shopper}")
        for visit in range(taste.visits):
            at = _evening(now, rng)
            yield from self._visit(taste, f"{taste.shopper}-v{visit}", at, rng)
        for sku, days in taste.runs_out:
            yield from self._refills(taste, sku, days, now, rng)

    def _visit(self, taste: Taste, basket: str, at: datetime, rng: Random) -> Iterator[EventRow]:
        kind = self._kind_today(taste, rng)
        taken: list[ProductRow] = []
        clock = _Ticker(at, rng)
        for row in self._looked_at(taste, kind, rng):
            if rng.random() < CLICK:
                yield _event(taste, EventKind.CLICK, row, clock.tick(), basket)
            yield _event(taste, EventKind.VIEW, row, clock.tick(), basket)
            if not taken and rng.random() < ADD:
                taken.append(row)
                yield _event(taste, EventKind.ADD, row, clock.tick(), basket)
        if taken:
            yield from self._companions(taste, kind, taken, clock=clock, basket=basket, rng=rng)
            yield from _checkout(taste, taken, clock, basket, rng)

    def _companions(
        self, taste: Taste, kind: str, taken: list[ProductRow], *, clock: "_Ticker", basket: str, rng: Random
    ) -> Iterator[EventRow]:
        for other, pull in sorted(complements().get(kind, {}).items()):
            if other in self._by_kind and rng.random() < COMPANION * pull:
                row = self._pick(taste, self._by_kind[other], rng)
                taken.append(row)
                yield _event(taste, EventKind.VIEW, row, clock.tick(), basket)
                yield _event(taste, EventKind.ADD, row, clock.tick(), basket)

    def _refills(self, taste: Taste, sku: str, days: float, now: datetime, rng: Random) -> Iterator[EventRow]:
        kind = kind_of(sku)
        row = next(row for row in self._by_kind[kind] if row.sku == sku)
        at = now - timedelta(weeks=WEEKS) + timedelta(days=rng.uniform(0, days))
        number = 0
        while at < now - timedelta(hours=1):
            basket, clock = f"{taste.shopper}-r{sku}-{number}", _Ticker(at, rng)
            taken = [row]
            yield _event(taste, EventKind.VIEW, row, clock.tick(), basket)
            yield _event(taste, EventKind.ADD, row, clock.tick(), basket)
            yield from self._companions(taste, kind, taken, clock=clock, basket=basket, rng=rng)
            yield from (_event(taste, EventKind.PURCHASE, bought, clock.tick(), basket) for bought in taken)
            at += timedelta(days=days * rng.uniform(0.85, 1.15))
            number += 1

    def _kind_today(self, taste: Taste, rng: Random) -> str:
        [code] = rng.choices(list(taste.departments), list(taste.departments.values()))
        return rng.choice([key for key in self._by_kind if kind_named(key).code == code])

    def _looked_at(self, taste: Taste, kind: str, rng: Random) -> list[ProductRow]:
        left = list(self._by_kind[kind])
        chosen = []
        for _ in range(min(len(left), rng.randint(*LOOKS))):
            row = self._pick(taste, left, rng)
            left.remove(row)
            chosen.append(row)
        return chosen

    def _pick(self, taste: Taste, rows: Sequence[ProductRow], rng: Random) -> ProductRow:
        """One of `rows` by fame × liked house × closeness of its price rank to the shopper's level."""
        prices = sorted(row.price_minor for row in rows)
        weights = []
        for row in rows:
            rank = prices.index(row.price_minor) / max(1, len(prices) - 1)
            fit = math.exp(-3 * abs(rank - taste.price_level))
            weights.append(self._fame[row.sku] * fit * (HOUSE_LIKED if row.brand in taste.houses else 1))
        return rng.choices(rows, weights)[0]


class _Ticker:
    """A visit's clock: 20 seconds to three minutes from one thing to the next."""

    def __init__(self, at: datetime, rng: Random) -> None:
        self._at, self._rng = at, rng

    def tick(self) -> datetime:
        self._at += timedelta(seconds=self._rng.randint(20, 180))
        return self._at


def _checkout(
    taste: Taste, taken: Sequence[ProductRow], clock: _Ticker, basket: str, rng: Random
) -> Iterator[EventRow]:
    if rng.random() < BUY:
        for row in taken:
            yield _event(taste, EventKind.PURCHASE, row, clock.tick(), basket)


def _evening(now: datetime, rng: Random) -> datetime:
    """A moment in the weeks before, more often lately and in the evening, at least an hour and a half ago."""
    days_ago = WEEKS * 7 * (1 - math.sqrt(rng.random()))
    at = (now - timedelta(days=days_ago)).replace(hour=0, minute=0, second=0, microsecond=0)
    at += timedelta(hours=min(23.5, max(6.0, rng.gauss(EVENING_H, SPREAD_H))))
    latest = now - timedelta(minutes=90)
    return at if at < latest else at - timedelta(days=1)


def _event(taste: Taste, kind: EventKind, row: ProductRow, at: datetime, basket: str) -> EventRow:
    return EventRow(taste.shopper, row.sku, int(kind), at, 1.0, basket, row.price_minor)
