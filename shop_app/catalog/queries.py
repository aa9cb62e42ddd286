"""Reading the catalogue for people: cards, pages, departments, best sellers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, Text, bindparam, cast, func, select, true
from sqlalchemy.orm import joinedload, selectinload

from shop_app.catalog.models import Brand, BundleComponent, Category, Product, ProductSales, Variant
from shop_app.catalog.tags import tag
from shop_app.core.errors import NotFound
from shop_app.core.money import Money
from shop_app.extensions import db
from shop_app.plain_sql import PlainRead
from shop_app.site_settings.kept import Kept

LOW_STOCK = 5
"""From here down the card says how many are left."""
BEST_SELLER_WINDOW = timedelta(days=30)
MOST_BEST_SELLERS = 200
"""Longer than any list with what may be in a basket on top."""
SOLD_MEANWHILE = 12
"""Best sellers read beyond a list's length, since some may have sold out since the order was made."""
CARDS_KEPT = 5000
"""Cards held in memory, about 0.5 kB each."""
RANKING_KEPT_S = 30.0
"""How old the order of best sellers and the pictures of departments may be."""


@dataclass(frozen=True, slots=True)
class ProductCard:
    """Everything the one product-card macro shows. Prices are ready; `was` is set when it is reduced.

    `price` is the lowest one; `has_range` when some variant costs more.
    """

    product_id: int
    sku: str
    slug: str
    title: str
    brand: str
    price: Money
    was: Money | None
    picture_url: str
    stock: int
    has_range: bool

    @property
    def url(self) -> str:
        """The product page, without attribution."""
        return f"/products/{self.slug}"

    @property
    def stock_note(self) -> str:
        """Empty unless stock is running low."""
        return f"Only {self.stock} left" if 0 < self.stock <= LOW_STOCK else ""


@dataclass(frozen=True, slots=True)
class Department:
    """A node of the category tree, as navigation shows it."""

    path: str
    name: str

    @property
    def url(self) -> str:
        """Its listing."""
        return f"/departments/{self.path}"


_product, _brand, _variant, _category = (model.__table__ for model in (Product, Brand, Variant, Category))
_DEAREST = select(func.max(_variant.c.price_minor)).where(_variant.c.product_id == _product.c.id).scalar_subquery()
_CARD = (
    select(
        _product.c.id,
        _product.c.sku,
        _product.c.slug,
        _product.c.title,
        _brand.c.name.label("brand"),
        _product.c.price_minor,
        _product.c.compare_at_minor,
        _product.c.currency,
        cast(_product.c.image_urls, Text).label("image_urls"),
        _product.c.stock,
        _DEAREST.label("dearest"),
    )
    .select_from(_product.outerjoin(_brand, _brand.c.id == _product.c.brand_id))
    .where(_product.c.status == "active")
)
_SELLABLE_CARD = _CARD.where(_product.c.stock > 0)
_by_sku = _SELLABLE_CARD.where(_product.c.sku.in_(bindparam("skus", expanding=True)))
_cards_by_sku = PlainRead(_by_sku)
_cards_and_places_by_sku = PlainRead(
    _by_sku.join(_category, _category.c.id == _product.c.category_id).add_columns(_category.c.path)
)


def sellable() -> Select[Product]:
    """Products that may appear in any list: active and in stock. Stable order is the caller's."""
    return select(Product).where(Product.status == "active", Product.stock > 0)


def cards(skus: Sequence[str], category_path: str = "") -> list[ProductCard]:
    """Cards for these item ids in the given order; what is not for sale or outside `category_path` is left out."""
    if not skus:
        return []
    if category_path:
        rows = _cards_and_places_by_sku(skus=list(skus))
        found = [_card(row[:-1]) for row in rows if f"{row[-1]}/".startswith(f"{category_path}/")]
    else:
        found = [_card(row) for row in _cards_by_sku(skus=list(skus))]
    by_sku = {card.sku: card for card in found}
    return [by_sku[sku] for sku in skus if sku in by_sku]


def cards_by_id(product_ids: Sequence[int]) -> list[ProductCard]:
    """Cards of active products in the given order, sold-out ones included."""
    by_id = {row.id: _card(tuple(row)) for row in db.session.execute(_CARD.where(Product.id.in_(product_ids)))}
    return [by_id[i] for i in product_ids if i in by_id]


