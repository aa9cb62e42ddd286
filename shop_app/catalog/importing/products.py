"""Product rows out of any catalogue file the shop reads: tables, JSON lines, Shopify exports, Google Merchant feeds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shop_app.catalog.importing import google, shopify
from shop_app.catalog.importing.fields import (
    FieldError,
    count_from,
    nice_name,
    path_from,
    plain_text,
    price_from,
    sku_from,
    title_from,
    unique,
    words_from,
)
from shop_app.catalog.importing.files import BROKEN, Record, format_of, json_records, parquet_records, table_records
from shop_app.catalog.importing.rows import STATUSES, ProductRow, RowError, VariantRow
from shop_app.core.errors import InvalidInput

FIRST_STOCK = 50
"""What a new product gets when its file does not speak of stock. An existing one keeps what it has."""
NAMES = {
    "sku": ("sku", "item", "id", "product_id", "item_id", "code", "stockcode"),
    "title": ("title", "name", "product_name", "product_type", "product_category"),
    "description": ("description", "body", "text", "long_description"),
    "brand": ("brand", "vendor", "manufacturer"),
    "price": ("price", "price_major", "unit_price"),
    "compare_at": ("compare_at", "compare_at_price", "was", "list_price"),
    "currency": ("currency",),
    "stock": ("stock", "current_stock", "quantity", "inventory", "qty"),
    "status": ("status",),
    "image": ("image", "image_url", "image_urls", "images", "image_link"),
    "colour": ("colour", "color"),
    "material": ("material",),
    "size": ("size", "package_size"),
    "tags": ("tags", "labels"),
    "style": ("style", "gender_affinity"),
}
"""What a column may be called, best first."""
CATEGORY_LEVELS = (("category_path",), ("department", "category", "product_category"), ("subcategory", "product_type"))
FACETS = ("colour", "material", "size", "tags")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a file leaves out: the shop's currency, and prices learned elsewhere, in minor units by SKU."""

    currency: str
    prices: Mapping[str, int]


def product_rows(path: Path, defaults: Defaults) -> Iterator[ProductRow | RowError]:
    """Every product of a file in its order, and a `RowError` for each that cannot be used.

    Raises:
        InvalidInput: the file's format is none of ours, or it breaks off in the middle; the rows before that came.

    """
    with _broken_told(path.name):
        rows = READERS[format_of(path)](path, defaults)
    return _until_it_breaks(path.name, rows)


def _until_it_breaks(name: str, rows: Iterator[ProductRow | RowError]) -> Iterator[ProductRow | RowError]:
    with _broken_told(name):
        yield from rows


@contextmanager
def _broken_told(name: str) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise InvalidInput({"file": [f"{name} cannot be read any further: {error}"]}) from error


def _table(delimiter: str) -> "Reader":
    def read(path: Path, defaults: Defaults) -> Iterator[ProductRow | RowError]:
        return plain_rows(table_records(path, delimiter), defaults)

    return read


def plain_rows(records: Iterable[tuple[int, Record]], defaults: Defaults) -> Iterator[ProductRow | RowError]:
    """Rows of a plain table: one product a line, columns by their usual names (`NAMES`)."""
    for line, record in records:
        try:
            yield _plain_row(line, record, defaults)
        except FieldError as error:
            yield RowError(line, error.field, str(error))


def _plain_row(line: int, record: Record, defaults: Defaults) -> ProductRow:
    sku = sku_from(*_cell(record, "sku"))
    price, currency = _price(record, sku, defaults)
    title, description = title_from(*_cell(record, "title")), plain_text(_cell(record, "description")[1])
    stock_field, stock = _cell(record, "stock")
    return ProductRow(
        sku=sku,
        title=title,
        category=_category(record),
        price_minor=price,
        currency=currency,
        stock=count_from(stock_field, stock) if stock.strip() else FIRST_STOCK,
        has_stock=bool(stock.strip()),
        description="" if description.casefold() == title.casefold() else description,
        brand=nice_name(_cell(record, "brand")[1]),
        compare_at_minor=_compare_at(record, price, currency),
        status=_status(record),
        facets=_facets(record),
        image_urls=tuple(url for url in words_from(_cell(record, "image")[1]) if url.startswith(("https://", "/"))),
        line=line,
    )


