"""Reading what an address asks of a listing, and writing it back: the address is the state."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shop_app.catalog.listing import SORTS, Narrowing
from shop_app.core.errors import InvalidInput
from shop_app.core.money import Money, parse_money

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

RESERVED = {"q", "min", "max", "stock", "sort", "page", "via"}
"""Everything else in the address is a facet."""
MOST_VALUES, MOST_PAGES = 20, 10_000


def read_narrowing(args: "MultiDict[str, str]", currency: str) -> Narrowing:
    """What is narrowed; whatever cannot be read is left out, since addresses are pasted and mangled."""
    names = [name for name in args if name not in RESERVED][:MOST_VALUES]
    chosen = {name: frozenset(v for v in args.getlist(name)[:MOST_VALUES] if v) for name in names}
    sort, page = args.get("sort", ""), args.get("page", "")
    return Narrowing(
        chosen={name: values for name, values in chosen.items() if values},
        min_minor=_price(args.get("min", ""), currency),
        max_minor=_price(args.get("max", ""), currency),
        with_sold_out=args.get("stock") == "all",
        sort=sort if sort in SORTS else "",
        page=min(int(page), MOST_PAGES) if page.isascii() and page.isdigit() else 1,
    )


def address_args(narrowing: Narrowing, currency: str, text: str = "") -> dict[str, str | list[str]]:
    """The address that `read_narrowing` reads back; defaults are left out, the order is stable."""
    args: dict[str, str | list[str]] = {"q": text} if text else {}
    args |= {name: sorted(values) for name, values in sorted(narrowing.chosen.items())}
    args |= _prices(narrowing, currency)
    if narrowing.with_sold_out:
        args["stock"] = "all"
    if narrowing.sort:
        args["sort"] = narrowing.sort
    if narrowing.page > 1:
        args["page"] = str(narrowing.page)
    return args


def _prices(narrowing: Narrowing, currency: str) -> Mapping[str, str]:
    ends: Sequence[tuple[str, int | None]] = (("min", narrowing.min_minor), ("max", narrowing.max_minor))
    return {name: plain_amount(minor, currency) for name, minor in ends if minor is not None}


def plain_amount(minor: int, currency: str) -> str:
    """Major units without symbol or needless zeros, as a price field shows them: 12, 12.5."""
    text = f"{Money(minor, currency).decimal():f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _price(text: str, currency: str) -> int | None:
    try:
        minor = parse_money(text, currency).minor if text.strip() else None
    except InvalidInput:
        return None
    return minor if minor is not None and 0 <= minor < 10**11 else None
