"""Files that are not what their name says, or end too early: told in words, with the rows before kept."""

import gzip
from pathlib import Path

import pytest

from shop_app.catalog.importing.products import Defaults, product_rows
from shop_app.catalog.importing.rows import ProductRow, RowError
from shop_app.core.errors import InvalidInput

ITEM = b"<item><id>A1</id><title>Mug</title><price>9.00 GBP</price></item>"
BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><channel>&b;</channel></rss>'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("feed.xml", b"no xml at all"),
        ("feed.xml", b"<rss><channel>" + ITEM),
        ("feed.xml", BOMB),
        ("list.csv.gz", gzip.compress(b"sku,title,price\n" + b"A,Mug,9\n" * 500)[:40]),
        ("list.csv.gz", b"no gzip"),
        ("list.parquet", b"PAR1 no parquet"),
    ],
    ids=["text", "half", "entities", "half-gzip", "no-gzip", "parquet"],
)
def test_a_broken_file_is_a_message(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InvalidInput) as refused:
        list(product_rows(path, Defaults("GBP", {})))

    assert path.name in refused.value.fields["file"][0]


def test_lines_nested_beyond_reason_are_one_error_each(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_bytes(b'{"sku":"A","title":"Mug","price":9,"category":"Kitchen"}\n' + b"[" * 100_000 + b"\n")

    first, second = product_rows(path, Defaults("GBP", {}))

    assert isinstance(first, ProductRow)
    assert isinstance(second, RowError)
