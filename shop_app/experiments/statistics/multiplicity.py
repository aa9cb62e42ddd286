"""p-values of several metrics judged together. Results keep the order of the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the family-wise error (Holm 1979): reject where the value is ≤ alpha."""
    if not p_values:
        return []
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    factors = values.size - np.arange(values.size)
    stepped = np.maximum.accumulate(values[order] * factors)
    return _in_input_order(np.minimum(stepped, 1.0), order)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the false discovery rate (Benjamini, Hochberg 1995)."""
    if not p_values:
        return []
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    factors = values.size / (np.arange(values.size) + 1)
    stepped = np.minimum.accumulate((values[order] * factors)[::-1])[::-1]
    return _in_input_order(np.minimum(stepped, 1.0), order)


def _in_input_order(adjusted: np.ndarray, order: np.ndarray) -> list[float]:
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return [float(value) for value in result]
