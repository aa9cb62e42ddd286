"""Which item pairs an event makes: one rule in two forms, per event (live) and per log (build).

All three relations look only at the same shopper's earlier events in log order:

- co-visitation: distinct items among the last 10 events within the window, not of the same order, both directions;
- sequence: distinct items among the last 3 events, browsed within 30 minutes, earlier → later, 1 / events between;
- basket: distinct earlier lines of the same order, both directions; lines past the 60th make no pairs.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from recsys_engine.contract.entities import EventType
from recsys_engine.domain import FloatArray, IntArray
from recsys_engine.signals.histories import BASKET, ITEM, TS_MS, TYPE

COVISIT_LAGS = 10
SEQUENCE_LAGS = 3
SEQUENCE_GAP_MS = 30 * 60_000
BASKET_LINES = 60
ADD, PURCHASE = int(EventType.ADD), int(EventType.PURCHASE)


Row = Sequence[float]
"""One event as plain numbers, columns as in ``histories``."""


def recent_rows(earlier: FloatArray) -> list[list[float]]:
    """The rows a new event can pair with in co-visitation and sequence, newest first."""
    rows: list[list[float]] = earlier[: -COVISIT_LAGS - 1 : -1].tolist()
    return rows


def covisit_partners(recent: Sequence[Row], row: Row, window_ms: int) -> list[int]:
    """Items that go together with the event ``row`` in co-visitation."""
    item, ts_ms, type_, _, basket = row
    if type_ > PURCHASE:
        return []
    found: dict[int, None] = {}
    for other_item, other_ts, other_type, _, other_basket in recent:
        if other_item == item or other_type > PURCHASE or not -window_ms <= ts_ms - other_ts <= window_ms:
            continue
        if other_type == type_ == PURCHASE and other_basket == basket:
            continue
        found[int(other_item)] = None
    return list(found)


def sequence_partners(recent: Sequence[Row], row: Row) -> dict[int, int]:
    """Items browsed just before the event ``row`` and how many events ago (1 = the one before)."""
    item, ts_ms, type_, _, _ = row
    if type_ > ADD:
        return {}
    found: dict[int, int] = {}
    for lag, (other_item, other_ts, other_type, _, _) in enumerate(recent[:SEQUENCE_LAGS], 1):
        if other_type <= ADD and other_item != item and 0 <= ts_ms - other_ts <= SEQUENCE_GAP_MS:
            found.setdefault(int(other_item), lag)
    return found


def basket_partners(earlier: FloatArray, row: Row) -> list[int] | None:
    """Earlier lines of the same order; None when this item is already in it or the order is too long."""
    if row[TYPE] != PURCHASE:
        return None
    same = earlier[(earlier[:, BASKET] == row[BASKET]) & (earlier[:, TYPE] == PURCHASE), ITEM]
    lines = dict.fromkeys(same.tolist())
    if len(lines) >= BASKET_LINES or row[ITEM] in lines:
        return None
    return [int(line) for line in lines]


def covisit_pairs(users: IntArray, rows: FloatArray, window_ms: int) -> Iterator[tuple[IntArray, IntArray]]:
    """``(later row, earlier row)`` positions of every co-visitation pair; rows sorted by user, log order within."""
    can = rows[:, TYPE] <= PURCHASE
    bought = rows[:, TYPE] == PURCHASE
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
    """``(later row, earlier row)`` positions of every sequence pair: one event apart, then two, then three."""
    can = rows[:, TYPE] <= ADD
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
    bought = np.flatnonzero(rows[:, TYPE] == PURCHASE)
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
