"""Products to put into baskets."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from shop_app.catalog.models import Category, Product, Variant
from shop_app.extensions import db

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def a_product(sku: str = "MUG-1", *, price: int = 12_50, stock: int = 10, **overrides: Any) -> Product:
    """A product with one variant of the same SKU, added to the session and flushed."""
    product = Product(
        **{
            "sku": sku,
            "slug": sku.lower(),
            "title": f"The {sku}",
            "category": overrides.pop("category", None) or a_category(),
            "price_minor": price,
            "currency": "GBP",
            "stock": stock,
            "created_at": LONG_AGO,
            "updated_at": LONG_AGO,
            **overrides,
        }
    )
    product.variants = [Variant(sku=sku, price_minor=price, stock=stock)]
    db.session.add(product)
    db.session.flush()
    return product


def a_category(path: str = "home") -> Category:
    """The category of this path; made when absent."""
    found = db.session.scalars(select(Category).where(Category.path == path)).one_or_none()
    category = found or Category(path=path, slug=path.rsplit("/", 1)[-1], name=path.title())
    db.session.add(category)
    return category
