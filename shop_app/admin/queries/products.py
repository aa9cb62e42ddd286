"""Products as a merchandiser looks for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import joinedload

from shop_app.admin.paging import PAGE_SIZE, Listing
from shop_app.catalog.models import Brand, Category, Product
from shop_app.core.errors import NotFound
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity

ORDERS = {
    "title": (Product.title, Product.id),
    "price": (Product.price_minor, Product.id),
    "stock": (Product.stock, Product.id),
    "changed": (Product.updated_at.desc(), Product.id),
}


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """What to look for; empty text means anything. `stock` is any, none or low."""

    text: str = ""
    status: str = ""
    category: str = ""
    stock: str = ""
    order: str = "changed"


def products(wanted: ProductFilter, page: int) -> Listing[Product]:
    """One page of the products that fit."""
    query = _filtered(select(Product), wanted)
    total = db.session.scalar(_filtered(select(func.count(Product.id)), wanted)) or 0
    ordered = query.order_by(*ORDERS.get(wanted.order, ORDERS["changed"]))
    shown = ordered.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)
    rows = db.session.scalars(shown.options(joinedload(Product.brand), joinedload(Product.category))).all()
    return Listing(rows, total, page)


def product(product_id: int) -> Product:
    """One product.

    Raises:
        NotFound: there is none.

    """
    found = db.session.get(Product, product_id)
    if found is None:
        raise NotFound("There is no such product.")
    return found


def by_skus(skus: Sequence[str]) -> list[Product]:
    """These products, by SKU."""
    return list(db.session.scalars(select(Product).where(Product.sku.in_(skus)).order_by(Product.sku)))


def departments() -> list[Category]:
    """The top of the category tree."""
    query = select(Category).where(Category.parent_id.is_(None)).order_by(Category.position, Category.name)
    return list(db.session.scalars(query))


def pending_change(product_id: int) -> ChangedEntity | None:
    """The change of this product that Recsys does not know yet."""
    query = select(ChangedEntity).where(ChangedEntity.kind == "item", ChangedEntity.entity_id == product_id)
    return db.session.scalars(query).one_or_none()


def _filtered(query: Select[Any], wanted: ProductFilter) -> Select[Any]:
    if wanted.text:
        pattern = wanted.text.strip()
        query = query.outerjoin(Brand, Brand.id == Product.brand_id).where(
            or_(
                Product.title.icontains(pattern, autoescape=True),
                Product.sku.icontains(pattern, autoescape=True),
                Brand.name.icontains(pattern, autoescape=True),
            )
        )
    if wanted.status:
        query = query.where(Product.status == wanted.status)
    if wanted.category:
        query = query.join(Category, Category.id == Product.category_id).where(
            (Category.path == wanted.category) | Category.path.startswith(f"{wanted.category}/", autoescape=True)
        )
    if wanted.stock == "none":
        query = query.where(Product.stock == 0)
    if wanted.stock == "low":
        query = query.where(Product.stock.between(1, 5))
    return query
