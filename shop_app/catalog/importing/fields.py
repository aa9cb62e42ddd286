"""Single values of a file: prices, counts, SKUs, lists. Each says what is wrong in words a merchant understands."""

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from html import unescape

import nh3

from shop_app.core.money import MINOR_DIGITS

SKU_UNSAFE = re.compile(r"[^A-Za-z0-9._~-]+")
MAX_SKU = 100
MAX_TITLE = 300
MAX_PRICE_MINOR = 10**11
MAX_STOCK = 10**7
_AMOUNT = re.compile(r"(?P<before>[A-Z]{3})?\s*[£$€]?\s*(?P<number>-?[\d.,]+)\s*(?P<after>[A-Z]{3})?")


class FieldError(ValueError):
    """A value that cannot be used; `field` is the file's own name for it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def sku_from(field: str, text: str) -> str:
    """A URL-safe SKU: whatever is not a letter, digit, dot, tilde, hyphen or underscore becomes one hyphen."""
    sku = SKU_UNSAFE.sub("-", text.strip()).strip("-._~")[:MAX_SKU]
    if not sku:
        raise FieldError(field, "is missing")
    return sku


def title_from(field: str, text: str) -> str:
    """The title, spaces tidied; one that shouts in capitals is written as a sentence."""
    title = re.sub(r"\s+", " ", text).strip(" ,")[:MAX_TITLE]
    if not title:
        raise FieldError(field, "is missing")
    return title.capitalize() if title.isupper() and len(title) > 4 else title


def price_from(field: str, text: str, currency: str) -> tuple[int, str]:
    """Minor units and currency of `12.50`, `£1,234.50`, `12,50 EUR`, `USD 9.99`; `currency` when none is named."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise FieldError(field, f"is not an amount: {text.strip()[:40]!r}" if text.strip() else "is missing")
    code = match["after"] or match["before"] or currency
    try:
        amount = Decimal(_plain_number(match["number"]))
    except InvalidOperation:
        raise FieldError(field, f"is not an amount: {text.strip()[:40]!r}") from None
    minor = int((amount.scaleb(MINOR_DIGITS.get(code, 2))).to_integral_value(rounding="ROUND_HALF_UP"))
    if not 0 <= minor <= MAX_PRICE_MINOR:
        raise FieldError(field, "must not be negative or absurdly large")
    return minor, code


def count_from(field: str, text: str) -> int:
    """A whole number of things, 0 to ten million; `12.0` passes, below zero counts as none left."""
    try:
        number = float(text.strip())
    except ValueError:
        raise FieldError(field, f"is not a number: {text.strip()[:40]!r}") from None
    if not number.is_integer() or number > MAX_STOCK:
        raise FieldError(field, f"is not a count: {text.strip()[:40]!r}")
    return max(0, int(number))


def path_from(field: str, text: str) -> tuple[str, ...]:
    """Category names from the root: split at ` > `, `>`, `/` or `|`; at most four levels."""
    names = [name.strip() for name in re.split(r"\s*[>|/]\s*", text) if name.strip()]
    if not names:
        raise FieldError(field, "is missing")
    return tuple(nice_name(name) for name in names[:4])


def nice_name(name: str) -> str:
    """`mens-watches` and `GROCERY` as people write them."""
    plain = re.sub(r"\s+", " ", name.replace("-", " ").replace("_", " ")).strip()
    return plain.capitalize() if plain.isupper() or plain.islower() else plain


def plain_text(html: str) -> str:
    """The words of a description, without tags, scripts and styles; text without any tag stays as it is.

    A browser's own parser (nh3) decides what a tag is, so that nothing half-closed gets through.
    """
    if "<" not in html and "&" not in html:
        return html.strip()
    apart = re.sub(r"(?i)(</?(?:p|br|li|ul|ol|div|tr|td|th|h[1-6])\b)", r" \1", html)  # so that words stay apart
    return re.sub(r"\s+", " ", unescape(nh3.clean(apart, tags=set()))).strip()


def words_from(text: str) -> tuple[str, ...]:
    """A list in one cell, at commas, bars or semicolons; no repeats, order kept."""
    return unique(part.strip() for part in re.split(r"[,|;]", text))


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Without repeats and empties, order kept."""
    return tuple(dict.fromkeys(value for value in values if value))


def _plain_number(text: str) -> str:
    """A comma before the last one or two digits is a decimal comma; every other one groups thousands."""
    if re.search(r",\d{1,2}$", text) and text.count(",") == 1:
        return text.replace(".", "").replace(",", ".")
    return text.replace(",", "")
