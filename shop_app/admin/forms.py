"""Reading what staff typed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from recsys_engine.contract import EventTypeConfig
from shop_app.accounts.models import STAFF_ROLES
from shop_app.admin.edits import BulkEdit, ProductEdit, VariantEdit
from shop_app.catalog.models import Product
from shop_app.core.errors import InvalidInput
from shop_app.core.money import parse_money

STATUSES = ("active", "hidden", "discontinued")
MAX_TITLE_CHARS = 300
MAX_STOCK = 1_000_000
MAX_BULK = 500
MAX_WEIGHT = 100.0
MAX_HALF_LIFE_DAYS = 3650.0
MAX_PRICE_MINOR = 10**9
MAX_ITEM_ID_CHARS = 200
MAX_EVENT_VALUE = 1e6
MIN_PERCENT, MAX_PERCENT = -90, 200
_SIGNED = re.compile(r"[+-]?\d{1,3}(\.\d{1,2})?")
_DECIMAL = re.compile(r"\d{1,6}(\.\d{1,6})?")

Problems = dict[str, list[str]]


def parse_product(form: Mapping[str, str], product: Product) -> ProductEdit:
    """The form of one product's page; each variant has its own price and stock.

    Raises:
        InvalidInput: names every field at fault.

    """
    problems: Problems = {}
    title = " ".join(form.get("title", "").split())
    if not 1 <= len(title) <= MAX_TITLE_CHARS:
        problems["title"] = [f"Between 1 and {MAX_TITLE_CHARS} characters."]
    variants = tuple(
        VariantEdit(
            variant.sku,
            _price(form.get(f"price_{variant.id}", ""), f"price_{variant.id}", product.currency, problems),
            _stock(form.get(f"stock_{variant.id}", ""), f"stock_{variant.id}", problems),
        )
        for variant in product.variants
    )
    edit = ProductEdit(
        title=title,
        description=form.get("description", "").strip(),
        compare_at_minor=_price(form.get("compare_at", "") or "0", "compare_at", product.currency, problems) or None,
        status=_status(form.get("status", ""), problems),
        variants=variants,
    )
    if problems:
        raise InvalidInput(problems)
    return edit


def parse_bulk(form: Mapping[str, str], skus: Sequence[str]) -> tuple[list[str], BulkEdit]:
    """The ticked products and the one change for all of them.

    Raises:
        InvalidInput: nothing was ticked, too much, or the change is not one.

    """
    problems: Problems = {}
    wanted = sorted(set(skus))
    if not 1 <= len(wanted) <= MAX_BULK:
        problems["skus"] = [f"Tick between 1 and {MAX_BULK} products."]
    action = form.get("action", "")
    edit = BulkEdit()
    if action in STATUSES:
        edit = BulkEdit(status=action)
    elif action == "stock":
        edit = BulkEdit(stock=_stock(form.get("number", ""), "number", problems))
    elif action == "price":
        edit = BulkEdit(price_percent=_percent(form.get("number", ""), problems))
    else:
        problems["action"] = ["Choose what to do."]
    if problems:
        raise InvalidInput(problems)
    return wanted, edit


def parse_event_types(form: Mapping[str, str], known: Sequence[EventTypeConfig]) -> list[EventTypeConfig]:
    """A weight and a half-life for each known type; an empty half-life means the recommender's own.

    Raises:
        InvalidInput: names every field at fault.

    """
    problems: Problems = {}
    types = [
        EventTypeConfig(
            type=one.type,
            name=one.name,
            weight=_decimal(form, f"weight_{one.type}", MAX_WEIGHT, problems) or one.weight,
            half_life_days=_decimal(form, f"half_life_{one.type}", MAX_HALF_LIFE_DAYS, problems, is_needed=False),
            is_active=one.is_active,
        )
        for one in known
    ]
    if problems:
        raise InvalidInput(problems)
    return types


def parse_role(form: Mapping[str, str]) -> str:
    """A role to give.

    Raises:
        InvalidInput: there is no such role.

    """
    role = form.get("role", "")
    if role not in ("shopper", *STAFF_ROLES):
        raise InvalidInput({"role": ["There is no such role."]})
    return role


def parse_ids(texts: Sequence[str]) -> list[int]:
    """Row ids that were ticked; what is not a number is left out."""
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19]


def parse_mending(form: Mapping[str, str]) -> tuple[str | None, float]:
    """Item and value a refused event should have had.

    Raises:
        InvalidInput: the item is no identifier, or the value no number that Recsys takes.

    """
    problems: Problems = {}
    item_id = form.get("item_id", "").strip()
    if not (len(item_id) <= MAX_ITEM_ID_CHARS and item_id.isprintable() and " " not in item_id):
        problems["item_id"] = [f"At most {MAX_ITEM_ID_CHARS} characters, without spaces."]
    try:
        value = float(form.get("value", "").strip())
    except ValueError:
        value = float("nan")
    if not abs(value) <= MAX_EVENT_VALUE:
        problems["value"] = ["A number within ± 1,000,000."]
    if problems:
        raise InvalidInput(problems)
    return item_id or None, value


def _price(text: str, field: str, currency: str, problems: Problems) -> int:
    try:
        minor = parse_money(text, currency).minor
    except InvalidInput:
        problems[field] = ["An amount such as 12.50."]
        return 0
    if not 0 <= minor < MAX_PRICE_MINOR:
        problems[field] = ["Not below zero, and less than ten million."]
    return minor


def _stock(text: str, field: str, problems: Problems) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_STOCK):
        problems[field] = [f"Stock is a whole number up to {MAX_STOCK:,}."]
        return 0
    return int(text)


def _percent(text: str, problems: Problems) -> float:
    if not _SIGNED.fullmatch(text.strip()) or not MIN_PERCENT <= float(text) <= MAX_PERCENT:
        problems["number"] = [f"A change in percent from {MIN_PERCENT} to {MAX_PERCENT}, such as -10."]
        return 0.0
    return float(text)


def _status(text: str, problems: Problems) -> str:
    if text not in STATUSES:
        problems["status"] = ["Choose a status."]
    return text


def _decimal(
    form: Mapping[str, Any], field: str, most: float, problems: Problems, *, is_needed: bool = True
) -> float | None:
    text = str(form.get(field, "")).strip()
    if not text and not is_needed:
        return None
    if not _DECIMAL.fullmatch(text) or not 0 < float(text) <= most:
        problems[field] = [f"A number above 0, at most {most:g}."]
        return None
    return float(text)
