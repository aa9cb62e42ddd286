"""Rows added by SciPy's kernel give what NumPy's three passes give, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_engine.signals.pairs import Row
from recsys_engine.signals.spread import add_rows

ITEMS = 30
counts = st.floats(1e-9, 1e15)
rows = st.dictionaries(st.integers(0, ITEMS - 1), counts, min_size=1).map(lambda held: a_row(sorted(held.items())))


def a_row(pairs):
    partners, held = zip(*pairs, strict=True)
    return Row(np.array(partners, np.int32), np.array(held), np.array([0, len(pairs)], np.int32))


@given(st.lists(st.tuples(rows, st.floats(1e-12, 10)), max_size=8))
def test_rows_are_added_one_after_the_other_as_numpy_adds_them(scaled):
    values, expected = np.zeros(ITEMS), np.zeros(ITEMS)

    add_rows(values, [row for row, _ in scaled], np.array([scale for _, scale in scaled]))

    for row, scale in scaled:
        np.add.at(expected, row.partners, row.counts * scale)
    assert values.tolist() == expected.tolist()


def test_a_partner_beyond_the_items_is_refused_before_anything_is_written():
    values = np.zeros(ITEMS)

    with pytest.raises(IndexError, match="not among the items"):
        add_rows(values, [a_row([(2, 1.0), (ITEMS, 1.0)])], np.ones(1))

    assert not values.any()
