"""What the recommender's work was worth and cost, counted by the minute. Nobody is named."""

from datetime import datetime
from typing import ClassVar, Final

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from shop_app.extensions import Base, UtcDateTime

BOUNDS_MS: Final = (10, 25, 50, 100, 200, 300, 500, 1000)
"""Upper bounds of the time classes; the slowest answers are in no class, only in `answers`."""


class AnswerMinute(Base):
    """Answers of one slot in one minute (in one hour, once they are old) that ended alike.

    `source` says whose list was shown: model, cached (an earlier list of the model, because it could not be asked),
    fallback (best sellers) or none. `reason` says why it was not a fresh one: empty text when it was, else late,
    failed, empty or off. `hits` were answered from the memory of this process, within seconds of the same question.
    `within_…` are cumulative counts: answers that took that many milliseconds or less.
    """

    __tablename__ = "answer_minute"
    place: ClassVar = ("slot", "source", "reason")
    sums: ClassVar = ("answers", "hits", "took_us", "cpu_us", *(f"within_{bound}" for bound in BOUNDS_MS))

    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    slot: Mapped[str] = mapped_column(String(60), primary_key=True)
    source: Mapped[str] = mapped_column(String(10), primary_key=True)
    reason: Mapped[str] = mapped_column(String(10), primary_key=True)
    answers: Mapped[int]
    hits: Mapped[int]
    took_us: Mapped[int] = mapped_column(BigInteger)
    cpu_us: Mapped[int] = mapped_column(BigInteger)
    within_10: Mapped[int]
    within_25: Mapped[int]
    within_50: Mapped[int]
    within_100: Mapped[int]
    within_200: Mapped[int]
    within_300: Mapped[int]
    within_500: Mapped[int]
    within_1000: Mapped[int]


class CallMinute(Base):
    """Calls of one verb of the recommender in one minute (or hour) that ended alike: ok, rejected or unavailable.

    `things` are the events, items or users that were sent, or the items that came back. `wire_bytes` is what went over
    the network both ways: 0 for the engine in the process.
    """

    __tablename__ = "call_minute"
    place: ClassVar = ("verb", "outcome")
    sums: ClassVar = ("calls", "things", "took_us", "cpu_us", "wire_bytes")

    minute: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    verb: Mapped[str] = mapped_column(String(30), primary_key=True)
    outcome: Mapped[str] = mapped_column(String(12), primary_key=True)
    calls: Mapped[int]
    things: Mapped[int] = mapped_column(BigInteger)
    took_us: Mapped[int] = mapped_column(BigInteger)
    cpu_us: Mapped[int] = mapped_column(BigInteger)
    wire_bytes: Mapped[int] = mapped_column(BigInteger)