def best_sellers(*, limit: int, today: date, category_path: str = "", exclude: Sequence[str] = ()) -> list[ProductCard]:
    """Most units sold in the last 30 days, newest products breaking ties; under `category_path` when given.

    The order is up to half a minute old; what is shown is for sale now.
    """
    unwanted = set(exclude)
    wanted = [sku for sku in _best_selling(today, category_path) if sku not in unwanted]
    return cards(wanted[: limit + SOLD_MEANWHILE], category_path)[:limit]


def _read_best_selling(today: date, category_path: str) -> list[str]:
    sold = units_sold(today)
    query = select(Product.sku).outerjoin(sold, sold.c.product_id == Product.id)
    query = query.where(Product.status == "active", Product.stock > 0)
    if category_path:
        query = query.join(Category, Category.id == Product.category_id).where(within(category_path))
    ranked = query.order_by(func.coalesce(sold.c.units, 0).desc(), Product.id.desc()).limit(MOST_BEST_SELLERS)
    return list(db.session.scalars(ranked))


_best_selling = Kept(_read_best_selling, Product, ProductSales, kept_s=RANKING_KEPT_S)


def units_sold(today: date) -> Any:
    """Subquery: product_id and units sold in the 30 days up to `today`."""
    return (
        select(ProductSales.product_id, func.sum(ProductSales.units).label("units"))
        .where(ProductSales.day > today - BEST_SELLER_WINDOW)
        .group_by(ProductSales.product_id)
        .subquery()
    )


def within(category_path: str) -> Any:
    """Condition: the category is `category_path` or below it; an empty path is the whole shop."""
    if not category_path:
        return true()
    return (Category.path == category_path) | Category.path.startswith(f"{category_path}/", autoescape=True)


def _read_departments() -> list[Department]:
    roots = select(Category.path, Category.name).where(Category.parent_id.is_(None))
    return [Department(path, name) for path, name in db.session.execute(roots.order_by(Category.position, Category.id))]


departments = Kept(_read_departments, Category)
"""The roots of the tree, in the shop's order."""


def department(path: str) -> Category:
    """One category.

    Raises:
        NotFound: there is none at `path`.

    """
    found = db.session.scalars(select(Category).where(Category.path == path)).one_or_none()
    if found is None:
        raise NotFound("There is no such department.")
    return found


def subdepartments(category: Category) -> list[Department]:
    """What lies directly below, in the shop's order."""
    below = select(Category.path, Category.name).where(Category.parent_id == category.id)
    return [Department(path, name) for path, name in db.session.execute(below.order_by(Category.position, Category.id))]


def ancestry(path: str) -> list[Department]:
    """The categories from the root down to `path`, itself included."""
    slugs = path.split("/")
    paths = ["/".join(slugs[: depth + 1]) for depth in range(len(slugs))]
    names = _category_names()
    if path not in names:  # new, and written past the session
        names = _read_category_names()
    return [Department(p, names[p]) for p in paths if p in names]


def _read_category_names() -> dict[str, str]:
    rows = db.session.execute(select(Category.path, Category.name))
    return {path: name for path, name in rows}  # noqa: C416 - rows unpack, dict() of rows does not type-check


_category_names = Kept(_read_category_names, Category)


_PAGE = (
    select(Product)
    .where(Product.slug == bindparam("slug"), Product.status != "hidden")
    .options(joinedload(Product.brand), joinedload(Product.category), selectinload(Product.variants))
)


def product_page(slug: str) -> Product:
    """A product with everything its page shows but the parts of a bundle, whatever its status except hidden.

    Raises:
        NotFound: there is none, or it is hidden.

    """
    found = db.session.scalars(_PAGE, {"slug": slug}).unique().one_or_none()
    if found is None:
        raise NotFound("There is no such product.")
    return found


def bundle_parts(product: Product) -> Sequence[BundleComponent]:
    """What a bundle contains, with its products; nothing for any other product."""
    if not product.is_bundle:
        return ()
    parts = select(BundleComponent).where(BundleComponent.bundle_id == product.id).order_by(BundleComponent.id)
    return db.session.scalars(parts.options(joinedload(BundleComponent.product))).all()


def top_tags(category_path: str, *, limit: int) -> list[tuple[str, str]]:
    """The most frequent brands below `category_path`, as (tag, name) pairs for people to include or leave out."""
    query = (
        select(Brand.name)
        .join(Product, Product.brand_id == Brand.id)
        .where(Product.status == "active", Product.stock > 0)
        .group_by(Brand.name)
        .order_by(func.count(Product.id).desc(), Brand.name)
        .limit(limit)
    )
    if category_path:
        query = query.join(Category, Category.id == Product.category_id).where(within(category_path))
    return [(tag("brand", name), name) for name in db.session.scalars(query)]


