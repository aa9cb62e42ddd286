"""The whole log again: resumable, repeatable, capped."""

import pytest

from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.sync.replay import BATCH, plan, replay
from shop_app.sync.services import Carrier, drain
from tests.factories.events import tell_purchases
from tests.fakes import FakeGateway

pytestmark = pytest.mark.usefixtures("app_context")
COUNT = 2 * BATCH + 7


@pytest.fixture
def log(carrier: Carrier, clock: FixedClock) -> list[str]:
    with unit_of_work(db.session):
        ids = tell_purchases(COUNT, clock.now())
    drain(carrier)
    return ids


@pytest.mark.ticket("RS-066")
def test_an_empty_recsys_is_filled_and_a_second_run_changes_nothing(
    carrier: Carrier, recsys: FakeGateway, log: list[str]
) -> None:
    original = dict(recsys.events)
    recsys.events.clear()
    pauses: list[float] = []
    assert plan(carrier).missing == COUNT

    first = replay(carrier, per_s=1000, sleep=pauses.append)
    counts = (first.sent, first.refused, first.finished_at is not None)
    once = dict(recsys.events)
    replay(carrier, sleep=pauses.append)

    assert counts == (COUNT, 0, True)
    assert once == original == recsys.events
    assert pauses[:2] == [BATCH / 1000] * 2
    assert plan(carrier).missing == 0
    assert len(log) == COUNT


@pytest.mark.ticket("RS-066")
def test_a_killed_run_goes_on_where_it_was(carrier: Carrier, recsys: FakeGateway, log: list[str]) -> None:
    recsys.events.clear()
    recsys.received.clear()

    def die(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(carrier, progress=die, sleep=lambda _: None)
    assert recsys.received == log[:BATCH]
    assert plan(carrier).resumes_after_id > 0

    replay(carrier, sleep=lambda _: None)

    assert recsys.received == log


@pytest.mark.ticket("RS-066")
def test_when_recsys_goes_away_the_run_stops_and_keeps_its_place(
    carrier: Carrier, recsys: FakeGateway, log: list[str]
) -> None:
    recsys.events.clear()
    recsys.trouble = RecsysUnavailable("gone")

    with pytest.raises(RuntimeError, match="run again"):
        replay(carrier, sleep=lambda _: None)
    recsys.trouble = None
    replay(carrier, sleep=lambda _: None)

    assert sorted(recsys.events) == sorted(log)
