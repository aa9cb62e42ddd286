"""Reading what staff typed."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from recsys_engine.contract import EventTypeConfig
from shop_app.accounts.models import STAFF_ROLES
from shop_app.catalog.services import ProductChange
from shop_app.core.errors import InvalidInput
from shop_app.core.money import parse_money

STATUSES = ("active", "hidden", "discontinued")
MAX_TITLE_CHARS = 300
MAX_STOCK = 1_000_000
MAX_BULK = 500
MAX_WEIGHT = 100.0
MAX_HALF_LIFE_DAYS = 3650.0
_DECIMAL = re.compile(r"\d{1,6}(\.\d{1,6})?")

Problems = dict[str, list[str]]


def parse_product(form: Mapping[str, str], currency: str) -> ProductChange:
    """The change of one product's page.

    Raises:
        InvalidInput: names every field at fault.

    """
    problems: Problems = {}
    title = " ".join(form.get("title", "").split())
    if not 1 <= len(title) <= MAX_TITLE_CHARS:
        problems["title"] = [f"Between 1 and {MAX_TITLE_CHARS} characters."]
    change = ProductChange(
        title=title,
        description=form.get("description", "").strip(),
        price_minor=_price(form.get("price", ""), "price", currency, problems),
        compare_at_minor=_price(form.get("compare_at", "") or "0", "compare_at", currency, problems),
        stock=_stock(form["stock"], problems) if "stock" in form else None,
        status=_status(form.get("status", ""), problems),
    )
    if problems:
        raise InvalidInput(problems)
    return change


def parse_bulk(form: Mapping[str, str], ids: Sequence[str]) -> tuple[list[int], ProductChange]:
    """The ticked products and the one change for all of them.

    Raises:
        InvalidInput: nothing was ticked, too much, or the change is not one.

    """
    problems: Problems = {}
    wanted = [int(text) for text in ids if text.isascii() and text.isdigit()]
    if not 1 <= len(wanted) <= MAX_BULK:
        problems["ids"] = [f"Tick between 1 and {MAX_BULK} products."]
    action = form.get("action", "")
    change = ProductChange()
    if action in STATUSES:
        change = ProductChange(status=action)
    elif action == "stock":
        change = ProductChange(stock=_stock(form.get("stock", ""), problems))
    else:
        problems["action"] = ["Choose what to do."]
    if problems:
        raise InvalidInput(problems)
    return wanted, change


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


def _price(text: str, field: str, currency: str, problems: Problems) -> int | None:
    try:
        minor = parse_money(text, currency).minor
    except InvalidInput:
        problems[field] = ["An amount such as 12.50."]
        return None
    if not 0 <= minor < 10**9:
        problems[field] = ["Not below zero, and less than ten million."]
    return minor


def _stock(text: str, problems: Problems) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_STOCK):
        problems["stock"] = [f"A whole number up to {MAX_STOCK:,}."]
        return None
    return int(text)


def _status(text: str, problems: Problems) -> str | None:
    if text not in STATUSES:
        problems["status"] = ["Choose a status."]
        return None
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
