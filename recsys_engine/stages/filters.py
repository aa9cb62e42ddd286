"""Hard filters: final for every item, whatever put it on the list."""

import numpy as np

from recsys_engine.domain import BoolArray, IntArray, Limits, Shelf

FEW = 8
"""Up to this many items are compared one by one: ``np.isin`` costs as much as 15 comparisons before it begins."""


def why_refused(shelf: Shelf, limits: Limits, items: IntArray) -> list[tuple[str, BoolArray]]:
    """For each filter, in order, its name and which of ``items`` it refuses."""
    checks = [("unavailable", ~shelf.available[items])]
    if len(limits.excluded):
        checks.append(("excluded", among(items, limits.excluded)))
    if limits.include_mask is not None:
        checks.append(("missing_tags", ~limits.include_mask[items]))
    if limits.exclude_mask is not None:
        checks.append(("excluded_tags", limits.exclude_mask[items]))
    if limits.has_price_range:
        checks.extend(_price_checks(shelf, limits, items))
    if limits.created_after_s is not None:
        checks.append(("stale_item", ~(shelf.created_s[items] > limits.created_after_s)))
    return checks


def among(items: IntArray, wanted: IntArray) -> BoolArray:
    """Which of ``items`` are wanted."""
    if len(wanted) > FEW:
        return np.isin(items, wanted)
    found = np.zeros(len(items), bool)
    for one in wanted.tolist():
        found |= items == one
    return found


def _price_checks(shelf: Shelf, limits: Limits, items: IntArray) -> list[tuple[str, BoolArray]]:
    price = shelf.price[items]
    checks = [("price_missing", np.isnan(price))]
    if limits.price_min is not None:
        checks.append(("price_below_min", price < limits.price_min))
    if limits.price_max is not None:
        checks.append(("price_above_max", price > limits.price_max))
    return checks


def allowed(shelf: Shelf, limits: Limits, items: IntArray) -> BoolArray:
    """Which of ``items`` pass every filter."""
    passed = np.ones(len(items), bool)
    for _, refused in why_refused(shelf, limits, items):
        passed &= ~refused
    return passed
