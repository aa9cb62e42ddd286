"""Decayed counts of item pairs: a sorted base from the build plus a small dict of what came since."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_engine.domain import FloatArray, IntArray
from recsys_engine.signals.decay import read_factor
from recsys_engine.signals.packing import Arrays

_FIRST_CAPACITY = 1024
_MINUTE_MS = 60_000
_NO_SCALES: FloatArray = np.empty(0)


class PairCounts:
    """``count[i → j]`` and the marginal ``total[i]``, int64 fixed point with one half-life.

    A symmetric relation stores both directions. Reading an item costs its number of partners, not the catalogue.
    """

    def __init__(self, epoch_ms: int, half_life_ms: int) -> None:
        self.epoch_ms = epoch_ms
        self.half_life_ms = half_life_ms
        self.totals = np.zeros(_FIRST_CAPACITY, np.int64)
        self._starts = np.zeros(1, np.int64)
        self._partners = np.empty(0, np.int32)
        self._counts = np.empty(0, np.int64)
        self._delta: dict[int, dict[int, int]] = {}
        self._merged: dict[int, Row] = {}
        self._norms: dict[Norm, Norms] = {}

    def load(self, left: IntArray, right: IntArray, weights: npt.NDArray[np.int64], size: int) -> None:
        """Take over many pairs at once (directed; equal pairs are summed)."""
        key = left * np.int64(size) + right
        order = np.argsort(key, kind="stable")
        key, weights = key[order], weights[order]
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.empty(0, np.int64)
        sums = np.add.reduceat(weights, first) if len(key) else np.empty(0, np.int64)
        self.load_sums(key[first], sums, size)

    def load_sums(self, keys: IntArray, sums: npt.NDArray[np.int64], size: int) -> None:
        """Take over pairs that are summed already; ``keys`` are left · size + right, ascending, each once."""
        self._partners = (keys % size).astype(np.int32)
        self._counts = sums
        self._starts = np.searchsorted(keys, np.arange(size + 1) * np.int64(size))
        self._delta.clear()
        self._merged.clear()

    def load_totals(self, items: IntArray, weights: npt.NDArray[np.int64], size: int) -> None:
        """Take over the marginals."""
        self.totals = np.zeros(max(size, _FIRST_CAPACITY), np.int64)
        np.add.at(self.totals, items, weights)
        self._norms.clear()

    def frozen(self) -> "PairCounts":
        """A copy that later pairs leave alone; the base is shared, it is never written to."""
        still = PairCounts(self.epoch_ms, self.half_life_ms)
        still._starts, still._partners, still._counts = self._starts, self._partners, self._counts
        still.totals = self.totals.copy()
        still._delta = {left: dict(row) for left, row in self._delta.items()}
        return still

    def arrays(self) -> Arrays:
        """Everything ``take`` needs, as views."""
        rows = self._delta.items()
        lengths = np.fromiter((len(row) for _, row in rows), np.int64, len(rows))
        many = int(lengths.sum())
        return {
            "totals": self.totals,
            "starts": self._starts,
            "partners": self._partners,
            "counts": self._counts,
            "fresh_left": np.repeat(np.fromiter(self._delta, np.int64, len(rows)), lengths),
            "fresh_right": np.fromiter((right for _, row in rows for right in row), np.int64, many),
            "fresh_counts": np.fromiter((count for _, row in rows for count in row.values()), np.int64, many),
        }

    def take(self, arrays: Arrays) -> None:
        """Take over what ``arrays`` gave."""
        self.totals = arrays["totals"]
        self._starts, self._partners, self._counts = arrays["starts"], arrays["partners"], arrays["counts"]
        self._delta.clear()
        columns = (arrays[name].tolist() for name in ("fresh_left", "fresh_right", "fresh_counts"))
        for left, right, count in zip(*columns, strict=True):
            self._delta.setdefault(left, {})[right] = count
        self._merged.clear()
        self._norms.clear()

    def add(self, left: int, right: int, weight: int) -> None:
        """Add to one directed pair."""
        row = self._delta.get(left)
        if row is None:
            row = self._delta[left] = {}
        row[right] = row.get(right, 0) + weight
        self._merged.pop(left, None)

    def add_many(self, left: IntArray, right: IntArray, weights: npt.NDArray[np.int64]) -> None:
        """Add to many directed pairs."""
        delta = self._delta
        for one, other, weight in zip(left.tolist(), right.tolist(), weights.tolist(), strict=True):
            row = delta.get(one)
            if row is None:
                row = delta[one] = {}
            row[other] = row.get(other, 0) + weight
        for one in set(left.tolist()):
            self._merged.pop(one, None)

    def add_both(self, item: int, others: list[int], weight: int) -> None:
        """Add to the pairs of an item with each of some others, in both directions."""
        if not others:
            return
        delta, forget = self._delta, self._merged.pop
        row = delta.setdefault(item, {})
        forget(item, None)
        for other in others:
            row[other] = row.get(other, 0) + weight
            back = delta.get(other)
            if back is None:
                back = delta[other] = {}
            back[item] = back.get(item, 0) + weight
            forget(other, None)

    def add_total(self, item: int, weight: int) -> None:
        """Add to one marginal."""
        if item >= len(self.totals):
            self._reserve(item + 1)
        self.totals[item] += weight
        for norms in self._norms.values():
            norms.touched.append(item)

    def add_totals(self, items: IntArray, weights: npt.NDArray[np.int64]) -> None:
        """Add to many marginals."""
        self._reserve(int(items.max(initial=-1)) + 1)
        np.add.at(self.totals, items, weights)
        for norms in self._norms.values():
            norms.touched += items.tolist()

    def _reserve(self, size: int) -> None:
        if size > len(self.totals):
            grown = np.zeros(max(size, 2 * len(self.totals)), np.int64)
            grown[: len(self.totals)] = self.totals
            self.totals = grown

    def has_total(self, item: int) -> bool:
        """Has any event been counted for the item?"""
        return item < len(self.totals) and bool(self.totals[item])

    def raw_row(self, item: int) -> "Row":
        """Partners of an item (ascending) and their fixed-point counts as floats, zeros left out."""
        merged = self._merged.get(item)
        if merged is None:
            partners, counts = self._merge(item)
            ends = np.array([0, len(partners)], np.int32)
            row = Row(partners.astype(np.int32), counts.astype(np.float64), ends)
            merged = self._merged[item] = row if len(partners) else NO_PARTNERS
        return merged

    def row(self, item: int, now_ms: int) -> tuple[npt.NDArray[np.int32], FloatArray]:
        """Partners and their decayed counts now."""
        partners, counts, _ = self.raw_row(item)
        return partners, counts * read_factor(now_ms, self.epoch_ms, self.half_life_ms)

    def weighted_rows(self, items: IntArray, weights: FloatArray, norms: "Norms") -> tuple[list["Row"], FloatArray]:
        """The rows of those of the items that have partners, and weight / (total_i + s)^a for each.

        Their sum times ``norms.right`` is Σ weight · count / ((total_i + s)^a · (total_j + s)^(1−a)): popularity
        cancels and rare pairs shrink. Formula: asymmetric cosine (Aiolli 2013) with shrinkage s.
        """
        merged = self._merged
        rows = [merged.get(item) or self.raw_row(item) for item in items.tolist()]
        filled = [place for place, row in enumerate(rows) if row is not NO_PARTNERS]
        if not filled:
            return [], _NO_SCALES
        scales = weights * norms.left.take(items, mode="clip") * norms.factor
        if len(filled) < len(rows):
            return [rows[place] for place in filled], scales[filled]
        return rows, scales

    def norms(self, norm: "Norm", now_ms: int) -> "Norms":
        """The norms of every item with a total, by item; read only, and good until the next change."""
        norms = self._norms.get(norm)
        if norms is None:
            norms = self._norms[norm] = Norms(norm)
        norms.refresh(self, now_ms)
        return norms

    def nonzero(self) -> dict[tuple[int, int], int]:
        """Every pair with a count, for comparing two states."""
        size = max(len(self._starts) - 1, max(self._delta, default=-1) + 1)
        found: dict[tuple[int, int], int] = {}
        for left in range(size):
            partners, counts = self._merge(left)
            found.update({(left, int(p)): int(c) for p, c in zip(partners, counts, strict=True)})
        return found

    def _merge(self, item: int) -> tuple[IntArray, npt.NDArray[np.int64]]:
        partners, counts = self._base_row(item)
        delta = self._delta.get(item)
        if delta:
            fresh = np.fromiter(delta.keys(), np.int64, len(delta))
            added = np.fromiter(delta.values(), np.int64, len(delta))
            everyone, place = np.unique(np.concatenate([partners, fresh]), return_inverse=True)
            summed = np.zeros(len(everyone), np.int64)
            np.add.at(summed, place, np.concatenate([counts, added]))
            partners, counts = everyone, summed
        keep = counts > 0
        return np.asarray(partners[keep], np.int64), counts[keep]

    def _base_row(self, item: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        if item + 1 >= len(self._starts):
            return self._partners[:0], self._counts[:0]
        part = slice(self._starts[item], self._starts[item + 1])
        return self._partners[part], self._counts[part]


class Row(NamedTuple):
    """One item's partners and what each counts; ``ends`` is 0 and how many, as ``spread.add_rows`` wants it."""

    partners: npt.NDArray[np.int32]
    counts: FloatArray
    ends: npt.NDArray[np.int32]


