"""What is sold. A product is what a card shows and what Recsys calls an item; a variant is what goes into a basket."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop_app.extensions import Base, UtcDateTime


class Brand(Base):
    __tablename__ = "brand"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(120))


class Category(Base):
    """A node of the department tree. `path` joins the slugs from the root: `home/kitchen/mugs`."""

    __tablename__ = "category"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(String(300), unique=True)
    slug: Mapped[str] = mapped_column(String(80))
    name: Mapped[str] = mapped_column(String(120))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"), index=True)
    position: Mapped[int] = mapped_column(default=0)

    parent: Mapped["Category | None"] = relationship(remote_side="Category.id")


class Product(Base):
    """A product page. `sku` is the item id at Recsys: URL-safe, unique, for good.

    `status` is active (sold), hidden (reachable by nobody but admins) or discontinued (history only, page says 410).
    `price_minor` is the lowest price of its variants, `stock` their sum: kept in step by `catalog.services`.
    """

    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("price_minor >= 0", name="price_not_negative"),
        CheckConstraint("stock >= 0", name="stock_not_negative"),
        CheckConstraint("status IN ('active', 'hidden', 'discontinued')", name="status_known"),
        Index("ix_product_listing", "category_id", "status"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(String(100), unique=True)
    slug: Mapped[str] = mapped_column(String(200), unique=True)
    title: Mapped[str] = mapped_column(String(300))
    description: Mapped[str] = mapped_column(Text, default="")
    brand_id: Mapped[int | None] = mapped_column(ForeignKey("brand.id"), index=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("category.id"))
    price_minor: Mapped[int]
    compare_at_minor: Mapped[int | None]
    currency: Mapped[str] = mapped_column(String(3))
    stock: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(String(15), default="active")
    kind: Mapped[str] = mapped_column(String(60), default="")  # what it is, for its drawn picture: mug, tent
    facets: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)  # {"colour": ["black"], "material": ["oak"]}
    image_urls: Mapped[list[str]] = mapped_column(JSON, default=list)  # empty: pictures are drawn
    is_bundle: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    brand: Mapped[Brand | None] = relationship()
    category: Mapped[Category] = relationship()
    variants: Mapped[list["Variant"]] = relationship(back_populates="product", order_by="Variant.position")
    components: Mapped[list["BundleComponent"]] = relationship(foreign_keys="BundleComponent.bundle_id")


class Variant(Base):
    """What is bought. A product without a choice has exactly one, with the product's own SKU and no options."""

    __tablename__ = "variant"
    __table_args__ = (
        CheckConstraint("price_minor >= 0", name="price_not_negative"),
        CheckConstraint("stock >= 0", name="stock_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    sku: Mapped[str] = mapped_column(String(100), unique=True)
    options: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)  # {"colour": "black", "size": "M"}
    price_minor: Mapped[int]
    stock: Mapped[int] = mapped_column(default=0)
    position: Mapped[int] = mapped_column(default=0)

    product: Mapped[Product] = relationship(back_populates="variants")


class BundleComponent(Base):
    """A bundle contains `quantity` of a product."""

    __tablename__ = "bundle_component"
    __table_args__ = (UniqueConstraint("bundle_id", "product_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    bundle_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"))
    quantity: Mapped[int] = mapped_column(default=1)

    product: Mapped[Product] = relationship(foreign_keys=[product_id])


class ProductSales(Base):
    """Units sold on one day: what best sellers are read from when the recommender is away."""

    __tablename__ = "product_sales"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True, index=True)
    units: Mapped[int] = mapped_column(default=0)


class SearchPosting(Base):
    """A term of a product's text and how much it counts: the inverted index behind search."""

    __tablename__ = "search_posting"

    term: Mapped[str] = mapped_column(String(60), primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True, index=True)
    weight: Mapped[float]


class CatalogueUpload(Base):
    """A catalogue file that waits in the console: its changes are shown before anything is stored. Kept two days."""

    __tablename__ = "catalogue_upload"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    content: Mapped[bytes] = mapped_column(LargeBinary)
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    uploaded_by: Mapped[str] = mapped_column(String(80))
    stored_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LinkCheck(Base):
    """One address of a product that somebody wanted looked at, and what was found (see `catalog.links`)."""

    __tablename__ = "link_check"

    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    url: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(10))  # picture | page
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verdict: Mapped[str | None] = mapped_column(String(20))
    status: Mapped[int] = mapped_column(default=0)
    media_type: Mapped[str] = mapped_column(String(100), default="")
    size_bytes: Mapped[int] = mapped_column(default=0)
