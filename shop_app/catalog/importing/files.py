"""Opening a catalogue file and telling which of the formats it is."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError

from shop_app.core.errors import InvalidInput
from shop_app.core.lazily import Lazily

arrow, parquet = Lazily("pyarrow"), Lazily("pyarrow.parquet")


class BrokenTable(Exception):
    """A Parquet file that is none, or that ends too early."""


csv.field_size_limit(4_000_000)
FORMATS = ("csv", "tsv", "jsonl", "parquet", "shopify", "google-tsv", "google-xml")
Record = Mapping[str, str]
BROKEN = (csv.Error, ParseError, DefusedXmlException, BrokenTable, gzip.BadGzipFile, EOFError, zlib.error)
"""What readers raise about a file that is not what its name says, or that ends too early."""


def format_of(path: Path) -> str:
    """One of `FORMATS`, by the name's ending and the header.

    Raises:
        InvalidInput: none of them.

    """
    name = path.name.removesuffix(".gz").lower()
    if name.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    if name.endswith(".xml"):
        return "google-xml"
    if name.endswith(".parquet"):
        return "parquet"
    if not name.endswith((".csv", ".tsv", ".txt")):
        raise InvalidInput({"file": [f"{path.name}: expected .csv, .tsv, .jsonl or .xml, plain or .gz, or .parquet"]})
    with open_text(path) as text:
        header = text.readline().lower()
    if "handle" in header and "variant price" in header:
        return "shopify"
    if "\t" in header:
        return "google-tsv" if "availability" in header else "tsv"
    return "csv"


def open_text(path: Path) -> TextIO:
    """The file as text: UTF-8 with or without a byte-order mark, plain or gzipped; odd bytes become �."""
    raw = gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb")  # noqa: SIM115 - the wrapper below closes it
    return io.TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="")


def table_records(path: Path, delimiter: str) -> Iterator[tuple[int, Record]]:
    """Line number and cells by lower-case header, without missing ones; the line is where the record begins."""
    with open_text(path) as text:
        reader = csv.reader(text, delimiter=delimiter)
        header = [name.strip().lower() for name in next(reader, [])]
        line = reader.line_num + 1
        for cells in reader:
            if any(cells):
                yield line, dict(zip(header, cells, strict=False))
            line = reader.line_num + 1


def parquet_records(path: Path) -> Iterator[tuple[int, Record]]:
    """Number of the row (from 1) and its values as text, without missing ones.

    Raises:
        BrokenTable: it cannot be read, or not to its end.

    """
    for line, row in enumerate(_parquet_rows(path), start=1):
        yield line, {name.lower(): str(value) for name, value in row.items() if value is not None}


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=2000):
            yield from batch.to_pylist()
    except arrow.ArrowException as error:
        raise BrokenTable(str(error)) from error


def json_records(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Line number and object of each non-empty line; None where a line is not a JSON object."""
    with open_text(path) as text:
        for line, content in enumerate(text, start=1):
            if content.strip():
                yield line, _json_object(content)


def _json_object(content: str) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return {str(key).lower(): item for key, item in value.items()} if isinstance(value, dict) else None
