"""Histories keep order and grow, also for somebody whose past was taken away."""

import numpy as np

from recsys_engine.signals.histories import ITEM, Histories


def test_somebody_who_was_emptied_can_begin_again() -> None:
    histories = Histories()
    user = histories.index_of("u_1")
    histories.append(user, (4, 1, 3, 1.0, 0))
    histories.replace(user, np.empty((0, 5)))

    for n in range(10):
        histories.append(user, (n, n, 0, 1.0, 0))

    assert histories.rows(user)[:, ITEM].tolist() == list(range(10))
