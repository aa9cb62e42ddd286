"""What an import would do, row by row, before anything is written: what is new, what differs and how, what is refused.

The writer stores exactly what is judged here, so a preview and the import cannot disagree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from shop_app.catalog.importing.rows import ProductRow, RowError, VariantRow
from shop_app.catalog.models import BundleComponent, Product, Variant
from shop_app.catalog.services import merged_facets, slugify
from shop_app.core.money import Money
from shop_app.extensions import db

READ_AT_ONCE = 400
"""SKUs a statement, below the bound variables of SQLite."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One thing of a product that would be another; both as people read them, empty for none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row of a known product, as it would be stored, and what of the product it changes."""

    row: ProductRow
    changes: tuple[FieldChange, ...]


@dataclass(slots=True)
class Judged:
    """Rows by what becomes of them."""

    created: list[ProductRow] = field(default_factory=list)
    changed: list[ChangedRow] = field(default_factory=list)
    unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)


class Judge:
    """Judges the rows of one import, batch by batch; remembers the SKUs of the batches before."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}
        self._promised: dict[str, str] = {}

    def judge(self, batch: Iterable[ProductRow | RowError]) -> Judged:
        """Compare a batch with what is stored; reads only."""
        found = Judged()
        rows = list(self._usable(batch, found))
        known = _stored([row.sku for row in rows])
        owners = _owners([variant.sku for row in rows for variant in variants_of(row)])
        components = _stored_components([product.id for product in known.values() if product.is_bundle])
        parts = _known_skus({sku for row in rows for sku, _ in row.components})
        for row in rows:
            if problem := self._taken(row, owners) or self._missing(row, parts):
                found.errors.append(problem)
            elif (product := known.get(row.sku)) is None:
                found.created.append(row)
            else:
                wanted = row if row.has_stock else replace(row, stock=product.stock)
                changes = _changes(product, wanted, components.get(product.id, {}))
                if changes:
                    found.changed.append(ChangedRow(wanted, changes))
                else:
                    found.unchanged += 1
        return found

    def _usable(self, batch: Iterable[ProductRow | RowError], found: Judged) -> Iterator[ProductRow]:
        for row in batch:
            if isinstance(row, RowError):
                found.errors.append(row)
            elif row.sku in self._lines:
                problem = f"{row.sku} was on line {self._lines[row.sku]} already"
                found.errors.append(RowError(row.line, "sku", problem))
            else:
                self._lines[row.sku] = row.line
                yield row

    def _taken(self, row: ProductRow, owners: Mapping[str, str]) -> RowError | None:
        """A SKU of this row that belongs to another product, here or earlier in the file, or comes twice in the row."""
        own = [variant.sku for variant in variants_of(row)]
        for place, sku in enumerate(own):
            if owners.get(sku, row.sku) != row.sku or sku in self._promised or sku in own[:place]:
                return RowError(row.line, "variant sku", f"{sku} belongs to another variant")
        self._promised.update(dict.fromkeys(own, row.sku))
        return None

    def _missing(self, row: ProductRow, parts: set[str]) -> RowError | None:
        """A part of a bundle that is neither in the shop nor in the file."""
        missing = sorted(sku for sku, _ in row.components if sku not in parts and sku not in self._lines)
        return RowError(row.line, "components", f"there is no product {', '.join(missing)}") if missing else None


def variants_of(row: ProductRow) -> Sequence[VariantRow]:
    """What of the row can be put into a basket: itself, when there is no choice."""
    return row.variants or (VariantRow(row.sku, {}, row.price_minor, row.stock),)


def _stored(skus: Sequence[str]) -> dict[str, Product]:
    whole = (joinedload(Product.brand), joinedload(Product.category), selectinload(Product.variants))
    found = db.session.scalars(select(Product).where(Product.sku.in_(skus)).options(*whole))
    return {product.sku: product for product in found}


def _known_skus(skus: set[str]) -> set[str]:
    return set(db.session.scalars(select(Product.sku).where(Product.sku.in_(skus)))) if skus else set()


def _owners(skus: Sequence[str]) -> dict[str, str]:
    """Variant SKU → SKU of the product it belongs to."""
    found: dict[str, str] = {}
    for start in range(0, len(skus), READ_AT_ONCE):
        part = skus[start : start + READ_AT_ONCE]
        query = select(Variant.sku, Product.sku).join(Product, Product.id == Variant.product_id)
        found.update((sku, owner) for sku, owner in db.session.execute(query.where(Variant.sku.in_(part))))
    return found


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


def _changes(product: Product, row: ProductRow, components: Mapping[str, int]) -> tuple[FieldChange, ...]:
    """Every field that differs, in the order people look at them."""
    brand = product.brand.name if product.brand else ""
    path = "/".join(slugify(name)[:80] or "other" for name in row.category)
    is_same_brand = slugify(brand)[:80] == slugify(row.brand)[:80]
    pairs: list[tuple[str, Any, Any]] = [
        ("title", product.title, row.title),
        ("description", product.description, row.description),
        ("brand", "" if is_same_brand else brand, "" if is_same_brand else row.brand),
        ("category", product.category.path, path),
        ("currency", product.currency, row.currency),
        ("price before", _price(product.compare_at_minor, product), _price(row.compare_at_minor, row)),
        ("status", product.status, row.status),
        ("kind", product.kind, row.kind),
        *_of_mappings("", product.facets, merged_facets(row.facets, [v.options for v in row.variants])),
        ("pictures", list(product.image_urls), list(row.image_urls)),
        *_of_variants(product, row),
        *_of_mappings("parts: ", components, dict(row.components)),
    ]
    return tuple(FieldChange(name, _text(before), _text(after)) for name, before, after in pairs if before != after)


def _of_mappings(prefix: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*before, *after)):
        yield f"{prefix}{name}", before.get(name), after.get(name)


def _of_variants(product: Product, row: ProductRow) -> Iterator[tuple[str, Any, Any]]:
    """Price, stock and options of each variant; one that the file leaves out is sold out and stays."""
    known = {variant.sku: variant for variant in product.variants}
    for wanted in variants_of(row):
        of = "" if wanted.sku == row.sku else f" of {wanted.sku}"
        variant = known.pop(wanted.sku, None)
        yield f"price{of}", variant and _price(variant.price_minor, product), _price(wanted.price_minor, row)
        yield f"stock{of}", variant and variant.stock, wanted.stock
        yield f"options{of}", variant and dict(variant.options), dict(wanted.options)
    for variant in known.values():
        yield f"stock of {variant.sku}", variant.stock, 0
    left = {variant.sku for variant in variants_of(row)}
    stored, order = [v.sku for v in product.variants if v.sku in left], [v.sku for v in variants_of(row)]
    if len(stored) == len(order):
        yield "order of variants", stored, order


def _price(minor: int | None, of: Product | ProductRow) -> str:
    return "" if minor is None else Money(minor, of.currency).text()


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
