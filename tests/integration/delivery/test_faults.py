"""The short form of `python -m scripts.faults`; the suite's leg on PostgreSQL leaves it to the long form."""

import sys

import pytest

from scripts.faults.matrix import Verdict, run, table

EVENTS = 50_000

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="limits and process groups as Linux has them"),
    pytest.mark.ticket("RS-080"),
    pytest.mark.ticket("RS-026"),
    pytest.mark.ticket("RS-028"),
]


def assert_balanced(verdict: Verdict, events: int) -> None:
    books = verdict.books
    assert (books.lost, books.doubled, books.unfounded, books.unsent) == ([], [], [], 0), table(verdict)
    assert (books.wrongly_dead, books.poison_alive) == ([], [])
    assert [row.point for row in verdict.rows if not row.hits] == []
    assert verdict.poison > 0
    assert books.told >= events
    assert books.at_recsys == books.told == books.logged - verdict.poison
    assert verdict.double_share >= 0.3


def test_fifty_thousand_events_pass_every_fault_point_and_the_books_balance() -> None:
    verdict = run(events=EVENTS, rate=600, workers=2, double_share=0.4, seed=3)

    assert_balanced(verdict, EVENTS)
    assert len({row.point for row in verdict.rows}) >= 20
