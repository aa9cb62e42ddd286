"""Decayed popularity per event type and item, with a short and a long window for the trend."""

from copy import copy

import numpy as np
import numpy.typing as npt

from recsys_engine.domain import FloatArray, IntArray
from recsys_engine.signals.decay import DAY_MS, quantities, quantity, read_factor, weight_at, weights_at
from recsys_engine.signals.journal import Journal
from recsys_engine.signals.packing import Arrays

TREND_SHORT_MS = 7 * DAY_MS
TREND_LONG_MS = 120 * DAY_MS
_QUANTITY_BITS = 6
_FIRST_CAPACITY = 1024
_TYPES = 5


class Popularity:
    """int64 cells ``[window, type row, item]``; window 0 uses the type's half-life, 1 the short, 2 the long trend.

    Type weights are applied when reading, so changing a weight needs no rebuild; changing a half-life does. Items of a
    fast or slow category have their own half-life in window 0: the type's times ``pace[item]``.
    """

    def __init__(self, epoch_ms: int, half_lives_ms: dict[int, int], default_half_life_ms: int) -> None:
        self.epoch_ms = epoch_ms
        self.half_lives_ms = half_lives_ms
        self.default_half_life_ms = default_half_life_ms
        self.type_rows: dict[int, int] = {type_: type_ for type_ in range(_TYPES)}
        self.cells = np.zeros((3, _TYPES, _FIRST_CAPACITY), np.int64)
        self.pace: dict[int, float] = {}
        self.journal = Journal()

    def frozen(self) -> "Popularity":
        """A copy that later events leave alone."""
        still = copy(self)
        still.type_rows, still.cells, still.pace = dict(self.type_rows), self.cells.copy(), dict(self.pace)
        return still

    def arrays(self) -> Arrays:
        """Everything ``load`` needs, as views."""
        rows = np.array(list(self.type_rows.items()), np.int64)
        pace = np.array(list(self.pace.items()), np.float64).reshape(-1, 2)
        return {"cells": self.cells, "type_rows": rows, "pace": pace}

    def load(self, arrays: Arrays) -> None:
        """Take over what ``arrays`` gave."""
        self.cells = arrays["cells"]
        self.type_rows = dict(arrays["type_rows"].tolist())
        self.pace = {int(item): pace for item, pace in arrays["pace"].tolist()}
        self.journal.turn()

    def half_life_ms(self, type_: int, pace: float = 1.0) -> int:
        own = self.half_lives_ms.get(type_, self.default_half_life_ms)
        return own if pace == 1.0 else max(round(own * pace), 1)

    def set_pace(self, item: int, pace: float) -> None:
        """Give an item another half-life; its window 0 starts from nothing and must be counted anew."""
        self._reserve(item + 1)
        self.cells[0, :, item] = 0
        self.pace.pop(item, None)
        if pace != 1.0:
            self.pace[item] = pace
        self.journal.note(item)

    def recount(
        self,
        item: int,
        types: npt.NDArray[np.int64],
        values: FloatArray,
        ts_ms: npt.NDArray[np.int64],
    ) -> None:
        """Count an item's events in window 0 after ``set_pace``."""
        for type_ in np.unique(types).tolist():
            mask = types == type_
            self.cells[0, self._row(type_), item] += self._shares(
                type_, self.pace.get(item, 1.0), quantities(values[mask]), ts_ms[mask]
            ).sum()
        self.journal.note(item)

    def add(self, item: int, type_: int, value: float, ts_ms: int, sign: int = 1) -> None:
        """Count one event (``sign`` -1 takes it back)."""
        row = self._row(type_)
        self._reserve(item + 1)
        amount = quantity(value)
        direction = sign if amount >= 0 else -sign
        pace = self.pace.get(item, 1.0)
        for window, half_life in enumerate((self.half_life_ms(type_, pace), TREND_SHORT_MS, TREND_LONG_MS)):
            weight = weight_at(ts_ms, self.epoch_ms, half_life)
            self.cells[window, row, item] += direction * ((weight * abs(amount)) >> _QUANTITY_BITS)
        self.journal.note(item)

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
        kinds, of_kind = np.unique(types, return_inverse=True)
        rows = np.array([self._row(type_) for type_ in kinds.tolist()])[of_kind]
        own = np.array([self.half_life_ms(type_) for type_ in kinds.tolist()])[of_kind]
        if self.pace:
            events = zip(types.tolist(), items.tolist(), strict=True)
            own = np.array([self.half_life_ms(type_, self.pace.get(item, 1.0)) for type_, item in events])
        amounts = quantities(values)
        windows: tuple[IntArray | int, ...] = (own, TREND_SHORT_MS, TREND_LONG_MS)
        for window, half_lives in enumerate(windows):
            shares = _shares(weights_at(ts_ms, self.epoch_ms, half_lives), amounts)
            np.add.at(self.cells[window], (rows, items), shares)
        self.journal.note_all(items.tolist())

    def _shares(
        self, type_: int, pace: float, amounts: npt.NDArray[np.int64], ts_ms: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        return _shares(weights_at(ts_ms, self.epoch_ms, self.half_life_ms(type_, pace)), amounts)

    def counted(self, type_: int, items: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The 120-day cells of one event type."""
        row = self.type_rows.get(type_)
        if row is None or not len(items):
            return np.zeros(len(items), np.int64)
        self._reserve(int(items.max()) + 1)
        found: npt.NDArray[np.int64] = self.cells[2, row, items]
        return found

    def scores(
        self, type_weights: dict[int, float], now_ms: int, size: int, items: IntArray | None = None
    ) -> FloatArray:
        """Σ over types of weight · decayed count, of ``items`` or of all the first ``size``; negatives become 0."""
        self._reserve(size)
        which = slice(size) if items is None else items
        total = np.zeros(size if items is None else len(items))
        for type_, row in sorted(self.type_rows.items()):
            weight = type_weights.get(type_, 0.0)
            if weight:
                factor = weight * read_factor(now_ms, self.epoch_ms, self.half_life_ms(type_))
                total += factor * self.cells[0, row, which]
        for place, item in enumerate([] if items is None else items.tolist()):
            if item in self.pace:
                total[place] = self._paced(type_weights, now_ms, item)
        for item in self.pace if items is None else ():
            if item < size:
                total[item] = self._paced(type_weights, now_ms, item)
        return np.maximum(total, 0.0)

    def _paced(self, type_weights: dict[int, float], now_ms: int, item: int) -> float:
        pace = self.pace[item]
        return sum(
            weight * read_factor(now_ms, self.epoch_ms, self.half_life_ms(type_, pace)) * int(self.cells[0, row, item])
            for type_, row in sorted(self.type_rows.items())
            if (weight := type_weights.get(type_, 0.0))
        )

    def aged(self, type_weights: dict[int, float], half_life_ms: float, now_ms: int, size: int) -> FloatArray:
        """Popularity under any half-life h, from the short and the long counter: short^w · long^(1−w).

        1/h = w/7 d + (1−w)/120 d makes it exact for events of one age and an approximation from above for a spread
        (Hölder); shorter than 7 and longer than 120 days count as those.
        """
        short, long = self._rates(type_weights, now_ms, size)
        share = (1 / half_life_ms - 1 / TREND_LONG_MS) / (1 / TREND_SHORT_MS - 1 / TREND_LONG_MS)
        share = min(max(share, 0.0), 1.0)
        mixed: FloatArray = short**share * long ** (1 - share)
        return mixed

    def trend(
        self, type_weights: dict[int, float], now_ms: int, size: int, items: IntArray | None = None
    ) -> FloatArray:
        """Short-window rate over long-window rate, shrunk: (s/7 d) / (l/120 d + 1/120 d), 0 for the unseen."""
        short, long = self._rates(type_weights, now_ms, size, items)
        ratio: FloatArray = (short / TREND_SHORT_MS) / ((long + 1.0) / TREND_LONG_MS)
        return ratio

    def _rates(
        self, type_weights: dict[int, float], now_ms: int, size: int, items: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Weighted counts under the short and the long half-life; negatives become 0."""
        self._reserve(size)
        which = slice(size) if items is None else items
        short, long = (
            np.maximum(self._weighted(type_weights, window, which), 0) * read_factor(now_ms, self.epoch_ms, half_life)
            for window, half_life in ((1, TREND_SHORT_MS), (2, TREND_LONG_MS))
        )
        return short, long

    def _weighted(self, type_weights: dict[int, float], window: int, which: slice | IntArray) -> FloatArray:
        total = np.zeros(which.stop if isinstance(which, slice) else len(which))
        for type_, row in sorted(self.type_rows.items()):  # by type: the same sum whatever came first
            weight = type_weights.get(type_, 0.0)
            if weight:
                total += weight * self.cells[window, row, which]
        return total

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


def _shares(weights: npt.NDArray[np.int64], amounts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What each event adds to a cell."""
    shares: npt.NDArray[np.int64] = np.sign(amounts) * ((weights * np.abs(amounts)) >> _QUANTITY_BITS)
    return shares
