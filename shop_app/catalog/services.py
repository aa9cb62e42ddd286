"""Changing the catalogue: prices, stock, search and the mark for Recsys stay in step, in one transaction."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from shop_app.catalog.models import Brand, BundleComponent, Category, Product, SearchPosting, Variant
from shop_app.catalog.queries import ancestry
from shop_app.catalog.search import posting_weights
from shop_app.core.errors import Conflict, InvalidInput, NotFound
from shop_app.extensions import db
from shop_app.outbox.services import mark_changed

SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")
STATUSES = ("active", "hidden", "discontinued")
MAX_PRICE_MINOR = 10**11
MAX_STOCK = 10**7
CATCH_ALL = {"other", "misc", "miscellaneous", "uncategorised"}
"""Departments that say nothing, however many products they hold."""


@dataclass(frozen=True, slots=True)
class VariantDraft:
    """What is put into a basket. `options` such as {"colour": "sage"}; price in minor units."""

    sku: str
    price_minor: int
    stock: int
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductDraft:
    """A whole product as somebody wants it to be.

    `category` holds the names from the root. Without `variants` there is one, with the product's SKU, price and stock.
    `components` (SKU, quantity) makes it a bundle.
    """

    sku: str
    title: str
    category: Sequence[str]
    price_minor: int
    currency: str
    stock: int
    description: str = ""
    brand: str = ""
    compare_at_minor: int | None = None
    status: str = "active"
    kind: str = ""
    facets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    image_urls: Sequence[str] = ()
    variants: Sequence[VariantDraft] = ()
    components: Sequence[tuple[str, int]] = ()


def create_product(draft: ProductDraft, now: datetime) -> Product:
    """Put a new product into the shop.

    Raises:
        InvalidInput: a field breaks a rule.
        Conflict: the SKU is taken.

    """
    _check(draft)
    skus = {draft.sku, *(variant.sku for variant in draft.variants)}
    taken = db.session.scalars(select(Variant.sku).where(Variant.sku.in_(skus))).first()
    if taken or db.session.scalars(select(Product.id).where(Product.sku == draft.sku)).first():
        raise Conflict(f"The SKU {taken or draft.sku} is taken.")
    product = Product(sku=draft.sku, slug=_free_slug(draft), created_at=now, variants=[])
    _fill(product, draft, now)
    db.session.add(product)
    db.session.flush()  # the id is needed for the index and the outbox
    product.variants[:] = _variants(draft)
    db.session.add_all(_components(product, draft))
    _settle(product, now)
    return product


def change_product(sku: str, draft: ProductDraft, now: datetime) -> Product:
    """Make a product what `draft` says; its SKU and address stay.

    Variants are matched by SKU. One that `draft` leaves out is sold out, not deleted: orders and baskets point at it.

    Raises:
        InvalidInput: a field breaks a rule.
        NotFound: there is no such product.

    """
    _check(draft)
    product = _product(sku)
    _fill(product, draft, now)
    wanted = {variant.sku: variant for variant in _variants(draft)}
    for variant in product.variants:
        new = wanted.pop(variant.sku, None)
        if new is None:
            variant.stock = 0
        else:
            variant.options, variant.price_minor, variant.stock = new.options, new.price_minor, new.stock
            variant.position = new.position
    product.variants.extend(wanted.values())
    db.session.execute(delete(BundleComponent).where(BundleComponent.bundle_id == product.id))
    db.session.add_all(_components(product, draft))
    _settle(product, now)
    return product


def archive_product(sku: str, now: datetime) -> Product:
    """Take a product out of the shop for good: its page says so, no list shows it, its history stays (RS-012)."""
    return set_status(sku, "discontinued", now)


def set_status(sku: str, status: str, now: datetime) -> Product:
    """Sell (`active`), hide, or discontinue a product.

    Raises:
        InvalidInput: no such status.
        NotFound: there is no such product.

    """
    if status not in STATUSES:
        raise InvalidInput({"status": [f"must be one of {', '.join(STATUSES)}"]})
    product = _product(sku)
    product.status = status
    _settle(product, now)
    return product


def set_stock(variant_sku: str, stock: int, now: datetime) -> None:
    """Set what is left of one variant.

    Raises:
        InvalidInput: below zero or absurd.
        NotFound: there is no such variant.

    """
    if not 0 <= stock <= MAX_STOCK:
        raise InvalidInput({"stock": [f"must be between 0 and {MAX_STOCK}"]})
    _change_variant(variant_sku, {"stock": stock}, now)


def set_price(variant_sku: str, price_minor: int, now: datetime) -> None:
    """Set the price of one variant, in minor units of the product's currency.

    Raises:
        InvalidInput: below zero or absurd.
        NotFound: there is no such variant.

    """
    if not 0 <= price_minor <= MAX_PRICE_MINOR:
        raise InvalidInput({"price": [f"must be between 0 and {MAX_PRICE_MINOR}"]})
    _change_variant(variant_sku, {"price_minor": price_minor}, now)


def refresh_totals(product_ids: Iterable[int], now: datetime) -> None:
    """Bring price and stock of products in step with their variants and mark them for Recsys."""
    ids = sorted(set(product_ids))
    of_product = Variant.product_id == Product.id
    stock = select(func.coalesce(func.sum(Variant.stock), 0)).where(of_product).scalar_subquery()
    price = select(func.min(Variant.price_minor)).where(of_product).scalar_subquery()
    db.session.execute(
        update(Product)
        .where(Product.id.in_(ids))
        .values(stock=stock, price_minor=func.coalesce(price, Product.price_minor), updated_at=now)
        .execution_options(synchronize_session="fetch")
    )
    mark_changed("item", ids, now)


def index_products(products: Sequence[Product]) -> None:
    """Rewrite the search rows of these products, which are already saved; in batches for whole catalogues."""
    db.session.execute(delete(SearchPosting).where(SearchPosting.product_id.in_([p.id for p in products])))
    rows = [
        {"term": term, "product_id": product.id, "weight": weight}
        for product in products
        if product.status == "active"
        for term, weight in posting_weights(_searchable(product)).items()
    ]
    if rows:
        db.session.execute(insert(SearchPosting), rows)


def merged_facets(facets: Mapping[str, Sequence[str]], options: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """A product's facets plus every option of its variants: a size that can be bought can be found."""
    found = {name: list(values) for name, values in facets.items() if values}
    for variant in options:
        for name, value in variant.items():
            if value not in found.setdefault(name, []):
                found[name].append(value)
    return found


