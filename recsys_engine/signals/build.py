"""Builds a live state from the whole log at once; equal, cell by cell, to applying the rows one by one."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_engine.domain import FloatArray, IntArray
from recsys_engine.signals.batches import columns
from recsys_engine.signals.decay import weights_at
from recsys_engine.signals.histories import ITEM, TS_MS, TYPE, VALUE
from recsys_engine.signals.interactions import BASKET_LINES, NewRows, basket_lines, covisit_pairs, sequence_pairs
from recsys_engine.signals.pairs import PairCounts
from recsys_engine.signals.state import PAIR_HALF_LIFE_MS, SEQUENCE_HALF_LIFE_MS, LiveState

_BUFFERED_PAIRS = 4_000_000
_ROWS_AT_ONCE = 65_536
"""Events whose pairs are found in one go; each takes about half a kilobyte meanwhile."""
Weights = npt.NDArray[np.int64]
Pairs = tuple[IntArray, IntArray, Weights]
"""Left items, right items, weights."""


def load_events(state: LiveState, rows: list[Any]) -> None:
    """Fill an empty state. ``rows`` are tuples in log order: seq, user, item, type, value, ts µs, order, impression."""
    if not rows:
        return
    state.seq = max(state.seq, int(rows[-1][0]))
    users, matrix = columns(state, rows, ticks_per_ms=1000)
    if not len(matrix):
        return
    state.histories.load(users, matrix)
    ts_ms = matrix[:, TS_MS].astype(np.int64)
    items = matrix[:, ITEM].astype(np.int64)
    state.popularity.add_many(items, matrix[:, TYPE].astype(np.int64), matrix[:, VALUE], ts_ms)
    order = np.argsort(users, kind="stable")
    _load_pairs(state, users[order], matrix[order])


def _load_pairs(state: LiveState, users: IntArray, rows: FloatArray) -> None:
    size = state.catalog.size
    epoch_ms = state.settings.epoch_ms
    items = rows[:, ITEM].astype(np.int64)
    ts_ms = rows[:, TS_MS].astype(np.int64)
    pair_weights = weights_at(ts_ms, epoch_ms, PAIR_HALF_LIFE_MS)
    step_weights = weights_at(ts_ms, epoch_ms, SEQUENCE_HALF_LIFE_MS)

    _fill(state.covisit, _visits(users, rows, pair_weights, state.settings.covisit_window_ms), size)
    state.covisit.load_totals(items, pair_weights, size)
    _fill(state.sequence, _steps(users, rows, step_weights), size)
    state.sequence.load_totals(items, step_weights, size)

    lines, _, place = basket_lines(users, rows)
    together = (both_ways(items, later, earlier, pair_weights) for later, earlier in _line_pairs(lines, place))
    _fill(state.basket, (part for two in together for part in two), size)
    state.basket.load_totals(items[lines], pair_weights[lines], size)


def _visits(users: IntArray, rows: FloatArray, weights: Weights, window_ms: int) -> Iterator[Pairs]:
    items = rows[:, ITEM].astype(np.int64)
    for new in _all_new(users):
        row, earlier = covisit_pairs(rows, new, window_ms)
        yield from both_ways(items, new.place[row], earlier, weights)


def _steps(users: IntArray, rows: FloatArray, weights: Weights) -> Iterator[Pairs]:
    items = rows[:, ITEM].astype(np.int64)
    for new in _all_new(users):
        row, earlier, lag = sequence_pairs(rows, new)
        yield items[earlier], items[new.place[row]], weights[new.place[row]] // lag


def _all_new(users: IntArray) -> Iterator[NewRows]:
    """Every row of users in order, so many at a time."""
    starts = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
    depth = np.arange(len(users)) - np.repeat(starts, np.diff(np.append(starts, len(users))))
    for start in range(0, len(users), _ROWS_AT_ONCE):
        place = np.arange(start, min(start + _ROWS_AT_ONCE, len(users)))
        yield NewRows(place, depth[place])


def both_ways(items: IntArray, later: IntArray, earlier: IntArray, weights: Weights) -> tuple[Pairs, ...]:
    """A symmetric pair as its two directions; the later event gives the weight."""
    a, b, w = items[later], items[earlier], weights[later]
    return (a, b, w), (b, a, w)


def _line_pairs(lines: IntArray, place: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    for lag in range(1, BASKET_LINES):
        at = np.flatnonzero(place >= lag)
        if not len(at):
            return
        yield _in_log_order(lines[at], lines[at - lag])


def _in_log_order(one: IntArray, other: IntArray) -> tuple[IntArray, IntArray]:
    return np.maximum(one, other), np.minimum(one, other)


def _fill(pairs: PairCounts, parts: Iterable[Pairs], size: int) -> None:
    keys: list[IntArray] = []
    weights: list[Weights] = []
    buffered = 0
    for left, right, weight in parts:
        keys.append(left * np.int64(size) + right)
        weights.append(weight)
        buffered += len(left)
        if buffered > _BUFFERED_PAIRS:
            key, total = _summed(np.concatenate(keys), np.concatenate(weights))
            keys, weights, buffered = [key], [total], 0
    key, total = _summed(np.concatenate(keys or [np.empty(0, np.int64)]), np.concatenate(weights or [_NO_WEIGHTS]))
    pairs.load_sums(key, total, size)


_NO_WEIGHTS: Weights = np.empty(0, np.int64)


def _summed(keys: IntArray, weights: Weights) -> tuple[IntArray, Weights]:
    if not len(keys):
        return keys, weights
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(weights, first)
