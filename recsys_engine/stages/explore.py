"""Exploration with known odds: some places are given to a random candidate from further down the list."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from recsys_engine.domain import Choice

REACH = 50
"""A random candidate comes from the next this many rows by score."""


class Places(Protocol):
    """The caps of the list being made, by pool row."""

    def fits(self, row: int) -> bool:
        """Would one more of this kind be allowed?"""

    def take(self, row: int) -> None:
        """Count a row that is on the list."""

    def release(self, row: int) -> None:
        """Undo ``take``."""


def explore(
    chosen: Sequence[Choice],
    order: Sequence[int],
    rate: float,
    rng: np.random.Generator,
    places: Places,
) -> list[Choice]:
    """Give each scored place but the first, with probability ``rate``, to a uniform draw from the reserve.

    Only rows that the caps allow in that place are drawn. A kept choice had probability 1 − rate (1 when
    nothing else is allowed), a drawn one rate / (number of allowed rows at that step). No repeats, same length.
    """
    if rate <= 0:
        return list(chosen)
    taken = {choice.row for choice in chosen}
    reserve = [row for row in order if row not in taken][:REACH]
    out: list[Choice] = []
    for place, choice in enumerate(chosen):
        if choice.how != "score" or place == 0:
            out.append(choice)
            continue
        places.release(choice.row)
        allowed = [row for row in reserve if places.fits(row)]
        explores = bool(allowed) and rng.random() < rate
        drawn = allowed[int(rng.integers(len(allowed)))] if explores else choice.row
        places.take(drawn)
        if not explores:
            kept = 1 - rate if allowed else 1.0
            out.append(Choice(choice.row, "score", choice.penalty, choice.max_similarity, kept))
            continue
        reserve.remove(drawn)
        out.append(Choice(drawn, "exploration", propensity=rate / len(allowed)))
    return out