NO_PARTNERS = Row(np.empty(0, np.int32), np.empty(0), np.zeros(2, np.int32))


class Norm(NamedTuple):
    """Shrinkage s (in fresh events) and asymmetry a (share of the anchor's own popularity) of a cosine."""

    shrinkage: float
    asymmetry: float = 0.5


class Norms:
    """``(total · factor + s)^-a`` and ``^-(1−a)`` of every item, with the factor of the current minute.

    Rebuilt when the minute turns, patched for single items in between, so reading a row needs no power.
    """

    def __init__(self, norm: Norm) -> None:
        self.norm = norm
        self.minute = -1
        self.factor = 0.0
        self.left: FloatArray = np.empty(0)
        self.right: FloatArray = np.empty(0)
        self.touched: list[int] = []

    def refresh(self, pairs: PairCounts, now_ms: int) -> None:
        """Bring the norms and the read factor up to date."""
        minute = now_ms // _MINUTE_MS
        if minute != self.minute or len(self.right) != len(pairs.totals):
            self.minute = minute
            self.factor = read_factor(minute * _MINUTE_MS, pairs.epoch_ms, pairs.half_life_ms)
            self.left = self._power(pairs.totals, self.norm.asymmetry)
            self.right = self._power(pairs.totals, 1 - self.norm.asymmetry)
        elif self.touched:
            items = np.array(self.touched)
            self.left[items] = self._power(pairs.totals[items], self.norm.asymmetry)
            self.right[items] = self._power(pairs.totals[items], 1 - self.norm.asymmetry)
        self.touched.clear()

    def _power(self, totals: npt.NDArray[np.int64], exponent: float) -> FloatArray:
        base = np.maximum(totals, 0) * self.factor + self.norm.shrinkage
        powered = 1.0 / np.sqrt(base) if exponent == 0.5 else base**-exponent
        return np.asarray(powered, np.float64)
