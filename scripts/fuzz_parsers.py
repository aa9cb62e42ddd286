"""Fuzz targets for atheris: everything that reads text of others. `--list` names them.

A parser may refuse with its own error; any other exception, and any answer that breaks its promise, is a finding.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import atheris

READERS = [
    "shop_app.core.links",
    "shop_app.core.redaction",
    "shop_app.catalog.importing",
    "shop_app.tracking.schemas",
    "recsys_engine.contract",
    "recsys_engine.service.segments",
]
with atheris.instrument_imports(include=READERS):
    from recsys_engine.contract.checks import event_problem
    from recsys_engine.contract.entities import Event
    from recsys_engine.contract.errors import ContractError
    from recsys_engine.contract.parsing import parse_event, parse_items, parse_recommend
    from recsys_engine.service.segments import check_rule, holds
    from shop_app.catalog.importing.fields import FieldError, count_from, path_from, price_from, sku_from, title_from
    from shop_app.catalog.importing.products import Defaults, product_rows
    from shop_app.catalog.importing.rows import ProductRow, RowError
    from shop_app.core.errors import InvalidInput
    from shop_app.core.links import local_path
    from shop_app.core.redaction import scrub
    from shop_app.tracking.schemas import Refusal, judge
    from shop_app.tracking.services import BrowserEvent

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FOLDER = Path(mkdtemp())
FACTS = {"user": {"id": "u", "traits": {"n": 1, "t": "x", "l": ["a"]}}, "ctx": {"page": "p"}, "request": {"k": 5}}
Target = Callable[[bytes], None]


def _json(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        text = data.decode("utf-8", "replace")
        return {
            "user_id": text[:9],
            "item_id": text[9:30],
            "type": len(text) % 7,
            "ts": text[:25],
            "value": len(text),
            "id": text,
        }


def browser_event(data: bytes) -> None:
    """What the tracker's beacon may carry."""
    assert isinstance(judge(_json(data)), BrowserEvent | Refusal)


def engine_event(data: bytes) -> None:
    """What the engine's intake may be sent."""
    event = parse_event(_json(data))
    if isinstance(event, Event):
        event_problem(event, NOW)


def engine_bodies(data: bytes) -> None:
    """Bodies of the engine's HTTP door."""
    body = _json(data)
    if isinstance(body, dict):
        for parse in (parse_recommend, lambda found: parse_items({"items": [found]})):
            try:
                parse(body)
            except ContractError:
                continue


def rule_expression(data: bytes) -> None:
    """Segment rules: what was accepted must be decidable."""
    rule = _json(data)
    try:
        check_rule(rule)
    except ContractError:
        return
    assert holds(rule, FACTS, NOW) in {True, False}


def redaction(data: bytes) -> None:
    """Scrubbing twice changes nothing more, and an address never survives."""
    text = data.decode("utf-8", "replace")
    once = scrub(text + " jane.doe@example.org ")
    assert "jane.doe@example.org" not in once
    assert scrub(once) == once


def next_link(data: bytes) -> None:
    """Where `next` leads: always to a path of this shop."""
    found = local_path(data.decode("utf-8", "surrogateescape"))
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert not set(found) & set("\r\n\t\\ \x00")


def import_fields(data: bytes) -> None:
    """Cells of an imported file."""
    text = data.decode("utf-8", "replace")
    readers = (sku_from, title_from, count_from, path_from, lambda name, cell: price_from(name, cell, "GBP"))
    for read in readers:
        try:
            read("field", text)
        except FieldError:
            continue


def import_file(data: bytes) -> None:
    """A whole file in one of the formats; every line is a product or a named error."""
    formats = ("csv", "tsv", "jsonl", "json", "xml")
    path = FOLDER / f"products.{formats[data[0] % len(formats)] if data else 'csv'}"
    path.write_bytes(data[1:] if data[:1] > b"\x80" else b"sku,title,price\n" + data[1:])
    try:
        for row in product_rows(path, Defaults("GBP", {})):
            assert isinstance(row, ProductRow | RowError)
    except InvalidInput:
        return


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        browser_event,
        engine_event,
        engine_bodies,
        rule_expression,
        redaction,
        next_link,
        import_fields,
        import_file,
    )
}

if __name__ == "__main__":
    if "--list" in sys.argv:
        print("\n".join(TARGETS))
        sys.exit(0)
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
