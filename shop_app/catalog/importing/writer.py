"""Storing product rows in bulk: what is new is inserted, what differs is changed, what is the same is left alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from shop_app.catalog.importing.judging import ChangedRow, Judge, variants_of
from shop_app.catalog.importing.rows import ProductRow, RowError
from shop_app.catalog.models import Product, SearchPosting, Variant
from shop_app.catalog.search import posting_weights
from shop_app.catalog.services import (
    ProductDraft,
    VariantDraft,
    brand_named,
    category_at,
    change_product,
    create_product,
    merged_facets,
    slugify,
)
from shop_app.core.errors import Conflict, InvalidInput
from shop_app.extensions import db
from shop_app.outbox.services import mark_changed

BATCH = 400
"""Rows a transaction: below the bound variables of one SQLite statement, and short enough for others to get a turn."""


@dataclass(slots=True)
class Tally:
    """What an import did."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.created} created, {self.changed} changed, {self.unchanged} unchanged, {len(self.errors)} left out"
        )


class ProductWriter:
    """Stores batches of rows. One writer serves one import: it remembers brands, categories and SKUs."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._brands: dict[str, int | None] = {"": None}
        self._categories: dict[tuple[str, ...], int] = {}
        self._judge = Judge()

    def store(self, batch: Iterable[ProductRow | RowError], now: datetime) -> None:
        """Write a batch; the caller opens the transaction. Errors go into the tally."""
        judged = self._judge.judge(batch)
        self.tally.errors += judged.errors
        self.tally.unchanged += judged.unchanged
        for one in judged.changed:
            self._change(one, now)
        self._create([row for row in judged.created if not row.components], now)
        for bundle in (row for row in judged.created if row.components):
            self._create_bundle(bundle, now)

    def _change(self, one: ChangedRow, now: datetime) -> None:
        if self._try(one.row, lambda: change_product(one.row.sku, _draft(one.row), now)):
            self.tally.changed += 1

    def _create_bundle(self, row: ProductRow, now: datetime) -> None:
        if self._try(row, lambda: create_product(_draft(row), now)):
            self.tally.created += 1

    def _try(self, row: ProductRow, write: Any) -> bool:
        try:
            write()
        except InvalidInput as error:
            name, messages = next(iter(error.fields.items()))
            self.tally.errors.append(RowError(row.line, name, messages[0]))
        except Conflict as error:
            self.tally.errors.append(RowError(row.line, "sku", str(error)))
        else:
            return True
        return False

    def _create(self, rows: Sequence[ProductRow], now: datetime) -> None:
        if not rows:
            return
        slugs = _free_slugs(rows)
        values = [self._product_values(row, slugs[row.sku], now) for row in rows]
        returned = db.session.execute(insert(Product).returning(Product.sku, Product.id), values)
        ids: dict[str, int] = {sku: product_id for sku, product_id in returned}  # noqa: C416 - rows unpack, dict() does not type
        db.session.execute(insert(Variant), [v for row in rows for v in _variant_values(row, ids[row.sku])])
        postings = [p for row in rows if row.status == "active" for p in _posting_values(row, ids[row.sku])]
        if postings:
            db.session.execute(insert(SearchPosting), postings)
        mark_changed("item", ids.values(), now)
        self.tally.created += len(rows)

    def _product_values(self, row: ProductRow, slug: str, now: datetime) -> dict[str, Any]:
        return {
            "sku": row.sku,
            "slug": slug,
            "title": row.title,
            "description": row.description,
            "brand_id": self._brand_id(row.brand),
            "category_id": self._category_id(row.category),
            "price_minor": row.price_minor,
            "compare_at_minor": row.compare_at_minor,
            "currency": row.currency,
            "stock": row.stock,
            "status": row.status,
            "kind": row.kind,
            "facets": _facets(row),
            "image_urls": list(row.image_urls),
            "is_bundle": False,
            "created_at": now,
            "updated_at": now,
        }

    def _brand_id(self, name: str) -> int | None:
        if name not in self._brands:
            brand = brand_named(name)
            self._brands[name] = brand.id if brand else None
        return self._brands[name]

    def _category_id(self, names: tuple[str, ...]) -> int:
        if names not in self._categories:
            self._categories[names] = category_at(names).id
        return self._categories[names]


def batches(rows: Iterable[ProductRow | RowError], size: int = BATCH) -> Iterator[list[ProductRow | RowError]]:
    """Rows in lists of `size`; bundles wait for the end, when their parts exist."""
    batch: list[ProductRow | RowError] = []
    bundles: list[ProductRow | RowError] = []
    for row in rows:
        (bundles if isinstance(row, ProductRow) and row.components else batch).append(row)
        if len(batch) >= size:
            yield batch
            batch = []
    yield from (part for part in (batch, bundles) if part)


def _variant_values(row: ProductRow, product_id: int) -> list[dict[str, Any]]:
    return [
        {
            "product_id": product_id,
            "sku": variant.sku,
            "options": dict(variant.options),
            "price_minor": variant.price_minor,
            "stock": variant.stock,
            "position": position,
        }
        for position, variant in enumerate(variants_of(row))
    ]


def _posting_values(row: ProductRow, product_id: int) -> list[dict[str, Any]]:
    text = {
        "title": row.title,
        "brand": row.brand,
        "category": " ".join(row.category),
        "facets": " ".join(value for values in _facets(row).values() for value in values),
        "description": row.description,
    }
    return [
        {"term": term, "product_id": product_id, "weight": weight} for term, weight in posting_weights(text).items()
    ]


def _facets(row: ProductRow) -> dict[str, list[str]]:
    return merged_facets(row.facets, [variant.options for variant in row.variants])


def _free_slugs(rows: Sequence[ProductRow]) -> dict[str, str]:
    """The title's slug, with the SKU behind it when another product has it."""
    wanted = {row.sku: slugify(row.title)[:150] or slugify(row.sku) for row in rows}
    taken = set(db.session.scalars(select(Product.slug).where(Product.slug.in_(set(wanted.values())))))
    free = {}
    for sku, slug in wanted.items():
        free[sku] = f"{slug}-{slugify(sku)}"[:200] if slug in taken else slug
        taken.add(slug)
    return free


def _draft(row: ProductRow) -> ProductDraft:
    return ProductDraft(
        sku=row.sku,
        title=row.title,
        category=row.category,
        price_minor=row.price_minor,
        currency=row.currency,
        stock=row.stock,
        description=row.description,
        brand=row.brand,
        compare_at_minor=row.compare_at_minor,
        status=row.status,
        kind=row.kind,
        facets=row.facets,
        image_urls=row.image_urls,
        variants=[VariantDraft(v.sku, v.price_minor, v.stock, v.options) for v in row.variants],
        components=row.components,
    )
