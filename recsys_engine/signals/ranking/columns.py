"""Candidate rows and feature columns shared by every question."""

from dataclasses import dataclass

import numpy as np

from recsys_engine.signals.ranking.orders import Bools, Floats, Ints


@dataclass(frozen=True)
class Candidates:
    """Rows to rank: `case` (ascending) says which shopper or basket, `item` what is offered; `features` is rows ×
    names, NaN = unknown.
    """

    case: Ints
    item: Ints
    features: Floats
    names: tuple[str, ...]


def relative(scores: Floats) -> Floats:
    """Each row of max(scores, 0) over its largest value; an all-zero row stays zero."""
    positive = np.maximum(scores, 0)
    top = positive.max(axis=1, keepdims=True, initial=0)
    return np.asarray(positive / np.where(top > 0, top, 1), np.float32)


def mark_best(marked: Bools, scores: Floats, blocked: Bools, count: int) -> None:
    """Set `marked` for the `count` best unblocked columns of each row."""
    count = min(count, scores.shape[1])
    open_scores = np.where(blocked, -np.inf, scores)
    best = np.argpartition(-open_scores, count - 1, axis=1)[:, :count]
    rows = np.arange(len(scores))[:, None]
    marked[rows, best] |= ~blocked[rows, best]


def standing(values: Floats, case: Ints) -> tuple[Floats, Floats]:
    """For one column: the share of the case's best value, and the rank inside the case (0 = best; ties by row
    order).
    """
    cases = int(case.max(initial=-1)) + 1
    top = np.zeros(cases, np.float32)
    np.maximum.at(top, case, values)
    share = values / np.maximum(top[case], 1e-9)
    order = np.lexsort((-values, case))
    rank = np.empty(len(values), np.float32)
    rank[order] = np.arange(len(values)) - np.searchsorted(case, case[order])
    return share.astype(np.float32), rank


def stack(case: Ints, item: Ints, columns: dict[str, Floats]) -> Candidates:
    """Candidates from named columns, in the order of the mapping."""
    features = np.empty((len(case), len(columns)), np.float32)
    for position, values in enumerate(columns.values()):
        features[:, position] = values
    return Candidates(case, item, features, tuple(columns))
