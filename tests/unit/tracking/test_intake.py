"""Group commit: one transaction for those who wait, an answer for each."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import SQLAlchemyError

from shop_app.tracking.intake import MOST_AT_ONCE, GroupIntake, Waiting
from shop_app.tracking.log_rows import Row, Shared

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SHARED = Shared("a_1", None, "desktop", is_bot=False, is_qa=False, received_at=NOW, client_sent_at=NOW)


def a_row(name: str) -> Row:
    return Row(name, 1, "P1", NOW, NOW, "home", None, None, None, recommended=False, meta={})


class Log:
    """Keeps what is stored, group by group; the first transaction waits until `go` is set."""

    def __init__(self, fails: Callable[[list[str]], BaseException | None] = lambda names: None) -> None:
        self.groups: list[list[str]] = []
        self.is_under_way, self.go = threading.Event(), threading.Event()
        self._fails = fails

    def store(self, beacons: Sequence[Waiting]) -> list[set[str]]:
        names = [row.source_event_id for beacon in beacons for row in beacon.rows]
        self.is_under_way.set()
        assert self.go.wait(30)
        if error := self._fails(names):
            raise error
        known = {name for group in self.groups for name in group}
        new = []
        for beacon in beacons:
            new.append({row.source_event_id for row in beacon.rows} - known)
            known |= new[-1]
        self.groups.append(names)
        return new


def told_while_one_is_under_way(log: Log, intake: GroupIntake, beacons: list[list[str]]) -> list[Future[set[str]]]:
    """The first beacon is being written while the others come, one after the other."""
    with ThreadPoolExecutor(len(beacons) + 1) as pool:
        told = []
        for count, names in enumerate(beacons):
            told.append(pool.submit(intake.add, [a_row(name) for name in names], SHARED))
            assert log.is_under_way.wait(30)
            while len(intake._waiting) < count:
                threading.Event().wait(0.001)
        log.go.set()
    return told


def test_beacons_that_wait_go_in_together_and_each_gets_its_own_answer() -> None:
    log = Log()
    told = told_while_one_is_under_way(log, GroupIntake(log.store), [["a"], ["b", "c"], ["a", "d"], ["d"]])
    assert [one.result() for one in told] == [{"a"}, {"b", "c"}, {"d"}, set()]
    assert log.groups == [["a"], ["b", "c", "a", "d", "d"]]


def test_a_transaction_takes_no_more_than_its_share() -> None:
    log = Log()
    beacons = [[f"e{number}"] for number in range(MOST_AT_ONCE + 2)]
    told = told_while_one_is_under_way(log, GroupIntake(log.store), beacons)
    assert [one.result() for one in told] == [set(names) for names in beacons]
    assert [len(group) for group in log.groups] == [1, MOST_AT_ONCE, 1]


def test_a_beacon_the_database_refuses_fails_alone() -> None:
    log = Log(lambda names: SQLAlchemyError("no such letter") if "bad" in names else None)
    told = told_while_one_is_under_way(log, GroupIntake(log.store), [["a"], ["b"], ["bad"], ["c"]])
    assert [told[place].result() for place in (0, 1, 3)] == [{"a"}, {"b"}, {"c"}]
    with pytest.raises(SQLAlchemyError, match="no such letter"):
        told[2].result()
    assert log.groups == [["a"], ["b"], ["c"]]


def test_a_thread_that_is_stopped_while_it_writes_leaves_nobody_waiting() -> None:
    log = Log(lambda names: SystemExit() if names == ["b", "c"] else None)
    told = told_while_one_is_under_way(log, GroupIntake(log.store), [["a"], ["b"], ["c"]])
    assert told[0].result() == {"a"}
    assert {type(one.exception()) for one in told[1:]} == {SystemExit, RuntimeError}
    assert log.groups == [["a"]]
