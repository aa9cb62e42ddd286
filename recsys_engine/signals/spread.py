"""Adding items' partners into an array over all items, each row in a single pass."""

from collections.abc import Sequence

from scipy.sparse import _sparsetools

from recsys_engine.domain import FloatArray
from recsys_engine.signals.pairs import Row


def add_rows(values: FloatArray, rows: Sequence[Row], scales: FloatArray) -> None:
    """``values[partners] += scale · counts`` for one row after the other.

    With SciPy's kernel under every product of a sparse column with a vector, called itself, since each way to it
    through a matrix costs more than the pass; NumPy makes three passes over twice the bytes. It checks no bounds.
    """
    size = len(values)
    for place, (partners, counts, ends) in enumerate(rows):
        if partners[-1] >= size:
            raise IndexError("a partner is not among the items")
        _sparsetools.csc_matvec(size, 1, ends, partners, counts, scales[place : place + 1], values)
