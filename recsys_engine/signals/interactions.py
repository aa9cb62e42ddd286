"""Which item pairs an event makes: one rule in two forms, per event (live) and per log (build).

All three relations look only at the same shopper's earlier events in log order:

- co-visitation: distinct items among the last 10 events within the window, not of the same order, both directions;
- sequence: distinct items among the last 3 browsing events within 30 minutes, earlier → later;
- basket: distinct earlier lines of the same order, both directions; lines past the 60th make no pairs.
"""

from collections.abc import Iterator

import numpy as np

from recsys_engine.contract.entities import EventType
from recsys_engine.domain import FloatArray, IntArray
from recsys_engine.signals.histories import BASKET, ITEM, TS_MS, TYPE

COVISIT_LAGS = 10
SEQUENCE_LAGS = 3
SEQUENCE_GAP_MS = 30 * 60_000
BASKET_LINES = 60


def covisit_partners(earlier: FloatArray, row: FloatArray, window_ms: int) -> list[int]:
    """Items that go together with the event ``row`` in co-visitation."""
    if row[TYPE] > EventType.PURCHASE:
        return []
    found: dict[int, None] = {}
    for other in earlier[: -COVISIT_LAGS - 1 : -1].tolist():
        same_order = other[TYPE] == row[TYPE] == EventType.PURCHASE and other[BASKET] == row[BASKET]
        if other[TYPE] > EventType.PURCHASE or same_order or other[ITEM] == row[ITEM]:
            continue
        if abs(row[TS_MS] - other[TS_MS]) <= window_ms:
            found[int(other[ITEM])] = None
    return list(found)


def sequence_partners(earlier: FloatArray, row: FloatArray) -> list[int]:
    """Items browsed just before the event ``row``."""
    if row[TYPE] > EventType.ADD:
        return []
    found: dict[int, None] = {}
    for other in earlier[: -SEQUENCE_LAGS - 1 : -1].tolist():
        if other[TYPE] > EventType.ADD or other[ITEM] == row[ITEM]:
            continue
        if 0 <= row[TS_MS] - other[TS_MS] <= SEQUENCE_GAP_MS:
            found[int(other[ITEM])] = None
    return list(found)


def basket_partners(earlier: FloatArray, row: FloatArray) -> list[int] | None:
    """Earlier lines of the same order; None when this item is already in it or the order is too long."""
    if row[TYPE] != EventType.PURCHASE:
        return None
    same = (earlier[:, BASKET] == row[BASKET]) & (earlier[:, TYPE] == EventType.PURCHASE)
    lines = np.unique(earlier[same, ITEM]).astype(np.int64)
    if len(lines) >= BASKET_LINES or row[ITEM] in lines:
        return None
    return [int(line) for line in lines]


def covisit_pairs(users: IntArray, rows: FloatArray, window_ms: int) -> Iterator[tuple[IntArray, IntArray]]:
    """``(later row, earlier row)`` positions of every co-visitation pair; rows sorted by user, log order within."""
    can = rows[:, TYPE] <= EventType.PURCHASE
    bought = rows[:, TYPE] == EventType.PURCHASE
    for lag in range(1, COVISIT_LAGS + 1):
        if lag >= len(rows):
            return
        later, earlier = slice(lag, None), slice(None, -lag)
        keep = (users[later] == users[earlier]) & can[later] & can[earlier]
        keep &= rows[later, ITEM] != rows[earlier, ITEM]
        keep &= np.abs(rows[later, TS_MS] - rows[earlier, TS_MS]) <= window_ms
        keep &= ~(bought[later] & bought[earlier] & (rows[later, BASKET] == rows[earlier, BASKET]))
        place = np.flatnonzero(keep) + lag
        for nearer in range(1, lag):
            other = place - nearer
            counted = can[other] & (np.abs(rows[place, TS_MS] - rows[other, TS_MS]) <= window_ms)
            counted &= ~(bought[place] & bought[other] & (rows[place, BASKET] == rows[other, BASKET]))
            place = place[~(counted & (rows[other, ITEM] == rows[place - lag, ITEM]))]
        yield place, place - lag


def sequence_pairs(users: IntArray, rows: FloatArray) -> Iterator[tuple[IntArray, IntArray]]:
    """``(later row, earlier row)`` positions of every sequence pair."""
    can = rows[:, TYPE] <= EventType.ADD
    for lag in range(1, SEQUENCE_LAGS + 1):
        if lag >= len(rows):
            return
        later, earlier = slice(lag, None), slice(None, -lag)
        gap = rows[later, TS_MS] - rows[earlier, TS_MS]
        keep = (users[later] == users[earlier]) & can[later] & can[earlier]
        keep &= (rows[later, ITEM] != rows[earlier, ITEM]) & (gap >= 0) & (gap <= SEQUENCE_GAP_MS)
        place = np.flatnonzero(keep) + lag
        for nearer in range(1, lag):
            other = place - nearer
            gap = rows[place, TS_MS] - rows[other, TS_MS]
            counted = can[other] & (gap >= 0) & (gap <= SEQUENCE_GAP_MS)
            place = place[~(counted & (rows[other, ITEM] == rows[place - lag, ITEM]))]
        yield place, place - lag


def basket_lines(users: IntArray, rows: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Row positions of counted order lines, their order number, and their place within it (0-based, < 60).

    The first occurrence of an item in an order counts; sorted by order and then log order.
    """
    bought = np.flatnonzero(rows[:, TYPE] == EventType.PURCHASE)
    order = bought[np.lexsort((bought, rows[bought, ITEM], rows[bought, BASKET], users[bought]))]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (
        (users[order[1:]] != users[order[:-1]])
        | (rows[order[1:], BASKET] != rows[order[:-1], BASKET])
        | (rows[order[1:], ITEM] != rows[order[:-1], ITEM])
    )
    lines = order[is_first]
    lines = lines[np.lexsort((lines, rows[lines, BASKET], users[lines]))]
    starts = np.ones(len(lines), bool)
    starts[1:] = (users[lines[1:]] != users[lines[:-1]]) | (rows[lines[1:], BASKET] != rows[lines[:-1], BASKET])
    number = np.cumsum(starts) - 1
    place = np.arange(len(lines)) - np.flatnonzero(starts)[number]
    keep = place < BASKET_LINES
    return lines[keep], number[keep], place[keep]