@dataclass(frozen=True, slots=True)
class PictureSubject:
    """What a drawn picture depends on. `category` holds the names from the department down."""

    sku: str
    title: str
    category: tuple[str, ...]
    brand: str
    kind: str
    colour: str


def picture_subject(sku: str) -> PictureSubject:
    """What to draw for a product, sold or not: old orders show it too.

    Raises:
        NotFound: there is no such product.

    """
    columns = (Product.title, Product.kind, Product.facets, Brand.name, Category.path)
    query = select(*columns).join(Category, Category.id == Product.category_id)
    row = db.session.execute(query.outerjoin(Brand).where(Product.sku == sku)).one_or_none()
    if row is None:
        raise NotFound("There is no such product.")
    title, kind, facets, brand, path = row
    names = tuple(node.name for node in ancestry(path))
    return PictureSubject(sku, title, names, brand or "", kind, next(iter(facets.get("colour", ())), ""))


def card(product: Product) -> ProductCard:
    """The card of a loaded product."""
    return ProductCard(
        product_id=product.id,
        sku=product.sku,
        slug=product.slug,
        title=product.title,
        brand=product.brand.name if product.brand else "",
        price=Money(product.price_minor, product.currency),
        was=_was(product.price_minor, product.compare_at_minor, product.currency),
        picture_url=picture_url(product.sku, product.image_urls),
        stock=product.stock,
        has_range=any(variant.price_minor > product.price_minor for variant in product.variants),
    )


def picture_url(sku: str, image_urls: Sequence[str]) -> str:
    """Where the first picture of a product is: its own, or else one the shop draws."""
    return next(iter(own_pictures(image_urls)), f"/media/products/{sku}.svg")


def own_pictures(image_urls: Sequence[str]) -> list[str]:
    """Pictures this shop serves. Those of other hosts are known to Recsys but not shown: pages load nothing foreign."""
    return [url for url in image_urls if url.startswith("/") and not url.startswith("//")]


@lru_cache(CARDS_KEPT)
def _card(row: tuple[Any, ...]) -> ProductCard:
    """The card of a row of `_CARD` that was just read; equal rows have one card."""
    product_id, sku, slug, title, brand, price_minor, compare_at_minor, currency, image_urls, stock, dearest = row
    return ProductCard(
        product_id=product_id,
        sku=sku,
        slug=slug,
        title=title,
        brand=brand or "",
        price=Money(price_minor, currency),
        was=_was(price_minor, compare_at_minor, currency),
        picture_url=picture_url(sku, json.loads(image_urls)),
        stock=stock,
        has_range=(dearest or 0) > price_minor,
    )


def _was(price_minor: int, compare_at_minor: int | None, currency: str) -> Money | None:
    is_reduced = compare_at_minor is not None and compare_at_minor > price_minor
    return Money(compare_at_minor, currency) if is_reduced and compare_at_minor is not None else None


def department_pictures(paths: Iterable[str], today: date) -> dict[str, str]:
    """For each root path the picture of its best-selling product, up to half a minute old."""
    found = _pictures_by_root(today)
    return {path: found[path] for path in paths if path in found}


def _read_pictures_by_root(today: date) -> dict[str, str]:
    sold = units_sold(today)
    place = (
        func.row_number()
        .over(
            partition_by=func.substr(Category.path, 1, func.instr(Category.path + "/", "/") - 1)
            if db.engine.dialect.name == "sqlite"
            else func.split_part(Category.path, "/", 1),
            order_by=(func.coalesce(sold.c.units, 0).desc(), Product.id.desc()),
        )
        .label("place")
    )
    ranked = (
        select(Category.path, Product.sku, Product.image_urls, place)
        .join(Product, Product.category_id == Category.id)
        .outerjoin(sold, sold.c.product_id == Product.id)
        .where(Product.status == "active", Product.stock > 0)
        .subquery()
    )
    rows = db.session.execute(select(ranked.c.path, ranked.c.sku, ranked.c.image_urls).where(ranked.c.place == 1))
    return {path.split("/")[0]: picture_url(sku, urls) for path, sku, urls in rows}


_pictures_by_root = Kept(_read_pictures_by_root, Product, ProductSales, kept_s=RANKING_KEPT_S)
