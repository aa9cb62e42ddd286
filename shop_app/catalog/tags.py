"""The tags a product carries at Recsys, in one normal form (RS-010)."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from shop_app.catalog.models import Product

MAX_TAG = 80
SPELLINGS = {"color": "colour", "colors": "colour", "colours": "colour", "sizes": "size", "materials": "material"}
"""Facet names that mean the same."""


def tags(product: Product) -> tuple[str, ...]:
    """`brand:*`, `category:*` for each level of the path, `cat:*` for its leaf, then facets. Sorted, no repeats."""
    parts = product.category.path.split("/")
    found = {tag("category", "/".join(parts[:depth])) for depth in range(1, len(parts) + 1)}
    found.add(tag("cat", parts[-1]))
    if product.brand:
        found.add(tag("brand", product.brand.name))
    for name, values in product.facets.items():
        found.update(tag(name, value) for value in _as_values(values))
    return tuple(sorted(found - {""}))


def tag(name: str, value: str) -> str:
    """One normal form: `Colour: "Jet  Black"` → `colour:jet-black`. Empty when nothing is left of either side.

    Accents are dropped, case folded, everything but letters, digits, `.` and `/` becomes one hyphen.
    """
    left, right = _slug(name), _slug(value)
    left = SPELLINGS.get(left, left)
    return f"{left}:{right}"[:MAX_TAG] if left and right else ""


def _slug(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in folded if not unicodedata.combining(c))
    return re.sub(r"[^\w./]+|_+", "-", plain).strip("-./")


def _as_values(values: Any) -> Iterable[str]:
    return [str(value) for value in (values if isinstance(values, list) else [values]) if value not in (None, "")]
