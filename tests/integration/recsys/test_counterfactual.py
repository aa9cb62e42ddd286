"""The lab: what a logged, exploring surface says of settings it was not run with."""

from datetime import timedelta

import numpy as np
import pytest

from recsys_engine.contract import Context, Event, EventType, RecommendRequest
from recsys_engine.contract.operations import DraftQuestion
from shop_app.recsys.gateway import RecsysRejected
from shop_app.recsys.operations import EvaluationCancelledError
from tests.factories.engine import NOW, fill, open_gateway

SURFACE = "home.top_picks"


def quiet(done, total, what):
    assert 0 <= done <= total, what


def appeal(item_id: str) -> float:
    """The true click chance of an item that is seen, whatever its place."""
    return 0.1 + 0.02 * int(item_id.removeprefix("p")) % 0.4


def question(**knobs) -> DraftQuestion:
    return DraftQuestion(SURFACE, NOW - timedelta(days=1), NOW + timedelta(days=1), knobs)


pytestmark = pytest.mark.ticket("RS-049")


@pytest.fixture
def gateway(tmp_path):
    made = open_gateway(tmp_path, "shop")
    fill(made, orders=3)
    yield made
    made.close()


def visit(gateway, lists: int, rate: float, seed: int = 1) -> float:
    """Serve and log lists whose places are tried out at `rate`; returns the clicks an impression."""
    rng, clicked = np.random.default_rng(seed), 0
    gateway.control.put_config({"exploration_rate": rate})
    events = []
    for number in range(lists):
        user = f"g_{number}"
        answer = gateway.recommend(RecommendRequest(user, 6, Context(SURFACE)))
        for place in answer.items:
            meta = {"surface": "home", "widget": "top_picks", "rank": place.rank, "request_id": answer.request_id}
            seen = Event(user, place.item_id, EventType.VIEW, 1.0, NOW, meta | {"kind": "impression"})
            events.append(seen)
            if rng.random() < appeal(place.item_id):
                clicked += 1
                events.append(Event(user, place.item_id, EventType.CLICK, 1.0, NOW, meta))
    for start in range(0, len(events), 500):
        gateway.send_events(events[start : start + 500])
    return clicked / (6 * lists)


def test_the_settings_in_force_are_estimated_as_they_were_measured(gateway):
    measured = visit(gateway, 120, rate=0.3)

    answer = gateway.operations.try_draft(question(), quiet, lambda: False)

    assert answer.problem is None
    assert (answer.lists, answer.rows) == (120, 720)
    assert answer.measured_clicks == pytest.approx(measured)
    assert answer.redone_share == 1.0
    assert answer.explored_share == pytest.approx(0.3 * 5 / 6, abs=0.06)
    for estimate in answer.clicks:
        assert estimate.low <= measured <= estimate.high
        assert estimate.value == pytest.approx(measured, rel=0.1)


def test_less_exploration_is_judged_by_what_the_kept_places_earned(gateway):
    visit(gateway, 250, rate=0.3)
    kept = gateway.recommend(RecommendRequest("g_new", 6, Context(SURFACE)))
    gateway.control.put_config({"exploration_rate": 0.0})
    plain = [place.item_id for place in gateway.recommend(RecommendRequest("g_new", 6, Context(SURFACE))).items]
    truth = np.mean([appeal(item) for item in plain])

    answer = gateway.operations.try_draft(question(exploration_rate=0.0), quiet, lambda: False)

    assert len(kept.items) == 6
    assert answer.problem is None
    for estimate in answer.clicks:
        assert estimate.low <= truth <= estimate.high


def test_a_log_without_exploration_refuses_another_order_and_says_what_to_log(gateway):
    visit(gateway, 40, rate=0.0)

    answer = gateway.operations.try_draft(
        question(blend_alpha=0.0, blend_beta=0.0, blend_gamma=1.0), quiet, lambda: False
    )

    assert answer.problem is not None
    assert "log" in answer.problem
    assert answer.clicks == answer.revenue == ()
    assert answer.same_share < 0.95


def test_nothing_seen_and_a_cancelled_question_have_no_answer(gateway):
    with pytest.raises(RecsysRejected, match="nothing_logged"):
        gateway.operations.try_draft(question(), quiet, lambda: False)

    visit(gateway, 2, rate=0.1)
    with pytest.raises(EvaluationCancelledError):
        gateway.operations.try_draft(question(), quiet, lambda: True)
