"""Listings: what a department or a search holds, narrowed by facets, counted, sorted and cut into pages.

The rows of the whole department are read once and narrowed in memory: one read gives the list and every count, and the
answer for 5,000 products takes a few milliseconds.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import func, select

from shop_app.catalog.models import Brand, Category, Product
from shop_app.catalog.queries import ProductCard, cards_by_id, units_sold, within
from shop_app.extensions import db

PAGE_SIZE = 24
FACET_ORDER = ("brand", "colour", "material", "size")
SIZES = ("xxs", "xs", "s", "m", "l", "xl", "xxl", "xxxl", "one size")
SORTS = {
    "popular": "Most popular",
    "new": "Newest",
    "price-up": "Price, low to high",
    "price-down": "Price, high to low",
}


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What the address says about a listing. `chosen` maps a facet to its chosen values; prices are minor units."""

    chosen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    min_minor: int | None = None
    max_minor: int | None = None
    with_sold_out: bool = False
    sort: str = ""
    page: int = 1

    @property
    def is_empty(self) -> bool:
        """Nothing is narrowed."""
        return not self.chosen and self.min_minor is None and self.max_minor is None


@dataclass(frozen=True, slots=True)
class ListingRow:
    """What narrowing needs to know of one product. `relevance` is 0 outside a search."""

    product_id: int
    price_minor: int
    stock: int
    units: int
    relevance: float
    brand_name: str
    facets: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value to tick: `count` products would match it with the other facets as they are."""

    value: str
    label: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Facet:
    name: str
    label: str
    values: tuple[FacetValue, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a narrowed list. `lowest` and `highest` are the prices before narrowing, in minor units."""

    cards: list[ProductCard]
    total: int
    page: int
    pages: int
    facets: list[Facet]
    lowest: int
    highest: int
    sold_out: int


def category_rows(category_path: str, today: date) -> list[ListingRow]:
    """Every active product of a department and below it."""
    return _rows([within(category_path)], today, {})


def found_rows(relevance: Mapping[int, float], today: date) -> list[ListingRow]:
    """The active ones among the products a search found, with their relevance."""
    return _rows([Product.id.in_(list(relevance))], today, relevance) if relevance else []


def narrow(rows: Sequence[ListingRow], narrowing: Narrowing) -> Listing:
    """The page that `narrowing` asks for, and the counts of every facet."""
    rows = [row for row in rows if row.stock > 0 or narrowing.with_sold_out]
    matching = [row for row in rows if _matches(row, narrowing)]
    ordered = sorted(matching, key=_sort_key(narrowing.sort))
    pages = max(1, math.ceil(len(ordered) / PAGE_SIZE))
    page = min(max(1, narrowing.page), pages)
    prices = [row.price_minor for row in rows]
    return Listing(
        cards=cards_by_id([row.product_id for row in ordered[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]]),
        total=len(ordered),
        page=page,
        pages=pages,
        facets=_facets(rows, narrowing),
        lowest=min(prices, default=0),
        highest=max(prices, default=0),
        sold_out=sum(row.stock <= 0 for row in rows),
    )


def _rows(conditions: Iterable[Any], today: date, relevance: Mapping[int, float]) -> list[ListingRow]:
    sold = units_sold(today)
    query = (
        select(
            Product.id,
            Product.price_minor,
            Product.stock,
            func.coalesce(sold.c.units, 0),
            Brand.slug,
            Brand.name,
            Product.facets,
        )
        .join(Category, Category.id == Product.category_id)
        .outerjoin(Brand, Brand.id == Product.brand_id)
        .outerjoin(sold, sold.c.product_id == Product.id)
        .where(Product.status == "active", *conditions)
    )
    return [
        ListingRow(i, price, stock, units, relevance.get(i, 0.0), name or "", _with_brand(facets, slug))
        for i, price, stock, units, slug, name, facets in db.session.execute(query)
    ]


def _with_brand(facets: dict[str, list[str]], slug: str | None) -> dict[str, list[str]]:
    return {**facets, "brand": [slug]} if slug else facets


def _matches(row: ListingRow, narrowing: Narrowing, *, leaving_out: str = "") -> bool:
    """Any of the chosen values within a facet, all facets together."""
    if narrowing.min_minor is not None and row.price_minor < narrowing.min_minor:
        return False
    if narrowing.max_minor is not None and row.price_minor > narrowing.max_minor:
        return False
    return all(
        name == leaving_out or not values.isdisjoint(row.facets.get(name, ()))
        for name, values in narrowing.chosen.items()
    )


def _sort_key(sort: str) -> Any:
    """Sold-out ones last, then the asked order; ties by popularity, then newest."""
    keys: dict[str, Callable[[ListingRow], float]] = {
        "new": lambda row: -row.product_id,
        "price-up": lambda row: row.price_minor,
        "price-down": lambda row: -row.price_minor,
        "popular": lambda row: -row.units,
    }
    first = keys.get(sort) or _by_relevance
    return lambda row: (row.stock <= 0, first(row), -row.units, -row.product_id)


def _by_relevance(row: ListingRow) -> float:
    return -row.relevance


def _facets(rows: Sequence[ListingRow], narrowing: Narrowing) -> list[Facet]:
    names = {name for row in rows for name in row.facets}
    order = [*(n for n in FACET_ORDER if n in names), *sorted(names - set(FACET_ORDER))]
    found = [_facet(name, rows, narrowing) for name in order]
    return [facet for facet in found if len(facet.values) > 1 or any(v.is_chosen for v in facet.values)]


def _facet(name: str, rows: Sequence[ListingRow], narrowing: Narrowing) -> Facet:
    """Counts as if nothing were chosen in this facet, so that ticking a second value shows what it adds."""
    chosen = narrowing.chosen.get(name, frozenset())
    counts = Counter(
        value for row in rows if _matches(row, narrowing, leaving_out=name) for value in set(row.facets.get(name, ()))
    )
    counts.update(dict.fromkeys(chosen, 0))
    brands = {row.facets["brand"][0]: row.brand_name for row in rows if "brand" in row.facets}
    labels = brands if name == "brand" else {}
    values = [FacetValue(v, labels.get(v, v.capitalize()), n, v in chosen) for v, n in counts.items()]
    key = _size_key if name == "size" else (lambda v: (-v.count, v.label))
    return Facet(name, name.capitalize(), tuple(sorted(values, key=key)))


def _size_key(value: FacetValue) -> tuple[int, float, str]:
    """Letters from small to large, then numbers ascending."""
    lowered = value.value.lower()
    if lowered in SIZES:
        return (0, SIZES.index(lowered), lowered)
    number = re.search(r"\d+(\.\d+)?", lowered)
    return (1, float(number.group()) if number else math.inf, lowered)


def without(narrowing: Narrowing, name: str, value: str) -> Narrowing:
    """The narrowing with one value of a facet taken out."""
    left = narrowing.chosen.get(name, frozenset()) - {value}
    chosen = {n: v for n, v in narrowing.chosen.items() if n != name}
    return replace(narrowing, chosen={**chosen, name: left} if left else chosen, page=1)
