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


def looked_up(known: IntArray, values: FloatArray, items: IntArray) -> FloatArray:
    """The value of each of ``items`` where ``known`` (ascending) holds it, else 0."""
    if not len(known):
        return np.zeros(len(items))
    at = np.minimum(np.searchsorted(known, items), len(known) - 1)
    return np.where(known[at] == items, values[at], 0.0)
