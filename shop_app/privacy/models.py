"""Erasures on their way to Recsys."""

from datetime import datetime

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from shop_app.extensions import Base, UtcDateTime


class Erasure(Base):
    """Keys Recsys must forget. They are forgotten twice, the second time when no batch from before can be under way."""

    __tablename__ = "erasure"

    id: Mapped[int] = mapped_column(primary_key=True)
    keys: Mapped[list[str]] = mapped_column(JSON)  # emptied when all is done
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    rounds_left: Mapped[int] = mapped_column(default=2)
    last_error: Mapped[str | None] = mapped_column(String(500))
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
