"""The short form of `python -m benchmarks.bench_outage`."""

import pytest

from benchmarks.bench_outage import run
from shop_app.site_settings.delivery import DEFAULTS

RATE, DOWN_S = 40, 25


@pytest.mark.ticket("RS-078")
@pytest.mark.ticket("RS-080")
def test_after_an_outage_the_backlog_goes_five_times_as_fast_as_events_come_and_none_is_missing() -> None:
    story = run(before_s=3, down_s=DOWN_S, rate=RATE)

    assert story.before.waiting <= RATE  # what came while the worker was at the second before
    assert story.down.waiting == story.before.waiting + RATE * DOWN_S
    assert story.after.waiting == 0
    assert story.sent == story.logged == story.line.taken
    assert story.line.calls_in_vain < DOWN_S / 3
    assert story.line.largest <= DEFAULTS.events_largest
    assert story.clearing >= 5
