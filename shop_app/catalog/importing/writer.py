"""Storing product rows in bulk: what is new is inserted, what differs is changed, what is the same is left alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import joinedload, selectinload

from shop_app.catalog.importing.rows import ProductRow, RowError, VariantRow
from shop_app.catalog.models import BundleComponent, Product, SearchPosting, Variant
from shop_app.catalog.search import posting_weights
from shop_app.catalog.services import (
    ProductDraft,
    VariantDraft,
    brand_named,
    category_at,
    change_product,
    create_product,
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
        self._lines: dict[str, int] = {}

    def store(self, batch: Iterable[ProductRow | RowError], now: datetime) -> None:
        """Write a batch; the caller opens the transaction. Errors go into the tally."""
        rows = list(self._usable(batch))
        known = self._stored([row.sku for row in rows])
        fresh = [row for row in rows if row.sku not in known]
        self._change([row for row in rows if row.sku in known], known, now)
        self._create([row for row in fresh if not row.components], now)
        for bundle in (row for row in fresh if row.components):
            self._create_bundle(bundle, now)

    def _usable(self, batch: Iterable[ProductRow | RowError]) -> Iterator[ProductRow]:
        for row in batch:
            if isinstance(row, RowError):
                self.tally.errors.append(row)
            elif row.sku in self._lines:
                problem = f"{row.sku} was on line {self._lines[row.sku]} already"
                self.tally.errors.append(RowError(row.line, "sku", problem))
            else:
                self._lines[row.sku] = row.line
                yield row

    @staticmethod
    def _stored(skus: Sequence[str]) -> dict[str, Product]:
        whole = (joinedload(Product.brand), joinedload(Product.category), selectinload(Product.variants))
        found = db.session.scalars(select(Product).where(Product.sku.in_(skus)).options(*whole))
        return {product.sku: product for product in found}

    def _change(self, rows: Sequence[ProductRow], known: dict[str, Product], now: datetime) -> None:
        components = _stored_components([product.id for product in known.values() if product.is_bundle])
        for row in rows:
            product = known[row.sku]
            wanted = row if row.has_stock else replace(row, stock=product.stock)
            if _facts_of_row(wanted) == _facts_of_product(product, components.get(product.id, {})):
                self.tally.unchanged += 1
            elif self._try(row, lambda p=product, w=wanted: change_product(p.sku, _draft(w), now)):
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
        rows = self._without_taken_variants(rows)
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

    def _without_taken_variants(self, rows: Sequence[ProductRow]) -> list[ProductRow]:
        """Leave out rows whose variants' SKUs belong to another product."""
        skus = [variant.sku for row in rows for variant in _variants(row)]
        seen: set[str] = set()
        for start in range(0, len(skus), BATCH):
            part = skus[start : start + BATCH]
            seen.update(db.session.scalars(select(Variant.sku).where(Variant.sku.in_(part))))
        free = []
        for row in rows:
            own = [variant.sku for variant in _variants(row)]
            taken = next((sku for place, sku in enumerate(own) if sku in seen or sku in own[:place]), None)
            if taken:
                self.tally.errors.append(RowError(row.line, "variant sku", f"{taken} belongs to another variant"))
            else:
                seen.update(own)
                free.append(row)
        return free

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


def _variants(row: ProductRow) -> Sequence[VariantRow]:
    return row.variants or (VariantRow(row.sku, {}, row.price_minor, row.stock),)


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
        for position, variant in enumerate(_variants(row))
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
    """The row's facets plus every option of its variants: a size that can be bought can be found."""
    found = {name: list(values) for name, values in row.facets.items() if values}
    for variant in row.variants:
        for name, value in variant.options.items():
            if value not in found.setdefault(name, []):
                found[name].append(value)
    return found


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


Facts = tuple[Any, ...]


def _facts_of_row(row: ProductRow) -> Facts:
    variants = [(v.sku, dict(v.options), v.price_minor, v.stock) for v in _variants(row)]
    return (
        (
            row.title,
            row.description,
            slugify(row.brand)[:80],
            "/".join(slugify(n)[:80] or "other" for n in row.category),
        ),
        (row.compare_at_minor, row.currency, row.status, row.kind, _facets(row), list(row.image_urls)),
        variants,
        dict(row.components),
    )


def _facts_of_product(product: Product, components: dict[str, int]) -> Facts:
    brand = product.brand.slug if product.brand else ""
    variants = [(v.sku, dict(v.options), v.price_minor, v.stock) for v in product.variants]
    return (
        (product.title, product.description, brand, product.category.path),
        (
            product.compare_at_minor,
            product.currency,
            product.status,
            product.kind,
            product.facets,
            list(product.image_urls),
        ),
        variants,
        components,
    )


def _stored_components(bundle_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    rows = db.session.execute(
        select(BundleComponent.bundle_id, Product.sku, BundleComponent.quantity)
        .join(Product, Product.id == BundleComponent.product_id)
        .where(BundleComponent.bundle_id.in_(bundle_ids))
    )
    found: dict[int, dict[str, int]] = {}
    for bundle_id, sku, quantity in rows:
        found.setdefault(bundle_id, {})[sku] = quantity
    return found
