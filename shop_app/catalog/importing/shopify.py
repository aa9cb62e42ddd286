"""Shopify's product CSV: several lines a product, joined by their handle; each line a variant, an image, or both.

Column names: https://help.shopify.com/en/manual/products/import-export/using-csv
"""

from collections.abc import Iterable, Iterator, Sequence

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
from shop_app.catalog.importing.files import Record
from shop_app.catalog.importing.rows import ProductRow, RowError, VariantRow

OPTIONS = (1, 2, 3)
STATUS = {"active": "active", "draft": "hidden", "archived": "discontinued", "": "active"}
Lines = list[tuple[int, Record]]


def rows(records: Iterable[tuple[int, Record]], currency: str) -> Iterator[ProductRow | RowError]:
    """One row a handle. A broken variant is reported and left out; a product without any left is reported whole."""
    for lines in _by_handle(records):
        errors: list[RowError] = []
        try:
            row = _product(lines, currency, errors)
        except FieldError as error:
            errors.append(RowError(lines[0][0], error.field, str(error)))
            yield from errors
            continue
        yield from errors
        yield row


def _by_handle(records: Iterable[tuple[int, Record]]) -> Iterator[Lines]:
    """Lines of one handle follow each other in an export."""
    group: Lines = []
    for line, record in records:
        if group and record.get("handle", "").strip() != group[0][1].get("handle", "").strip():
            yield group
            group = []
        group.append((line, record))
    if group:
        yield group


def _product(lines: Lines, currency: str, errors: list[RowError]) -> ProductRow:
    first_line, first = lines[0]
    handle = sku_from("handle", first.get("handle", ""))
    names = [first.get(f"option{n} name", "").strip().lower() for n in OPTIONS]
    variants = _variants(lines, handle, names, currency, errors)
    if not variants:
        raise FieldError("variant price", "no variant of this product can be used")
    has_choice = bool(variants[0].options)
    return ProductRow(
        sku=handle if has_choice else variants[0].sku,
        title=title_from("title", first.get("title", "")),
        description=plain_text(first.get("body (html)", "")),
        brand=first.get("vendor", "").strip(),
        category=_category(first),
        price_minor=min(v.price_minor for v in variants),
        compare_at_minor=_compare_at(first, variants[0].price_minor, currency),
        currency=currency,
        stock=sum(v.stock for v in variants),
        status=_status(first),
        facets=_facets(first, variants),
        image_urls=unique(record.get("image src", "").strip() for _, record in lines),
        variants=tuple(variants) if has_choice else (),
        line=first_line,
    )


def _variants(
    lines: Lines, handle: str, names: Sequence[str], currency: str, errors: list[RowError]
) -> list[VariantRow]:
    found: list[VariantRow] = []
    for line, record in lines:
        if not record.get("variant price", "").strip() and not record.get("option1 value", "").strip():
            continue  # an extra image
        try:
            found.append(_variant(record, handle, names, currency))
        except FieldError as error:
            errors.append(RowError(line, error.field, str(error)))
    return found


def _variant(record: Record, handle: str, names: Sequence[str], currency: str) -> VariantRow:
    options = {}
    for number, name in zip(OPTIONS, names, strict=True):
        value = record.get(f"option{number} value", "").strip()
        if name and value and value.lower() != "default title":
            options["colour" if name == "color" else name] = value
    price, _ = price_from("variant price", record.get("variant price", ""), currency)
    stock = record.get("variant inventory qty", "").strip()
    sku = record.get("variant sku", "").strip().strip("'") or "-".join((handle, *options.values()))
    return VariantRow(
        sku_from("variant sku", sku), options, price, count_from("variant inventory qty", stock) if stock else 0
    )


def _category(record: Record) -> tuple[str, ...]:
    text = record.get("product category", "").strip() or record.get("type", "").strip() or "Other"
    return path_from("product category", text.replace("/", " and ")) if ">" in text else (nice_name(text),)


def _compare_at(record: Record, price: int, currency: str) -> int | None:
    text = record.get("variant compare at price", "").strip()
    was = price_from("variant compare at price", text, currency)[0] if text else 0
    return was if was > price else None


def _status(record: Record) -> str:
    text = record.get("status", "").strip().lower()
    if text not in STATUS:
        raise FieldError("status", "must be active, draft or archived")
    is_published = record.get("published", "true").strip().lower() != "false"
    return STATUS[text] if is_published or STATUS[text] != "active" else "hidden"


def _facets(record: Record, variants: Sequence[VariantRow]) -> dict[str, tuple[str, ...]]:
    facets = {"tags": words_from(record.get("tags", ""))}
    for name in dict.fromkeys(name for variant in variants for name in variant.options):
        facets[name] = unique(variant.options.get(name, "") for variant in variants)
    return {name: values for name, values in facets.items() if values}
