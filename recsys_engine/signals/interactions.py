"""Which item pairs an event makes: one rule in two forms, per event and per array of events (a batch, a whole log).

All three relations look only at the same shopper's earlier events in log order:

- co-visitation: distinct items among the last 10 events within the window, not of the same order, both directions;
- sequence: distinct items among the last 3 events, browsed within 30 minutes, earlier → later, 1 / events between;
- basket: distinct earlier lines of the same order, both directions; lines past the 60th make no pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys_engine.contract.entities import EventType
from recsys_engine.domain import BoolArray, FloatArray, IntArray
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


@dataclass(frozen=True, slots=True)
class NewRows:
    """Which rows of a matrix are new: their positions, and how many rows of the same shopper lie just before each.

    The matrix holds each shopper's rows together, in log order.
    """

    place: IntArray
    depth: IntArray

    def earlier(self, lags: int) -> tuple[IntArray, BoolArray]:
        """Positions of the rows 1, 2, … ``lags`` before each new row (lags × new rows), and whether they are theirs."""
        lag = np.arange(1, lags + 1)[:, None]
        is_own = lag <= self.depth
        return np.where(is_own, self.place - lag, self.place), is_own


def covisit_pairs(rows: FloatArray, new: NewRows, window_ms: int) -> tuple[IntArray, IntArray]:
    """Every co-visitation pair of a new row: which of the new rows, and the position of the earlier one."""
    earlier, counted = new.earlier(COVISIT_LAGS)
    mine, theirs = rows[new.place], rows[earlier]
    bought = (mine[:, TYPE] == PURCHASE) & (theirs[..., TYPE] == PURCHASE)
    counted &= (mine[:, TYPE] <= PURCHASE) & (theirs[..., TYPE] <= PURCHASE)
    counted &= np.abs(mine[:, TS_MS] - theirs[..., TS_MS]) <= window_ms
    counted &= ~(bought & (mine[:, BASKET] == theirs[..., BASKET]))
    counted &= mine[:, ITEM] != theirs[..., ITEM]
    lag, row = np.nonzero(_nearest(theirs[..., ITEM], counted))
    return row, earlier[lag, row]


def sequence_pairs(rows: FloatArray, new: NewRows) -> tuple[IntArray, IntArray, IntArray]:
    """Every sequence pair of a new row: which of the new rows, the position of the earlier one, and events between."""
    earlier, counted = new.earlier(SEQUENCE_LAGS)
    mine, theirs = rows[new.place], rows[earlier]
    gap = mine[:, TS_MS] - theirs[..., TS_MS]
    counted &= (mine[:, TYPE] <= ADD) & (theirs[..., TYPE] <= ADD) & (gap >= 0) & (gap <= SEQUENCE_GAP_MS)
    counted &= mine[:, ITEM] != theirs[..., ITEM]
    lag, row = np.nonzero(_nearest(theirs[..., ITEM], counted))
    return row, earlier[lag, row], lag + 1


def _nearest(items: FloatArray, counted: BoolArray) -> BoolArray:
    """Of the same item at several lags only the nearest that counts."""
    is_nearer = np.tri(len(items), k=-1, dtype=bool)[..., None]
    repeats: BoolArray = (is_nearer & counted & (items == items[:, None])).any(axis=1)
    return counted & ~repeats


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
