"""The days a page talks about. They are whole UTC days, so that a sum of days is the sum of the period."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from shop_app.core.errors import InvalidInput

DEFAULT_DAYS = 28
MAX_DAYS = 731
PRESETS = ((1, "Today"), (7, "7 days"), (28, "28 days"), (90, "90 days"))


@dataclass(frozen=True, slots=True)
class Period:
    """From the start of `first` to the end of `last`, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def start(self) -> datetime:
        """The first moment inside."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first moment after."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC)

    def each_day(self) -> list[date]:
        """Every day, oldest first."""
        return [self.first + timedelta(days=n) for n in range(self.days)]

    def previous(self) -> "Period":
        """The equally long period just before."""
        return Period(self.first - timedelta(days=self.days), self.first - timedelta(days=1))

    def text(self) -> str:
        """For people: `3 Feb – 2 Mar 2026`."""
        if self.first == self.last:
            return f"{self.last.day} {self.last:%b %Y}"
        year = "" if self.first.year == self.last.year else f" {self.first.year}"
        return f"{self.first.day} {self.first:%b}{year} – {self.last.day} {self.last:%b %Y}"


def last_days(days: int, today: date) -> Period:
    """The `days` days that end with `today`."""
    return Period(today - timedelta(days=days - 1), today)


def parse_period(args: Mapping[str, str], today: date, default_days: int = DEFAULT_DAYS) -> Period:
    """Read `from` and `to` (ISO days) of a query string; without them the last `default_days` days.

    Raises:
        InvalidInput: a day is not a day, the order is wrong, or the period is longer than two years.

    """
    last = _day(args.get("to"), "to") or today
    first = _day(args.get("from"), "from") or last - timedelta(days=default_days - 1)
    if first > last:
        raise InvalidInput({"from": ["is after the last day"]})
    if (last - first).days >= MAX_DAYS:
        raise InvalidInput({"from": [f"the period is longer than {MAX_DAYS} days"]})
    return Period(first, last)


def _day(text: str | None, field: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput({field: [f"{text!r} is not a day such as 2026-03-01"]}) from error
