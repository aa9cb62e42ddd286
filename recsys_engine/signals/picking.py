"""Small operations on arrays of items that many signals share."""

import numpy as np

from recsys_engine.domain import BoolArray, FloatArray, IntArray


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
    positive = scores > 0
    count = int(np.count_nonzero(positive))
    if count <= limit:
        return positive.nonzero()[0]
    part = _upper_part(scores, positive, count, limit)
    place = len(part) - limit
    part.partition(place)
    cut = part[place]
    found: IntArray = (scores >= cut).nonzero()[0]
    if len(found) == limit:
        return found
    above, level = (scores > cut).nonzero()[0], (scores == cut).nonzero()[0]
    return np.concatenate([above, level[ties[level].argsort(kind="stable")][: limit - len(above)]])


def _upper_part(scores: FloatArray, positive: BoolArray, count: int, limit: int) -> FloatArray:
    """A copy of some of the scores that include the ``limit`` largest; one pass leaves most small ones out."""
    if count > 4 * limit:
        upper: FloatArray = scores[scores > 2 / count * np.add.reduce(scores)]
        if len(upper) >= limit:
            return upper
    part: FloatArray = scores[positive]
    return part


def looked_up(known: IntArray, values: FloatArray, items: IntArray) -> FloatArray:
    """The value of each of ``items`` where ``known`` (ascending) holds it, else 0."""
    if not len(known):
        return np.zeros(len(items))
    at = known.searchsorted(items)
    found: FloatArray = values.take(at, mode="clip") * (known.take(at, mode="clip") == items)
    return found
