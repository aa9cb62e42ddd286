"""One row per entity that Recsys does not know the latest of. It carries a version and no payload."""

from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shop_app.extensions import Base, UtcDateTime


class ChangedEntity(Base):
    """This item or user changed. The row goes when Recsys has what its version says."""

    __tablename__ = "changed_entity"
    __table_args__ = (
        UniqueConstraint("kind", "entity_id"),
        Index("ix_changed_entity_due", "kind", "next_attempt_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))  # item | user
    entity_id: Mapped[int]
    version: Mapped[int] = mapped_column(default=1)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_token: Mapped[str | None] = mapped_column(String(40))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(500))
