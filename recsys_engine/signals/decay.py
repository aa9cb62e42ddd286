"""Exponential decay in whole numbers, so that sums are exact, order-free and can be subtracted.

A contribution of weight w at time t is ``round(2^20 · w · 2^((t − epoch)/half-life))``. The power comes from a
table of 2^(j/4096), so a time is resolved to half-life/4096 (0.02 % of weight). Scalar and array versions give equal
integers.
"""

import math

import numpy as np
import numpy.typing as npt

SCALE_BITS = 20
STEPS = 4096
_STEP_BITS = 12
_VALUE_ONE = 64
_VALUE_LIMIT = 100.0
_MAX_LEFT = 26
_MAX_RIGHT = 62

_TABLE = np.array([round(2.0 ** (SCALE_BITS + j / STEPS)) for j in range(STEPS)], dtype=np.int64)
_TABLE_LIST = [int(x) for x in _TABLE]

DAY_MS = 86_400_000


def weight_at(ts_ms: int, epoch_ms: int, half_life_ms: int) -> int:
    """Fixed-point weight of one event."""
    step = (ts_ms - epoch_ms) * STEPS // half_life_ms
    base, shift = _TABLE_LIST[step & (STEPS - 1)], step >> _STEP_BITS
    return base << min(shift, _MAX_LEFT) if shift >= 0 else base >> min(-shift, _MAX_RIGHT)


def weights_at(
    ts_ms: npt.NDArray[np.int64], epoch_ms: int, half_life_ms: int | npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """``weight_at`` for many events at once, each with a half-life of its own if need be."""
    step = (ts_ms - epoch_ms) * STEPS // half_life_ms
    base, shift = _TABLE[step & (STEPS - 1)], step >> _STEP_BITS
    left, right = np.clip(shift, 0, _MAX_LEFT), np.clip(-shift, 0, _MAX_RIGHT)
    weights: npt.NDArray[np.int64] = (base << left) >> right
    return weights


def quantity(value: float) -> int:
    """An event's value in 64ths, cut to ±100 so that one bulk order cannot drown a shop."""
    return round(min(max(value, -_VALUE_LIMIT), _VALUE_LIMIT) * _VALUE_ONE)


def quantities(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """``quantity`` for many values at once."""
    return np.rint(np.clip(values, -_VALUE_LIMIT, _VALUE_LIMIT) * _VALUE_ONE).astype(np.int64)


def read_factor(now_ms: int, epoch_ms: int, half_life_ms: int) -> float:
    """What to multiply a cell with to get its decayed weight now (1 = one fresh event)."""
    exponent = -SCALE_BITS - (now_ms - epoch_ms) / half_life_ms
    return math.exp2(max(exponent, -900.0))
