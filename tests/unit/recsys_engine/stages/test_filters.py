"""Membership without ``np.isin``'s fixed price."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_engine.stages.filters import among

items = st.lists(st.integers(0, 20), max_size=30).map(lambda held: np.array(held, np.int64))


@given(items, items)
def test_few_and_many_are_found_alike(held, wanted):
    assert among(held, wanted).tolist() == np.isin(held, wanted).tolist()
