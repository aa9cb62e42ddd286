"""The demo catalogue: the decks and a seed in, product rows out. The same seed gives the same rows, byte for byte."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random

from shop_app.catalog.demo.deck import (
    Bundle,
    House,
    Kind,
    Model,
    bundles,
    collection_names,
    houses,
    kinds,
)
from shop_app.catalog.importing.rows import ProductRow, VariantRow

CURRENCY = "GBP"
PRODUCTS_PER_KIND = 7
MOST_COLOURS = 4
MANY_SIZES = 4
"""From this many sizes on, a product comes in two colours at most, so that it keeps a readable choice."""
OUT_OF_STOCK, DISCONTINUED, HIDDEN, REDUCED = 0.04, 0.02, 0.015, 0.12
"""Shares of the catalogue."""


def demo_catalogue(seed: int = 7, *, per_kind: int = PRODUCTS_PER_KIND) -> tuple[ProductRow, ...]:
    """All products of the demo shop, bundles last; `per_kind` 1 gives a small one for tests."""
    namer = _Namer(seed)
    rows = [row for kind in kinds() for row in _products(kind, per_kind, seed, namer)]
    return (*rows, *_bundle_rows(rows))


def kind_of(sku: str) -> str:
    """The kind's key in a demo SKU, empty when it is none of ours: `CMP-TENT-01` → `tent`."""
    word = sku.split("-")[1] if sku.count("-") > 1 else ""
    return _kinds_by_word().get(word, "")


@cache
def _kinds_by_word() -> dict[str, str]:
    return {_word(kind): kind.key for kind in kinds()}


def _word(kind: Kind) -> str:
    return kind.key.upper().replace("-", "")


class _Namer:
    """Gives each house its collection names in an order of its own, and never the same title twice."""

    def __init__(self, seed: int) -> None:
        self._left: dict[str, list[str]] = {}
        self._used: set[str] = set()
        self._seed = seed

    def title(self, house: House, model: Model) -> str:
        names = self._left.setdefault(house.name, self._shuffled(house))
        for name in names:
            title = f"{name} {model.title}"
            if title not in self._used:
                names.remove(name)
                self._used.add(title)
                return title
        raise ValueError(f"{house.name} has no collection name left: lengthen its list in names.txt")

    def _shuffled(self, house: House) -> list[str]:
        names = list(collection_names()[house.names])
        Random(f"{self._seed}:names:{house.name}").shuffle(names)
        return names


def _products(kind: Kind, per_kind: int, seed: int, namer: _Namer) -> Iterator[ProductRow]:
    rng = Random(f"{seed}:{kind.key}")
    sellers = [house for house in houses() if kind.code in house.departments]
    rng.shuffle(sellers)
    wanted = min(per_kind, len(kind.models)) if kind.is_plain else per_kind
    for number in range(1, wanted + 1):
        rounds, place = divmod(number - 1, len(kind.models))
        model, house = kind.models[place], sellers[(place + rounds) % len(sellers)]
        title = model.title if kind.is_plain else namer.title(house, model)
        yield _product(kind, model, house, title=title, number=number, rng=rng)


def _product(kind: Kind, model: Model, house: House, *, title: str, number: int, rng: Random) -> ProductRow:
    sku = f"{kind.code}-{_word(kind)}-{number:02d}"
    price = _price(kind, model, house, rng)
    colours = _colours(kind, rng)
    variants = _variants(sku, colours, kind.sizes, price, rng)
    status = _status(rng)
    was = _tidy(round(price * rng.uniform(1.15, 1.35))) if rng.random() < REDUCED else None
    return ProductRow(
        sku=sku,
        title=title,
        description=_description(kind, model, house, number, rng),
        brand=house.name,
        category=(kind.department, *kind.category),
        price_minor=min((v.price_minor for v in variants), default=price),
        compare_at_minor=was,
        currency=CURRENCY,
        stock=sum(v.stock for v in variants) if variants else _stock(rng),
        status=status,
        kind=model.shape,
        facets=_facets(kind, model, colours),
        variants=variants,
    )


def _price(kind: Kind, model: Model, house: House, rng: Random) -> int:
    """Geometric middle of the kind's range × model × house, ±8 %, kept inside the range; pence, tidied."""
    low, high = kind.price_range
    middle = (low * high) ** 0.5 * model.factor * house.factor * rng.uniform(0.92, 1.08)
    return _tidy(round(100 * min(max(middle, low), high)))


