"""What the basket's forms may send."""

from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from shop_app.core.attribution import Attribution, parse_attribution
from shop_app.core.errors import InvalidInput

MAX_SKU_CHARS = 100


@dataclass(frozen=True, slots=True)
class AddForm:
    """A variant, how many, and where the shopper met it."""

    sku: str
    quantity: int
    place: Attribution | None


def parse_add(form: MultiDict[str, str]) -> AddForm:
    """Read `sku`, `quantity` (1 when left out) and `via`.

    Raises:
        InvalidInput: no SKU, or the quantity is not a whole number from 1 to 999.

    """
    sku = form.get("sku", "").strip()
    if not sku or len(sku) > MAX_SKU_CHARS:
        raise InvalidInput({"sku": ["Choose one of the options first."]})
    return AddForm(sku, parse_quantity(form.get("quantity", "1"), lowest=1), parse_attribution(form.get("via")))


def parse_quantity(text: str, *, lowest: int = 0) -> int:
    """A whole number from `lowest` to 999.

    Raises:
        InvalidInput: it is not.

    """
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit()) or not lowest <= int(stripped[:4]) <= 999 or len(stripped) > 3:
        raise InvalidInput({"quantity": [f"Quantity is a whole number from {lowest} to 999."]})
    return int(stripped)