def slugify(text: str) -> str:
    """Lower-case ASCII words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-")


def brand_named(name: str) -> Brand | None:
    """The brand of this name, made when it is new; none for an empty name."""
    slug = slugify(name)[:80]
    if not slug:
        return None
    brand = db.session.scalars(select(Brand).where(Brand.slug == slug)).one_or_none()
    if brand is None:
        brand = Brand(slug=slug, name=name[:120])
        db.session.add(brand)
        db.session.flush()  # the next product of this brand must find it
    return brand


def order_departments_by_size() -> None:
    """The departments with most products first, the catch-all last: for a catalogue that states no order."""
    sizes: dict[str, int] = {}
    counted = select(Category.path, func.count(Product.id)).join(Product).group_by(Category.path)
    for path, count in db.session.execute(counted):
        root = path.split("/")[0]
        sizes[root] = sizes.get(root, 0) + count
    ranked = sorted(sizes, key=lambda root: (root in CATCH_ALL, -sizes[root], root))
    for position, root in enumerate(ranked):
        db.session.execute(update(Category).where(Category.path == root).values(position=position))


def category_at(names: Sequence[str]) -> Category:
    """The category along these names from the root, made where it is new."""
    parent: Category | None = None
    for name in names:
        slug = slugify(name)[:80] or "other"
        path = f"{parent.path}/{slug}" if parent else slug
        found = db.session.scalars(select(Category).where(Category.path == path)).one_or_none()
        if found is None:
            found = Category(path=path, slug=slug, name=name[:120], parent=parent)
            db.session.add(found)
            db.session.flush()  # its children need its id
        parent = found
    if parent is None:
        raise InvalidInput({"category": ["is required"]})
    return parent


def _check(draft: ProductDraft) -> None:
    amounts = [draft.price_minor, *(variant.price_minor for variant in draft.variants)]
    counts = [draft.stock, *(variant.stock for variant in draft.variants)]
    rules = {
        "sku": (SKU.fullmatch(draft.sku) is not None, "may hold letters, digits, dot, hyphen, underscore and tilde"),
        "title": (bool(draft.title.strip()), "is required"),
        "category": (bool(draft.category), "is required"),
        "price": (all(0 <= amount <= MAX_PRICE_MINOR for amount in amounts), "must not be negative or absurd"),
        "stock": (all(0 <= count <= MAX_STOCK for count in counts), "must not be negative or absurd"),
        "status": (draft.status in STATUSES, f"must be one of {', '.join(STATUSES)}"),
        "currency": (re.fullmatch("[A-Z]{3}", draft.currency) is not None, "must be an ISO 4217 code"),
        "variants": (all(SKU.fullmatch(variant.sku) for variant in draft.variants), "have a SKU that is not URL-safe"),
    }
    broken = {name: [message] for name, (holds, message) in rules.items() if not holds}
    if broken:
        raise InvalidInput(broken)


def _fill(product: Product, draft: ProductDraft, now: datetime) -> None:
    product.title, product.description = draft.title.strip()[:300], draft.description
    product.brand, product.category = brand_named(draft.brand), category_at(draft.category)
    product.price_minor, product.compare_at_minor = draft.price_minor, draft.compare_at_minor
    product.currency, product.status, product.kind = draft.currency, draft.status, draft.kind
    product.stock = draft.stock
    product.facets = merged_facets(draft.facets, [variant.options for variant in draft.variants])
    product.image_urls = list(draft.image_urls)
    product.is_bundle = bool(draft.components)
    product.updated_at = now


def _variants(draft: ProductDraft) -> list[Variant]:
    drafts = draft.variants or [VariantDraft(draft.sku, draft.price_minor, draft.stock)]
    return [
        Variant(sku=v.sku, options=dict(v.options), price_minor=v.price_minor, stock=v.stock, position=position)
        for position, v in enumerate(drafts)
    ]


def _components(product: Product, draft: ProductDraft) -> list[BundleComponent]:
    quantities = dict(draft.components)
    rows = db.session.execute(select(Product.sku, Product.id).where(Product.sku.in_(quantities)))
    ids = {sku: product_id for sku, product_id in rows}  # noqa: C416 - rows unpack, dict() of rows does not type-check
    if missing := quantities.keys() - ids.keys():
        raise InvalidInput({"components": [f"there is no product {', '.join(sorted(missing))}"]})
    return [
        BundleComponent(bundle_id=product.id, product_id=ids[sku], quantity=quantity)
        for sku, quantity in quantities.items()
    ]


def _settle(product: Product, now: datetime) -> None:
    db.session.flush()  # the sums below read what was just written
    refresh_totals([product.id], now)
    index_products([product])


def _change_variant(sku: str, values: dict[str, Any], now: datetime) -> None:
    found = db.session.scalars(select(Variant).where(Variant.sku == sku).with_for_update()).one_or_none()
    if found is None:
        raise NotFound(f"There is no variant {sku}.")
    for name, value in values.items():
        setattr(found, name, value)
    db.session.flush()  # the sums below read what was just written
    refresh_totals([found.product_id], now)


def _searchable(product: Product) -> dict[str, str]:
    """The text of each field that search reads."""
    return {
        "title": product.title,
        "brand": product.brand.name if product.brand else "",
        "category": " ".join(node.name for node in ancestry(product.category.path)),
        "facets": " ".join(value for values in product.facets.values() for value in values),
        "description": product.description,
    }


def _product(sku: str) -> Product:
    found = db.session.scalars(select(Product).where(Product.sku == sku).with_for_update()).one_or_none()
    if found is None:
        raise NotFound(f"There is no product {sku}.")
    return found


def _free_slug(draft: ProductDraft) -> str:
    """The title's slug, with the SKU behind it when it is taken."""
    slug = slugify(draft.title)[:150] or slugify(draft.sku)
    is_taken = db.session.scalars(select(Product.id).where(Product.slug == slug)).first() is not None
    return f"{slug}-{slugify(draft.sku)}"[:200] if is_taken else slug
