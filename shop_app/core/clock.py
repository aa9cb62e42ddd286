"""The time, handed in. Everything is aware UTC."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time in aware UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock, plus an offset that QA mode may set to travel in time."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        """Move the hands forward."""
        self.at += by
