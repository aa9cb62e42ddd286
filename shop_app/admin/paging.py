"""Pages of a long list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Generic, TypeVar

Row = TypeVar("Row")
PAGE_SIZE = 50
MAX_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Listing(Generic[Row]):
    """The rows of one page (1-based) of `total` rows."""

    rows: Sequence[Row]
    total: int
    page: int
    size: int = PAGE_SIZE

    @property
    def pages(self) -> int:
        return max(1, ceil(self.total / self.size))


def page_number(args: Mapping[str, str]) -> int:
    """`page` of a query string; anything unreadable is the first page."""
    text = args.get("page", "1")
    return min(MAX_PAGE, max(1, int(text))) if text.isascii() and text.isdigit() else 1
