"""Reading the catalogue for people: cards, pages, best sellers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from shop_app.catalog.models import Category, Product, ProductSales
from shop_app.core.money import Money
from shop_app.extensions import db

LOW_STOCK = 5
"""From here down the card says how many are left."""
BEST_SELLER_WINDOW = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class ProductCard:
    """Everything the one product-card macro shows. Prices are ready; `was` is set when it is reduced."""

    product_id: int
    sku: str
    slug: str
    title: str
    brand: str
    price: Money
    was: Money | None
    picture_url: str
    stock: int
    has_choices: bool

    @property
    def stock_note(self) -> str:
        """Empty unless stock is running low."""
        return f"Only {self.stock} left" if 0 < self.stock <= LOW_STOCK else ""


def sellable() -> Select[Product]:
    """Products that may appear in any list: active and in stock. Stable order is the caller's."""
    return select(Product).where(Product.status == "active", Product.stock > 0)


def cards(skus: Sequence[str]) -> list[ProductCard]:
    """Cards for these item ids in the given order; what is not for sale is left out."""
    rows = db.session.scalars(
        sellable().where(Product.sku.in_(skus)).options(joinedload(Product.brand), joinedload(Product.variants))
    ).unique()
    by_sku = {product.sku: card(product) for product in rows}
    return [by_sku[sku] for sku in skus if sku in by_sku]


def best_sellers(*, limit: int, today: date, category_path: str = "", exclude: Sequence[str] = ()) -> list[ProductCard]:
    """Most units sold in the last 30 days, newest products breaking ties; under `category_path` when given."""
    sold = (
        select(ProductSales.product_id, func.sum(ProductSales.units).label("units"))
        .where(ProductSales.day > today - BEST_SELLER_WINDOW)
        .group_by(ProductSales.product_id)
        .subquery()
    )
    query = sellable().outerjoin(sold, sold.c.product_id == Product.id).where(Product.sku.not_in(exclude))
    if category_path:
        query = query.join(Category).where(
            (Category.path == category_path) | Category.path.startswith(f"{category_path}/", autoescape=True)
        )
    ranked = query.order_by(func.coalesce(sold.c.units, 0).desc(), Product.id.desc()).limit(limit)
    rows = db.session.scalars(ranked.options(joinedload(Product.brand), joinedload(Product.variants))).unique()
    return [card(product) for product in rows]


def card(product: Product) -> ProductCard:
    """The card of a loaded product."""
    reduced = product.compare_at_minor is not None and product.compare_at_minor > product.price_minor
    return ProductCard(
        product_id=product.id,
        sku=product.sku,
        slug=product.slug,
        title=product.title,
        brand=product.brand.name if product.brand else "",
        price=Money(product.price_minor, product.currency),
        was=Money(product.compare_at_minor, product.currency) if reduced and product.compare_at_minor else None,
        picture_url=product.image_urls[0] if product.image_urls else f"/media/products/{product.sku}.svg",
        stock=product.stock,
        has_choices=len(product.variants) > 1,
    )
