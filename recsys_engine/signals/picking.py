"""Small operations on arrays of items that many signals share."""

import numpy as np

from recsys_engine.domain import FloatArray, IntArray


def top(scores: FloatArray, limit: int, ties: IntArray) -> IntArray:
    """Indices of the ``limit`` largest positive scores, best first; equal ones by ``ties``, ascending."""
    if len(scores) > 4 * limit:
        part = np.argpartition(-scores, limit)[:limit]
        cut = scores[part].min()
        part = np.flatnonzero(scores >= cut) if cut > 0 else np.flatnonzero(scores > 0)
    else:
        part = np.flatnonzero(scores > 0)
    return part[np.lexsort((ties[part], -scores[part]))][:limit]


def best(scores: FloatArray, limit: int, ties: IntArray) -> IntArray:
    """The indices ``top`` gives, in no particular order: whoever only collects them saves the sorting."""
    held: IntArray = (scores > 0).nonzero()[0]
    if len(held) <= limit:
        return held
    values = scores[held]
    part = _upper_part(values, limit)
    cut = np.partition(part, len(part) - limit)[len(part) - limit]
    found: IntArray = held[values >= cut]
    if len(found) == limit:
        return found
    level = held[values == cut]
    kept = level[ties[level].argsort(kind="stable")][: limit - (len(found) - len(level))]
    return np.concatenate([held[values > cut], kept])


def _upper_part(values: FloatArray, limit: int) -> FloatArray:
    """Some of the values that include the ``limit`` largest; most are small, and one pass leaves them out."""
    if len(values) <= 4 * limit:
        return values
    upper = values[values > 2 * values.mean()]
    return upper if len(upper) >= limit else values


def looked_up(known: IntArray, values: FloatArray, items: IntArray) -> FloatArray:
    """The value of each of ``items`` where ``known`` (ascending) holds it, else 0."""
    if not len(known):
        return np.zeros(len(items))
    at = np.minimum(np.searchsorted(known, items), len(known) - 1)
    return np.where(known[at] == items, values[at], 0.0)
