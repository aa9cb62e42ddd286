"""The watch over the stream against ninety simulated days with two hundred faults in them."""

import pytest

from benchmarks.bench_faults import KINDS, run

pytestmark = [pytest.mark.ticket("RS-052"), pytest.mark.timeout(400)]


def test_of_two_hundred_faults_nearly_all_are_found_and_nearly_no_alert_is_false() -> None:
    verdict = run(seed=1, count=200)

    assert {fault.kind for fault in verdict.faults} == set(KINDS)
    assert len(verdict.faults) == 200
    assert verdict.recall >= 0.95
    assert verdict.precision >= 0.90
    assert verdict.false_a_week <= 1
