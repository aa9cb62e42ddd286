"""How each stream to Recsys is doing, and how far a replay of the log got."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from shop_app.extensions import Base, UtcDateTime


class SinkState(Base):
    """One stream: events, items or users. Shared by every worker, so that one's trouble slows the others too."""

    __tablename__ = "sink_state"

    name: Mapped[str] = mapped_column(String(10), primary_key=True)
    batch_size: Mapped[int]
    at_once: Mapped[int] = mapped_column(default=1, server_default="1")  # batches under way at a time, all workers
    failures: Mapped[int] = mapped_column(default=0)  # in a row
    open_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(String(500))
    last_success_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_failure_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Replay(Base):
    """One pass over the whole event log. Killed and started again it goes on after `last_event_id`."""

    __tablename__ = "replay"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_event_id: Mapped[int] = mapped_column(default=0)
    sent: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Filling(Base):
    """The first filling of a shop: with what, from when it counts, and whether all of it is in.

    One row at most. A filling that was interrupted goes on with the same moment, so that a history moved towards now
    lands on the same days and nothing comes in twice.
    """

    __tablename__ = "filling"

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(1000))  # a folder, or the name of a scenario
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
