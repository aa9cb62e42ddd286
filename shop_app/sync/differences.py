"""Where the catalogue here and at Recsys differ, field by field (RS-067)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from recsys_engine.contract import Item, PageQuery
from shop_app.catalog.models import Product
from shop_app.extensions import db
from shop_app.outbox.services import mark_changed
from shop_app.recsys.gateway import RecsysGateway
from shop_app.sync.payloads import item_payload

FIELDS = ("available", "price", "tags", "brand", "category", "category_path", "description", "image_url", "props")
PAGE = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one item, a property as `props.NAME`.

    `missing` and `unknown` are fields too: the whole item is absent there, or here.
    """

    item_id: str
    field: str
    here: Any
    there: Any
    product_id: int | None


def catalogue_differences(gateway: RecsysGateway, site_url: str) -> list[Difference]:
    """Every difference, by item and field. Items that Recsys knows and the shop does not have no `product_id`.

    Raises:
        RecsysUnavailable: Recsys could not be asked.

    """
    there = {stored.item.item_id: stored.item for stored in _stored(gateway)}
    found: list[Difference] = []
    query = select(Product).order_by(Product.id).options(joinedload(Product.brand), joinedload(Product.category))
    for product in db.session.scalars(query):
        here = item_payload(product, site_url)
        known = there.pop(product.sku, None)
        if known is None:
            found.append(Difference(product.sku, "missing", product.title, None, product.id))
        else:
            found += [Difference(product.sku, name, a, b, product.id) for name, a, b in _compare(here, known)]
    leftovers = [item for item in there.values() if item.available is not False]
    found += [Difference(item.item_id, "unknown", None, _title(item), None) for item in leftovers]
    return sorted(found, key=lambda difference: (difference.item_id, difference.field))


def mark_for_sync(differences: list[Difference], now: datetime) -> int:
    """Ask for a sync of the products concerned; returns how many. The caller's transaction."""
    return mark_changed("item", {d.product_id for d in differences if d.product_id is not None}, now)


def _compare(here: Item, there: Item) -> Iterator[tuple[str, Any, Any]]:
    for name in FIELDS:
        a, b = _normal(getattr(here, name)), _normal(getattr(there, name))
        if a == b:
            continue
        if name == "props":
            yield from _compare_props(a or {}, b or {})
        else:
            yield name, a, b


def _compare_props(here: dict[str, Any], there: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in sorted({*here, *there}):
        if here.get(name) != there.get(name):
            yield f"props.{name}", here.get(name), there.get(name)


def _normal(value: Any) -> Any:
    """Empty in any way is None; sequences compare as sorted tuples, numbers to a thousandth."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, list | tuple):
        return tuple(sorted(map(str, value))) or None
    if isinstance(value, dict):
        return {name: _normal(inner) for name, inner in sorted(value.items())} or None
    return None if value in ("", None) else value


def _title(item: Item) -> str:
    props = item.props if isinstance(item.props, dict) else {}
    return str(props.get("title", item.item_id))


def _stored(gateway: RecsysGateway) -> Iterator[Any]:
    offset, cursor = 0, None
    while True:
        page = gateway.list_items(PageQuery(limit=PAGE, offset=offset, cursor=cursor))
        yield from page.rows
        if not page.has_more:
            return
        offset, cursor = page.next_offset or 0, page.next_cursor
