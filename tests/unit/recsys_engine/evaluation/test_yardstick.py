"""The engine as a yardstick drives it, on a tiny shop."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from recsys_engine.evaluation.yardstick import Capped, Engine, Plain

START, DAY_S = 1_600_000_000, 86_400


class Line(NamedTuple):
    item: str
    ts: int
    type: int
    value: float
    basket: str


def _frames():
    """16 shoppers of four tastes, each with six items, every ten days for 200 days; items a0–d5, a brand each taste."""
    rng = np.random.default_rng(4)
    rows = [
        (f"c{user}", f"{'abcd'[user % 4]}{item}", f"o{user}-{order}", START + (10 * order + user % 7) * DAY_S, 3, 1.0)
        for user in range(16)
        for order in range(20)
        for item in {0, 1, 2 + int(rng.integers(4))}
    ]
    names = [f"{taste}{item}" for taste in "abcd" for item in range(6)] + ["new"]
    items = pd.DataFrame(
        {
            "item": names,
            "title": [f"tea {name}" for name in names],
            "brand": [f"brand {name[0]}" for name in names],
            "category": [f"kind {name[0]}" for name in names],
            "price": 2.0,
            "text": [f"tea {name}" for name in names],
        }
    )
    return pd.DataFrame(rows, columns=["user", "item", "basket", "ts", "type", "value"]), items


@pytest.fixture(scope="module")
def engine():
    made = Engine()
    made.fit(*_frames())
    return made


def _history(taste):
    at = START + 195 * DAY_S
    return [Line(f"{taste}{item}", at, 3, 1.0, "o") for item in (0, 1, 2)]


def test_a_member_gets_their_habits_and_with_everything_bought_excluded_none_of_them(engine):
    bought = {f"a{item}" for item in range(6)}

    habits = engine.recommend("c0", _history("a"), 5)
    new = engine.recommend("c0", _history("a"), 5, bought)

    assert set(habits[:2]) == {"a0", "a1"}
    assert len(new) == 5
    assert not bought & set(new)


def test_similar_items_and_a_basket_are_answered_from_their_own_taste_without_what_was_given(engine):
    assert engine.similar("b0", 3)[0] in {"b1", "b2", "b3", "b4", "b5"}
    assert "b0" not in engine.similar("b0", 3)
    assert engine.complete(["c0", "c2"], 3)[0] == "c1"


def test_only_the_given_new_items_are_ranked(engine):
    assert engine.rank_cold("c0", _history("a"), ["new"], 5) == ["new"]


def test_a_shopper_the_log_does_not_know_tells_their_history_first(engine):
    assert set(engine.recommend("c99", _history("d"), 2)) <= {f"d{item}" for item in range(6)}


def test_capped_lists_hold_two_of_a_brand_and_plain_ones_do_not_care(engine):
    capped, plain = Capped(), Plain()
    for other in (capped, plain):
        other.__dict__.update(engine.__dict__)

    brands = Counter(item[0] for item in capped.recommend("c0", _history("a"), 6))

    assert max(brands.values()) == 2
    assert Counter(item[0] for item in plain.recommend("c0", _history("a"), 6))["a"] > 2
