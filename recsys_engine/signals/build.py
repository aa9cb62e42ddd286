"""Builds a live state from the whole log at once; equal, cell by cell, to applying the rows one by one."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_engine.domain import FloatArray, IntArray
from recsys_engine.signals.decay import weights_at
from recsys_engine.signals.histories import BASKET, ITEM, TS_MS, TYPE, VALUE
from recsys_engine.signals.interactions import BASKET_LINES, basket_lines, covisit_pairs, sequence_pairs
from recsys_engine.signals.pairs import PairCounts
from recsys_engine.signals.state import (
    PAIR_HALF_LIFE_MS,
    SEQUENCE_HALF_LIFE_MS,
    UNNAMED_ORDER_MS,
    LiveState,
    order_code,
)

_BUFFERED_PAIRS = 4_000_000
Weights = npt.NDArray[np.int64]


def load_events(state: LiveState, rows: list[Any]) -> None:
    """Fill an empty state. ``rows`` are tuples in log order: seq, user, item, type, value, ts µs, order, impression."""
    if not rows:
        return
    state.seq = max(state.seq, int(rows[-1][0]))
    users, matrix = _columns(state, rows)
    if not len(matrix):
        return
    state.histories.load(users, matrix)
    ts_ms = matrix[:, TS_MS].astype(np.int64)
    items = matrix[:, ITEM].astype(np.int64)
    state.popularity.add_many(items, matrix[:, TYPE].astype(np.int64), matrix[:, VALUE], ts_ms)
    order = np.argsort(users, kind="stable")
    _load_pairs(state, users[order], matrix[order])


def _columns(state: LiveState, rows: list[Any]) -> tuple[IntArray, FloatArray]:
    kept = [row for row in rows if row[2] and not row[7]]
    user_of, item_of = state.histories.index_of, state.catalog.index_of
    users = np.fromiter((user_of(row[1]) for row in kept), np.int64, len(kept))
    matrix = np.empty((len(kept), 5))
    matrix[:, ITEM] = np.fromiter((item_of(row[2]) for row in kept), np.int64, len(kept))
    matrix[:, TYPE] = np.fromiter((row[3] for row in kept), np.int64, len(kept))
    matrix[:, VALUE] = np.fromiter((row[4] for row in kept), np.float64, len(kept))
    ts_ms = np.fromiter((row[5] for row in kept), np.int64, len(kept)) // 1000
    matrix[:, TS_MS] = ts_ms
    codes: dict[str, int] = {order: order_code(order) for order in {row[6] for row in kept} if order}
    named = np.fromiter((codes[row[6]] if row[6] else -1 for row in kept), np.int64, len(kept))
    matrix[:, BASKET] = np.where(named >= 0, named, -(ts_ms // UNNAMED_ORDER_MS))
    return users, matrix


def _load_pairs(state: LiveState, users: IntArray, rows: FloatArray) -> None:
    size = state.catalog.size
    epoch_ms = state.settings.epoch_ms
    items = rows[:, ITEM].astype(np.int64)
    ts_ms = rows[:, TS_MS].astype(np.int64)
    pair_weights = weights_at(ts_ms, epoch_ms, PAIR_HALF_LIFE_MS)
    step_weights = weights_at(ts_ms, epoch_ms, SEQUENCE_HALF_LIFE_MS)
    window_ms = state.settings.covisit_window_ms

    visits = (
        both_ways(items, later, earlier, pair_weights) for later, earlier in covisit_pairs(users, rows, window_ms)
    )
    _fill(state.covisit, (part for two in visits for part in two), size)
    state.covisit.load_totals(items, pair_weights, size)

    steps = (
        (items[earlier], items[later], step_weights[later] // lag)
        for lag, (later, earlier) in enumerate(sequence_pairs(users, rows), 1)
    )
    _fill(state.sequence, steps, size)
    state.sequence.load_totals(items, step_weights, size)

    lines, _, place = basket_lines(users, rows)
    together = (both_ways(items, later, earlier, pair_weights) for later, earlier in _line_pairs(lines, place))
    _fill(state.basket, (part for two in together for part in two), size)
    state.basket.load_totals(items[lines], pair_weights[lines], size)


def both_ways(
    items: IntArray, later: IntArray, earlier: IntArray, weights: Weights
) -> tuple[tuple[IntArray, IntArray, Weights], ...]:
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


def _fill(pairs: PairCounts, parts: Iterable[tuple[IntArray, IntArray, Weights]], size: int) -> None:
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
    pairs.load(key // size, key % size, total, size)


_NO_WEIGHTS: Weights = np.empty(0, np.int64)


def _summed(keys: IntArray, weights: Weights) -> tuple[IntArray, Weights]:
    if not len(keys):
        return keys, weights
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(weights, first)
