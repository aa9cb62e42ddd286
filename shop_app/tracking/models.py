"""Events, sessions and consent: what the recommender may learn from, and what people allowed."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shop_app.extensions import Base, UtcDateTime

LEFT_OUT_FOR = timedelta(days=30)
"""How long a list does without what somebody turned away from it: a change of season, not for ever."""


def where_set(column: str) -> dict[str, Any]:
    """Index only rows where `column` holds something."""
    condition = text(f"{column} IS NOT NULL")  # nosemgrep: no-built-sql - a column's name
    return dict.fromkeys(("sqlite_where", "postgresql_where"), condition)


class TrackedEvent(Base):
    """One event and how far its delivery got.

    `delivery` is pending → sent, or dead (refused; waits for a person), or merging (waits for `sync.merges`). A leased
    row stays pending under `lease_until`.
    `occurred_at` is the server's reckoning: received − (sent − created), clamped.
    """

    __tablename__ = "tracked_event"
    __table_args__ = (
        Index("ix_tracked_event_due", "delivery", "next_attempt_at", "id"),
        Index("ix_tracked_event_shopper", "shopper_key", "occurred_at"),
        # Most events belong to no list and to no worker: those two indexes leave them out.
        Index("ix_tracked_event_shown", "request_id", "item_id", **where_set("request_id")),
        Index("ix_tracked_event_leased", "lease_token", **where_set("lease_token")),
        Index("ix_tracked_event_kind", "occurred_at", "type"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source_event_id: Mapped[str] = mapped_column(String(80), unique=True)
    type: Mapped[int]
    shopper_key: Mapped[str] = mapped_column(String(40))
    session_id: Mapped[str | None] = mapped_column(String(40))
    item_id: Mapped[str | None] = mapped_column(String(200))
    value: Mapped[float] = mapped_column(default=1.0)
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    client_created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    client_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    surface: Mapped[str | None] = mapped_column(String(60))
    widget: Mapped[str | None] = mapped_column(String(60))
    rank: Mapped[int | None]
    request_id: Mapped[str | None] = mapped_column(String(80))
    recommended: Mapped[bool] = mapped_column(default=False)
    order_number: Mapped[str | None] = mapped_column(String(20), index=True)
    meta: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    device: Mapped[str] = mapped_column(String(10), default="")  # phone | tablet | desktop; empty: imported
    is_bot: Mapped[bool] = mapped_column(default=False)
    is_qa: Mapped[bool] = mapped_column(default=False)
    delivery: Mapped[str] = mapped_column(String(10), default="pending")
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_token: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(500))
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_path: Mapped[str | None] = mapped_column(String(200))
    error_schema: Mapped[int | None]  # version of the event schema it was last refused under; outlives a requeue
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ConsentRecord(Base):
    """One decision about tracking. The newest row of a key counts."""

    __tablename__ = "consent_record"

    id: Mapped[int] = mapped_column(primary_key=True)
    shopper_key: Mapped[str] = mapped_column(String(40), index=True)
    analytics: Mapped[bool]
    personalisation: Mapped[bool]
    text_version: Mapped[str] = mapped_column(String(20))
    text_hash: Mapped[str] = mapped_column(String(64))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Complaint(Base):
    """Somebody said of a list that it is not for them: of each answer of the recommender once, if named.

    `request_id` is empty when no recommender chose the list; `shopper_key` when the person did not agree to be counted.
    `turned_away` is what the list showed, by item id in its order, if the person agreed to personalisation: their lists
    of this place do without it for `LEFT_OUT_FOR`. Nothing when they took it back, and after that time.
    """

    __tablename__ = "complaint"
    __table_args__ = (
        UniqueConstraint("request_id", "shopper_key"),  # one answer may be shown to several people
        Index("ix_complaint_place", "at", "surface", "widget"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    surface: Mapped[str] = mapped_column(String(60))
    widget: Mapped[str] = mapped_column(String(60))
    request_id: Mapped[str | None] = mapped_column(String(80))
    shopper_key: Mapped[str | None] = mapped_column(String(40), index=True)
    is_qa: Mapped[bool] = mapped_column(default=False)
    turned_away: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))


class Tombstone(Base):
    """Somebody asked to be forgotten. Only a hash of the key is kept, to stop old queues from bringing them back."""

    __tablename__ = "tombstone"

    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(UtcDateTime)
