"""What every catalogue and history format is read into, and how a bad row is reported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

STATUSES = ("active", "hidden", "discontinued")


@dataclass(frozen=True, slots=True)
class VariantRow:
    """What is put into a basket. `options` such as {"colour": "sage"}; price in minor units."""

    sku: str
    options: Mapping[str, str]
    price_minor: int
    stock: int


@dataclass(frozen=True, slots=True)
class ProductRow:
    """One product page as a file states it, already checked.

    `sku` is URL-safe and unique; `category` the names from the root; `variants` empty means one without a choice;
    `components` (sku, quantity) makes it a bundle; without `has_stock` the number is a first guess for a new product;
    `line` is where it began in the file (1-based, 0 = not from a file).
    """

    sku: str
    title: str
    category: tuple[str, ...]
    price_minor: int
    currency: str
    stock: int
    has_stock: bool = True
    description: str = ""
    brand: str = ""
    compare_at_minor: int | None = None
    status: str = "active"
    kind: str = ""
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    image_urls: tuple[str, ...] = ()
    variants: tuple[VariantRow, ...] = ()
    components: tuple[tuple[str, int], ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row stayed out: its line in the file (1-based), the field and what is wrong with it."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.message}"


class EventRow(NamedTuple):
    """One past event: `type` as in the event dictionary, `value` the quantity, `price_minor` of one unit, 0 = unknown.

    `shopper` is the file's own name for the person; `basket` groups purchases into an order, empty = none.
    """

    shopper: str
    item: str
    type: int
    at: datetime
    value: float
    basket: str = ""
    price_minor: int = 0
    line: int = 0
