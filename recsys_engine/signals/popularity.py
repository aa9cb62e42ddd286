"""Decayed popularity per event type and item, with a short and a long window for the trend."""

from copy import copy

import numpy as np
import numpy.typing as npt

from recsys_engine.domain import FloatArray
from recsys_engine.signals.decay import DAY_MS, quantities, quantity, read_factor, weight_at, weights_at
from recsys_engine.signals.packing import Arrays

TREND_SHORT_MS = 7 * DAY_MS
TREND_LONG_MS = 120 * DAY_MS
_QUANTITY_BITS = 6
_FIRST_CAPACITY = 1024
_TYPES = 5


class Popularity:
    """int64 cells ``[window, type row, item]``; window 0 uses the type's half-life, 1 the short, 2 the long trend.

    Type weights are applied when reading, so changing a weight needs no rebuild; changing a half-life does.
    """

    def __init__(self, epoch_ms: int, half_lives_ms: dict[int, int], default_half_life_ms: int) -> None:
        self.epoch_ms = epoch_ms
        self.half_lives_ms = half_lives_ms
        self.default_half_life_ms = default_half_life_ms
        self.type_rows: dict[int, int] = {type_: type_ for type_ in range(_TYPES)}
        self.cells = np.zeros((3, _TYPES, _FIRST_CAPACITY), np.int64)
        self.version = 0

    def frozen(self) -> "Popularity":
        """A copy that later events leave alone."""
        still = copy(self)
        still.type_rows, still.cells = dict(self.type_rows), self.cells.copy()
        return still

    def arrays(self) -> Arrays:
        """Everything ``load`` needs, as views."""
        rows = np.array(list(self.type_rows.items()), np.int64)
        return {"cells": self.cells, "type_rows": rows, "version": np.array([self.version])}

    def load(self, arrays: Arrays) -> None:
        """Take over what ``arrays`` gave."""
        self.cells = arrays["cells"]
        self.type_rows = dict(arrays["type_rows"].tolist())
        self.version = int(arrays["version"][0])

    def half_life_ms(self, type_: int) -> int:
        return self.half_lives_ms.get(type_, self.default_half_life_ms)

    def add(self, item: int, type_: int, value: float, ts_ms: int, sign: int = 1) -> None:
        """Count one event (``sign`` -1 takes it back)."""
        row = self._row(type_)
        self._reserve(item + 1)
        amount = quantity(value)
        direction = sign if amount >= 0 else -sign
        for window, half_life in enumerate((self.half_life_ms(type_), TREND_SHORT_MS, TREND_LONG_MS)):
            weight = weight_at(ts_ms, self.epoch_ms, half_life)
            self.cells[window, row, item] += direction * ((weight * abs(amount)) >> _QUANTITY_BITS)
        self.version += 1

    def add_many(
        self,
        items: npt.NDArray[np.int64],
        types: npt.NDArray[np.int64],
        values: FloatArray,
        ts_ms: npt.NDArray[np.int64],
    ) -> None:
        """Count many events at once; equal to calling ``add`` for each."""
        if not len(items):
            return
        self._reserve(int(items.max()) + 1)
        amounts = quantities(values)
        for type_ in np.unique(types):
            row = self._row(int(type_))
            mask = types == type_
            for window, half_life in enumerate((self.half_life_ms(int(type_)), TREND_SHORT_MS, TREND_LONG_MS)):
                weights = weights_at(ts_ms[mask], self.epoch_ms, half_life)
                signed = np.sign(amounts[mask]) * ((weights * np.abs(amounts[mask])) >> _QUANTITY_BITS)
                np.add.at(self.cells[window, row], items[mask], signed)
        self.version += 1

    def scores(self, type_weights: dict[int, float], now_ms: int, size: int) -> FloatArray:
        """Σ over types of weight · decayed count, for the first ``size`` items; negatives become 0."""
        self._reserve(size)
        total = np.zeros(size)
        for type_, row in self.type_rows.items():
            weight = type_weights.get(type_, 0.0)
            if weight:
                factor = weight * read_factor(now_ms, self.epoch_ms, self.half_life_ms(type_))
                total += factor * self.cells[0, row, :size]
        return np.maximum(total, 0.0)

    def trend(self, type_weights: dict[int, float], now_ms: int, size: int) -> FloatArray:
        """Short-window rate over long-window rate, shrunk: (s/7 d) / (l/120 d + 1/120 d), 0 for the unseen."""
        self._reserve(size)
        weights = np.zeros(len(self.type_rows))
        for type_, row in self.type_rows.items():
            weights[row] = type_weights.get(type_, 0.0)
        short, long = (
            np.maximum(weights @ self.cells[window, :, :size], 0) * read_factor(now_ms, self.epoch_ms, half_life)
            for window, half_life in ((1, TREND_SHORT_MS), (2, TREND_LONG_MS))
        )
        ratio: FloatArray = (short / TREND_SHORT_MS) / ((long + 1.0) / TREND_LONG_MS)
        return ratio

    def _row(self, type_: int) -> int:
        row = self.type_rows.get(type_)
        if row is None:
            row = self.type_rows[type_] = len(self.type_rows)
            self.cells = np.concatenate([self.cells, np.zeros((3, 1, self.cells.shape[2]), np.int64)], axis=1)
        return row

    def _reserve(self, size: int) -> None:
        capacity = self.cells.shape[2]
        if size > capacity:
            grown = np.zeros((3, self.cells.shape[1], max(size, 2 * capacity)), np.int64)
            grown[:, :, :capacity] = self.cells
            self.cells = grown
