"""Baskets. Each line keeps where it came from, down to the rank on the widget, so that an order line can say it too."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, literal, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop_app.catalog.models import Variant
from shop_app.core.attribution import Attribution
from shop_app.extensions import Base, UtcDateTime


class AttributionColumns:
    """Where the shopper met the item: the recommender's answer, the surface, the widget, the 1-based rank."""

    request_id: Mapped[str | None] = mapped_column(String(80))
    surface: Mapped[str | None] = mapped_column(String(60))
    widget: Mapped[str | None] = mapped_column(String(60))
    rank: Mapped[int | None]
    recommended: Mapped[bool] = mapped_column(default=False)
    clicked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def place(self) -> Attribution | None:
        """The attribution these columns hold."""
        if self.surface is None or self.widget is None or self.rank is None:
            return None
        return Attribution(self.surface, self.widget, self.rank, self.request_id or "")


OPEN = literal("open", literal_execute=True)
"""The status in the statement's text, not beside it: SQLite plans a statement anew for each value that a partial index
might ask about, and planning takes four times as long as looking.
"""


class Cart(Base):
    """A shopper has one open cart at most."""

    __tablename__ = "cart"
    __table_args__ = (
        Index("ix_cart_owner", "shopper_key", "status"),
        Index(
            "uq_cart_open",
            "shopper_key",
            unique=True,
            sqlite_where=text("status = 'open'"),
            postgresql_where=text("status = 'open'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String(40), unique=True)
    shopper_key: Mapped[str] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(10), default="open")  # open | closed | merged
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    lines: Mapped[list["CartLine"]] = relationship(
        back_populates="cart", order_by="CartLine.id", cascade="all, delete-orphan"
    )


class CartLine(AttributionColumns, Base):
    """So many of one variant. `seen_price_minor` is what the shopper last saw, to tell them when it moved."""

    __tablename__ = "cart_line"
    __table_args__ = (
        UniqueConstraint("cart_id", "variant_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    cart_id: Mapped[int] = mapped_column(ForeignKey("cart.id"), index=True)
    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id"))
    quantity: Mapped[int]
    seen_price_minor: Mapped[int]
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)

    cart: Mapped[Cart] = relationship(back_populates="lines")
    variant: Mapped[Variant] = relationship()
