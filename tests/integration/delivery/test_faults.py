"""The short form of `python -m scripts.faults`."""

import os
import sys

import pytest

from scripts.faults.matrix import run, table

EVENTS = 50_000


@pytest.mark.ticket("RS-080")
@pytest.mark.ticket("RS-026")
@pytest.mark.ticket("RS-028")
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="limits and process groups as Linux has them")
def test_fifty_thousand_events_pass_every_fault_point_and_the_books_balance(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.environ.get("TEST_DATABASE_URL"):
        monkeypatch.setenv("CHAOS_DATABASE_URL", database_url)

    verdict = run(events=EVENTS, rate=700, workers=2, double_share=0.4, seed=3)

    books = verdict.books
    assert len({row.point for row in verdict.rows}) >= 20
    assert [row.point for row in verdict.rows if not row.hits] == []
    assert (books.lost, books.doubled, books.unfounded, books.unsent) == ([], [], [], 0), table(verdict)
    assert (books.wrongly_dead, books.poison_alive) == ([], [])
    assert verdict.poison > 0
    assert books.told >= EVENTS
    assert books.at_recsys == books.told == books.logged - verdict.poison
    assert verdict.double_share >= 0.3