def _cell(record: Record, name: str) -> tuple[str, str]:
    """The column that holds `name` and its text; the first usual name when there is no such column."""
    for column in NAMES[name]:
        if str(record.get(column) or "").strip():
            return column, str(record[column])
    return next((column for column in NAMES[name] if column in record), NAMES[name][0]), ""


def _price(record: Record, sku: str, defaults: Defaults) -> tuple[int, str]:
    currency = _cell(record, "currency")[1].strip().upper() or defaults.currency
    field, text = _cell(record, "price")
    if not text.strip() and sku in defaults.prices:
        return defaults.prices[sku], currency
    return price_from(field, text, currency)


def _compare_at(record: Record, price: int, currency: str) -> int | None:
    field, text = _cell(record, "compare_at")
    was = price_from(field, text, currency)[0] if text.strip() else 0
    return was if was > price else None


def _category(record: Record) -> tuple[str, ...]:
    parts = [next((record[c] for c in level if str(record.get(c) or "").strip()), "") for level in CATEGORY_LEVELS]
    if parts[0]:
        return path_from("category_path", parts[0])
    names = [name for text in parts[1:] if text for name in path_from("category", text)]
    if not names:
        raise FieldError("category", "is missing")
    return unique(names)[:4]


def _status(record: Record) -> str:
    field, text = _cell(record, "status")
    status = text.strip().lower() or "active"
    status = {"draft": "hidden", "archived": "discontinued"}.get(status, status)
    if status not in STATUSES:
        raise FieldError(field, f"must be one of {', '.join(STATUSES)}")
    return status


def _facets(record: Record) -> dict[str, tuple[str, ...]]:
    found = {name: words_from(_cell(record, name)[1]) for name in FACETS}
    return {name: values for name, values in found.items() if values}


def _json(path: Path, defaults: Defaults) -> Iterator[ProductRow | RowError]:
    """JSON lines: the same names as a table; lists may be lists; `variants` and `components` as objects."""
    for line, record in json_records(path):
        if record is None:
            yield RowError(line, "line", "is not a JSON object")
            continue
        try:
            yield _json_row(line, record, defaults)
        except FieldError as error:
            yield RowError(line, error.field, str(error))


def _json_row(line: int, record: dict[str, Any], defaults: Defaults) -> ProductRow:
    flat = {name: _as_text(value) for name, value in record.items()}
    if isinstance(record.get("category"), list):
        flat["category_path"] = ">".join(map(str, record["category"]))
    variants = tuple(_json_variant(entry, defaults.currency) for entry in record.get("variants") or ())
    if variants and not flat.get("price"):
        flat["price"] = "0"
    facets = record.get("facets")
    row = _plain_row(line, flat, defaults)
    if isinstance(facets, dict):
        row = replace(row, facets={str(k).lower(): unique(_as_list(v)) for k, v in facets.items()})
    if variants:
        row = replace(row, variants=variants, price_minor=min(v.price_minor for v in variants), has_stock=True)
        row = replace(row, stock=sum(v.stock for v in variants))
    components = tuple((str(c.get("sku")), int(c.get("quantity", 1))) for c in record.get("components") or ())
    return replace(row, components=components, kind=str(record.get("kind") or ""))


def _json_variant(entry: Any, currency: str) -> VariantRow:
    if not isinstance(entry, dict):
        raise FieldError("variants", "must be objects")
    options = {str(k).lower(): str(v) for k, v in (entry.get("options") or {}).items()}
    price, _ = price_from("variants.price", str(entry.get("price") or ""), currency)
    stock = count_from("variants.stock", str(entry.get("stock", FIRST_STOCK)))
    return VariantRow(sku_from("variants.sku", str(entry.get("sku") or "")), options, price, stock)


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(str(item) for item in value if not isinstance(item, dict))
    return "" if value is None or isinstance(value, dict) else str(value)


def _as_list(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


Reader = Callable[[Path, Defaults], Iterator[ProductRow | RowError]]
READERS: dict[str, Reader] = {
    "csv": _table(","),
    "tsv": _table("\t"),
    "jsonl": _json,
    "parquet": lambda path, defaults: plain_rows(parquet_records(path), defaults),
    "shopify": lambda path, defaults: shopify.rows(table_records(path, ","), defaults.currency),
    "google-tsv": lambda path, defaults: google.rows(table_records(path, "\t"), defaults.currency),
    "google-xml": lambda path, defaults: google.rows(google.xml_records(path), defaults.currency),
}
