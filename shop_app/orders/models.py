"""Orders. One exists only when it is paid: a payment attempt carries what leads to it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shop_app.cart.models import AttributionColumns
from shop_app.extensions import Base, UtcDateTime

ERASED_EMAIL = "erased"
"""Stands in an order whose person asked to be forgotten; the events of such an order are gone on purpose."""


class PaymentAttempt(Base):
    """One try to pay for a cart, under the idempotency key of its checkout form.

    `status`: started → placed (its order exists, the money is still to be taken) → captured; or action_required and
    unknown (timed out), which become one of the others; or declined; or voiding → voided (no order, money let go).
    """

    __tablename__ = "payment_attempt"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(80), unique=True)
    cart_id: Mapped[int] = mapped_column(ForeignKey("cart.id"), index=True)
    shopper_key: Mapped[str] = mapped_column(String(40))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    provider: Mapped[str] = mapped_column(String(20))
    provider_ref: Mapped[str | None] = mapped_column(String(80), unique=True)
    status: Mapped[str] = mapped_column(String(20), default="started")
    checkout: Mapped[dict[str, Any]] = mapped_column(JSON)  # the valid form: e-mail, address, delivery
    error: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PaymentNotice(Base):
    """A webhook seen before is not acted on again."""

    __tablename__ = "payment_notice"

    id: Mapped[int] = mapped_column(primary_key=True)
    notice_id: Mapped[str] = mapped_column(String(80), unique=True)
    provider_ref: Mapped[str] = mapped_column(String(80), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SandboxPayment(Base):
    """What the sandbox provider remembers: it stands for another company's database."""

    __tablename__ = "sandbox_payment"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(80), unique=True)
    ref: Mapped[str] = mapped_column(String(80), unique=True)
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    method: Mapped[str] = mapped_column(String(30))
    state: Mapped[str] = mapped_column(String(20))  # a PaymentState, or captured, refunded
    return_url: Mapped[str] = mapped_column(String(300))
    answers_at: Mapped[datetime] = mapped_column(UtcDateTime)  # before this moment `status` still says pending
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Order(Base):
    """A paid order. `status`: placed, shipped, cancelled, refunded."""

    __tablename__ = "order"
    __table_args__ = (Index("ix_order_shopper", "shopper_key", "placed_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    idempotency_key: Mapped[str] = mapped_column(String(80), unique=True)
    shopper_key: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    address: Mapped[dict[str, Any]] = mapped_column(JSON)
    delivery_method: Mapped[str] = mapped_column(String(20))
    currency: Mapped[str] = mapped_column(String(3))
    subtotal_minor: Mapped[int]
    delivery_minor: Mapped[int]
    total_minor: Mapped[int]
    status: Mapped[str] = mapped_column(String(15), default="placed")
    placed_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    access_token: Mapped[str] = mapped_column(String(40))  # lets a guest open their own order
    is_imported: Mapped[bool] = mapped_column(default=False)

    lines: Mapped[list["OrderLine"]] = relationship(
        back_populates="order", order_by="OrderLine.position", cascade="all, delete-orphan"
    )


class OrderLine(AttributionColumns, Base):
    """So many of one variant at the price of that moment, with the attribution of its cart line."""

    __tablename__ = "order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "position"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"))  # indexed by the constraint above
    position: Mapped[int]  # 1-based; `order:<number>:<position>` is its purchase event
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    variant_id: Mapped[int | None] = mapped_column(ForeignKey("variant.id"))
    item_id: Mapped[str] = mapped_column(String(100))  # the product's SKU at Recsys
    sku: Mapped[str] = mapped_column(String(100))
    title: Mapped[str] = mapped_column(String(300))
    quantity: Mapped[int]
    unit_price_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))

    order: Mapped[Order] = relationship(back_populates="lines")
