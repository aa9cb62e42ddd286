"""Halving and back-off."""

import random
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable
from shop_app.sync.sending import Refused, pause_after, send_in_parts


@given(st.integers(1, 300), st.sets(st.integers(0, 299), max_size=12))
def test_every_entry_ends_in_exactly_one_place_in_few_calls(count: int, bad: set[int]) -> None:
    def send(part: Sequence[int]) -> list[Refused]:
        if bad & set(part):
            raise RecsysRejected("bad", "bad", {}, 400)
        return []

    outcome = send_in_parts(list(range(count)), send)

    assert outcome.delivered == sorted(set(range(count)) - bad)
    assert {entry for entry, _ in outcome.refused} == bad & set(range(count))
    assert outcome.left == []
    assert outcome.calls <= 1 + len(bad) * 2 * (count - 1).bit_length()


@given(st.integers(1, 100), st.integers(1, 8))
def test_when_recsys_goes_away_half_way_nothing_is_lost(count: int, good_calls: int) -> None:
    calls = 0

    def send(part: Sequence[int]) -> list[Refused]:
        nonlocal calls
        calls += 1
        if calls > good_calls:
            raise RecsysUnavailable("gone", 7)
        if len(part) > 3:
            raise RecsysRejected("too_big", "too big", {}, 413)
        return []

    outcome = send_in_parts(list(range(count)), send)

    assert sorted(outcome.delivered + outcome.left) == list(range(count))
    assert bool(outcome.left) == bool(outcome.trouble)


def test_a_pause_is_jittered_capped_and_never_shorter_than_asked() -> None:
    rng = random.Random(1)

    longest = [max(pause_after(n, rng) for _ in range(2000)) for n in (1, 2, 3, 30)]

    assert timedelta(seconds=0.95) < longest[0] <= timedelta(seconds=1)
    assert timedelta(seconds=1.9) < longest[1] <= timedelta(seconds=2)
    assert timedelta(seconds=3.8) < longest[2] <= timedelta(seconds=4)
    assert timedelta(minutes=4.9) < longest[3] <= timedelta(minutes=5)
    assert pause_after(1, rng, timedelta(seconds=90)) == timedelta(seconds=90)
