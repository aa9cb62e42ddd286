"""Reading what an admin typed about a slot."""

import re
from collections.abc import Mapping
from typing import Any

from shop_app.core.errors import InvalidInput, NotFound
from shop_app.site_settings.defaults import SLOTS

MAX_TITLE_CHARS = 80
MAX_K = 24
"""More cards than this is a page, not a widget."""
_EXPERIMENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_SWITCHES = ("is_on", "has_fallback", "is_above_fold")


def slot_key(slot: str) -> str:
    """The settings key of a slot.

    Raises:
        NotFound: there is no such slot.

    """
    if slot not in SLOTS:
        raise NotFound(f"There is no slot called {slot}.")
    return f"surface:{slot}"


def parse_slot(form: Mapping[str, str]) -> dict[str, Any]:
    """The values to store for a slot. A switch that is not sent is off.

    Raises:
        InvalidInput: a value is missing, out of range or of the wrong kind; names every field.

    """
    problems: dict[str, list[str]] = {}
    values: dict[str, Any] = {name: form.get(name) == "on" for name in _SWITCHES}
    values["title"] = _title(form.get("title", ""), problems)
    values["k"] = _whole(form, "k", 1, MAX_K, problems)
    values["brand_cap"] = _whole(form, "brand_cap", 0, MAX_K, problems)
    values["category_cap"] = _whole(form, "category_cap", 0, MAX_K, problems)
    values["experiment"] = form.get("experiment", "").strip()
    if values["experiment"] and not _EXPERIMENT.fullmatch(values["experiment"]):
        problems["experiment"] = ["Small letters, digits, - and _ only, 40 at most."]
    if problems:
        raise InvalidInput(problems)
    return values


def _title(text: str, problems: dict[str, list[str]]) -> str:
    title = " ".join(text.split())
    if not 1 <= len(title) <= MAX_TITLE_CHARS:
        problems["title"] = [f"Between 1 and {MAX_TITLE_CHARS} characters."]
    return title


def _whole(form: Mapping[str, str], name: str, least: int, most: int, problems: dict[str, list[str]]) -> int:
    text = form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        problems[name] = [f"A whole number from {least} to {most}."]
        return least
    return int(text)
