"""Ids the engine gives out itself."""

import time
from uuid import RFC_4122, UUID

from recsys_engine.service.intake import new_id


def test_ids_are_uuids_of_version_7_that_sort_by_time():
    before_ms = time.time_ns() // 1_000_000
    first = new_id()
    while time.time_ns() // 1_000_000 <= int(first[:8] + first[9:13], 16):
        pass
    second = new_id()

    assert first < second
    assert (UUID(first).version, UUID(first).variant) == (7, RFC_4122)
    assert str(UUID(first)) == first
    assert before_ms <= UUID(first).int >> 80 <= time.time_ns() // 1_000_000


def test_a_thousand_ids_of_one_moment_differ():
    assert len({new_id() for _ in range(1000)}) == 1000
