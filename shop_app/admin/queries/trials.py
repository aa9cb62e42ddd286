"""What other settings of the ranking would do to a list, before anybody sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from recsys_engine.contract import Overrides
from shop_app.admin.queries.lists import Asked, preview_request
from shop_app.admin.queries.products import by_skus
from shop_app.recsys.gateway import RecsysGateway
from shop_app.site_settings.queries import slot_settings

_ASKABLE = {field.name for field in fields(Overrides)}
LEAST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """The list of one shopper before and after; (SKU, title), in order."""

    slot: str
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...] = ()


def try_knobs(gateway: RecsysGateway, slot: str, shopper_key: str, knobs: Mapping[str, Any]) -> Trial:
    """The slot's list for this shopper (empty: a stranger) as it is, and with these knobs on top.

    What a request cannot ask for (whether rules apply, damping of young profiles) is named in `left_out`. Raises what
    the gateway raises, and ``NotFound`` for a slot there is not.
    """
    settings = slot_settings(slot)
    asked = preview_request(settings, Asked(shopper_key=shopper_key), settings.k)
    given = {name: value for name, value in knobs.items() if name in _ASKABLE}
    kept = {name: value for name in _ASKABLE if (value := getattr(asked.overrides, name)) is not None}
    drafted = replace(asked, overrides=Overrides(**{**given, **kept}), request_id=f"{asked.request_id}d")
    k = max(settings.k, LEAST_SHOWN)
    lists = [[item.item_id for item in gateway.recommend(one).items][:k] for one in (asked, drafted)]
    return trial(slot, lists[0], lists[1], tuple(sorted(knobs.keys() - _ASKABLE)))


def trial(slot: str, before: list[str], after: list[str], left_out: tuple[str, ...] = ()) -> Trial:
    """Two lists of SKUs with their titles."""
    titles = {product.sku: product.title for product in by_skus(sorted({*before, *after}))}
    named = [tuple((sku, titles.get(sku, sku)) for sku in skus) for skus in (before, after)]
    return Trial(slot, named[0], named[1], left_out)