def _tidy(pence: int) -> int:
    """Shop-window endings: 3.25, 12.50, 47.00, 129.00."""
    step = 25 if pence < 1000 else 50 if pence < 2500 else 100 if pence < 10_000 else 500
    tidy = max(step, round(pence / step) * step)
    return tidy - 100 if step == 500 and tidy % 1000 == 0 else tidy


def _colours(kind: Kind, rng: Random) -> tuple[str, ...]:
    if not kind.colours:
        return ()
    most = 2 if len(kind.sizes) >= MANY_SIZES else MOST_COLOURS
    return tuple(rng.sample(kind.colours, rng.randint(min(2, len(kind.colours)), min(most, len(kind.colours)))))


def _variants(
    sku: str, colours: Sequence[str], sizes: Sequence[tuple[str, float]], price: int, rng: Random
) -> tuple[VariantRow, ...]:
    """Every colour in every size; empty when there is nothing to choose."""
    if not colours and not sizes:
        return ()
    sold_out = rng.random() < OUT_OF_STOCK
    found = []
    for colour in colours or ("",):
        for size, factor in sizes or (("", 1.0),):
            options = {name: value for name, value in (("colour", colour), ("size", size)) if value}
            tail = "-".join(re.sub(r"[^a-z0-9]", "", value.lower()) for value in options.values()).upper()
            stock = 0 if sold_out else _stock(rng)
            found.append(VariantRow(f"{sku}-{tail}", options, _tidy(round(price * factor)), stock))
    return tuple(found)


def _stock(rng: Random) -> int:
    """Mostly a few dozen, sometimes a handful, one in twenty-five gone."""
    return 0 if rng.random() < OUT_OF_STOCK else min(240, max(1, round(rng.lognormvariate(3.1, 0.8))))


def _status(rng: Random) -> str:
    draw = rng.random()
    return "discontinued" if draw < DISCONTINUED else "hidden" if draw < DISCONTINUED + HIDDEN else "active"


def _facets(kind: Kind, model: Model, colours: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    facets = {
        "colour": colours,
        "material": tuple(part.strip() for part in model.material.split(" and ")),
        "size": tuple(label for label, _ in kind.sizes),
    }
    return {name: values for name, values in facets.items() if values}


def _description(kind: Kind, model: Model, house: House, number: int, rng: Random) -> str:
    """Two to four sentences, in an order that differs from one product of a kind to the next."""
    detail, other = rng.sample(kind.details, 2)
    use = rng.choice(kind.uses)
    orders = (
        (model.text, detail, use),
        (model.text, house.voice, detail),
        (model.text, use),
        (model.text, detail, other, use),
        (model.text, detail),
        (model.text, use, detail),
        (model.text, other, house.voice),
    )
    if model.is_odd:
        return f"{model.text} {house.voice}"
    if number > len(kind.models):  # the model has been described once: come at it from the other side
        return f"{use} {model.text} {house.voice}"
    return " ".join(orders[(number + len(kind.key)) % len(orders)])


def _bundle_rows(rows: Sequence[ProductRow]) -> Iterator[ProductRow]:
    sold = [row for row in rows if row.status == "active" and row.stock > 0]
    for number, bundle in enumerate(bundles(), start=1):
        parts = [row for kind in bundle.kinds if (row := _first_of_kind(kind, sold))]
        if len(parts) == len(bundle.kinds):
            yield _bundle_row(bundle, parts, number)


def _first_of_kind(kind: str, rows: Sequence[ProductRow]) -> ProductRow | None:
    return next((row for row in rows if kind_of(row.sku) == kind), None)


def _bundle_row(bundle: Bundle, parts: Sequence[ProductRow], number: int) -> ProductRow:
    total = sum(part.price_minor for part in parts)
    department = next(kind.department for kind in kinds() if kind.code == bundle.code)
    return ProductRow(
        sku=f"{bundle.code}-SET-{number:02d}",
        title=bundle.title,
        description=bundle.text,
        brand=parts[0].brand,
        category=(department, bundle.category),
        price_minor=_tidy(round(total * (100 - bundle.saving_percent) / 100)),
        compare_at_minor=total,
        currency=CURRENCY,
        stock=min(40, *(part.stock for part in parts)),
        kind="+".join(part.kind for part in parts),
        facets={"type": ("bundle",)},
        components=tuple((part.sku, 1) for part in parts),
    )
