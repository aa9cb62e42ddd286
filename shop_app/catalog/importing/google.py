"""Google Merchant Center product feeds, as XML (RSS or Atom) and as tab-separated text.

Attributes: https://support.google.com/merchants/answer/7052112
"""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from defusedxml.ElementTree import iterparse

from shop_app.catalog.importing.fields import (
    FieldError,
    count_from,
    path_from,
    plain_text,
    price_from,
    sku_from,
    title_from,
    unique,
)
from shop_app.catalog.importing.files import Record
from shop_app.catalog.importing.rows import ProductRow, RowError, VariantRow

IN_STOCK = {"in_stock": True, "in stock": True, "preorder": True, "backorder": True, "out_of_stock": False}
UNCOUNTED_STOCK = 50
"""What "in stock" counts for when a feed gives no number."""
OPTIONS = ("color", "size", "material", "pattern")
SPELLING = {"color": "colour"}
Lines = list[tuple[int, Record]]


def rows(records: Iterable[tuple[int, Record]], currency: str) -> Iterator[ProductRow | RowError]:
    """One row a product; items that share an `item_group_id` are its variants, wherever they stand in the feed."""
    for lines in _by_group(records):
        errors: list[RowError] = []
        good = [entry for entry in lines if _is_usable(*entry, currency, errors)]
        yield from errors
        if good:
            yield _product(good, currency)


def xml_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Number of the item in the feed (from 1) and its texts by local name; a repeated name joins with `|`."""
    with _open(path) as stream:
        number = 0
        for _, node in iterparse(stream, events=("end",), forbid_dtd=True):
            if _local(node.tag) in {"item", "entry"}:
                number += 1
                yield number, _texts(node)
                node.clear()


def _by_group(records: Iterable[tuple[int, Record]]) -> Iterator[Lines]:
    groups: dict[str, Lines] = {}
    for line, record in records:
        key = record.get("item_group_id", "").strip() or f"\0{line}"
        groups.setdefault(key, []).append((line, record))
    return iter(groups.values())


def _is_usable(line: int, record: Record, currency: str, errors: list[RowError]) -> bool:
    try:
        _variant(record, currency)
        title_from("title", record.get("title", ""))
        _stock(record)
    except FieldError as error:
        errors.append(RowError(line, error.field, str(error)))
        return False
    return True


def _product(lines: Lines, currency: str) -> ProductRow:
    line, first = lines[0]
    variants = [_variant(record, currency) for _, record in lines]
    has_choice = len(variants) > 1
    group = first.get("item_group_id", "").strip()
    full, code = price_from("price", first.get("price", ""), currency)
    lowest = min(v.price_minor for v in variants)
    return ProductRow(
        sku=sku_from("item_group_id", group) if has_choice else variants[0].sku,
        title=title_from("title", first.get("title", "")),
        description=plain_text(first.get("description", "")),
        brand=first.get("brand", "").strip(),
        category=path_from(
            "product_type", first.get("product_type", "") or first.get("google_product_category", "") or "Other"
        ),
        price_minor=lowest,
        compare_at_minor=full if full > lowest else None,
        currency=code,
        stock=sum(v.stock for v in variants),
        facets=_facets(first, variants),
        image_urls=unique(
            url for _, record in lines for url in (record.get("image_link", ""), *_more_images(record)) if url
        ),
        variants=tuple(variants) if has_choice else (),
        line=line,
    )


def _variant(record: Record, currency: str) -> VariantRow:
    price, code = price_from("price", record.get("price", ""), currency)
    sale = record.get("sale_price", "").strip()
    if sale:
        price = min(price, price_from("sale_price", sale, code)[0])
    options = {SPELLING.get(name, name): record[name].strip() for name in OPTIONS if record.get(name, "").strip()}
    return VariantRow(sku_from("id", record.get("id", "")), options, price, _stock(record))


def _stock(record: Record) -> int:
    text = record.get("availability", "").strip().lower() or "in_stock"
    if text.replace(" ", "_") not in IN_STOCK:
        raise FieldError("availability", f"is not known: {text[:40]!r}")
    if not IN_STOCK[text.replace(" ", "_")]:
        return 0
    counted = record.get("quantity", "").strip()
    return count_from("quantity", counted) if counted else UNCOUNTED_STOCK


def _facets(record: Record, variants: list[VariantRow]) -> dict[str, tuple[str, ...]]:
    facets = {
        name: unique(variant.options.get(name, "") for variant in variants)
        for name in ("colour", "size", "material", "pattern")
    }
    facets["condition"] = unique([record.get("condition", "").strip()])
    return {name: values for name, values in facets.items() if values and values != ("new",)}


def _more_images(record: Record) -> list[str]:
    return record.get("additional_image_link", "").replace(",", "|").split("|")


def _texts(node: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in node:
        name, text = _local(child.tag), (child.text or "").strip()
        found[name] = f"{found[name]}|{text}" if name in found and text else text or found.get(name, "")
    return found


def _local(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")  # type: ignore[return-value]  # GzipFile reads bytes
