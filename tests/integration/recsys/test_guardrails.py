"""What shoppers regret goes down, says so, and can be watched."""

from dataclasses import replace

import pytest

from recsys_engine.contract import Blend, Context, Event, EventType, Item, RecommendRequest
from recsys_engine.contract.explanations import Explanation
from recsys_engine.contract.operations import GuardrailSetting
from shop_app.recsys.gateway import RecsysRejected
from tests.contract.documented import undocumented
from tests.factories.engine import NOW, open_gateway

RETURN, OUT_OF_STOCK_CLICK = 11, 10


@pytest.fixture
def gateway(tmp_path):
    made = open_gateway(tmp_path, "regrets")
    made.upsert_items([Item("good", price=5.0), Item("bad", price=5.0), Item("plain", price=5.0)])
    made.send_events(
        [_event(item, EventType.PURCHASE) for item, n in (("good", 20), ("bad", 22), ("plain", 9)) for _ in range(n)]
    )
    yield made
    made.close()


_event_number = iter(range(10_000))


def _event(item, type_):
    return Event(f"u_{next(_event_number)}", item, type_, 1.0, NOW, {})


def _listed(gateway, **asked):
    request = RecommendRequest(None, 3, Context("home"), explain_level="numeric", **asked)
    return {place.item_id: place for place in gateway.recommend(request).items}


@pytest.mark.ticket("RS-058")
def test_returns_lower_an_item_and_the_explanation_says_by_how_much(gateway):
    before = _listed(gateway)
    gateway.send_events([_event("bad", RETURN) for _ in range(11)])

    after = _listed(gateway)

    rate = (11 + 20 * 0.1) / (22 + 20)
    assert list(before) == ["bad", "good", "plain"]
    assert list(after) == ["good", "bad", "plain"]
    assert after["bad"].explain["guardrails"] == {
        "return": {"rate": pytest.approx(rate, rel=1e-2), "multiplier": pytest.approx(1 - (rate - 0.1), rel=1e-2)}
    }
    explained = after["bad"].explain
    assert undocumented(Explanation, explained) == []
    assert after["bad"].score == pytest.approx(
        explained["blend"] * explained["multiplier"] + explained["added"], abs=1e-9
    )
    assert explained["multiplier"] == pytest.approx(explained["guardrails"]["return"]["multiplier"], abs=1e-12)
    assert "guardrails" not in after["good"].explain


@pytest.mark.ticket("RS-058")
def test_what_is_held_down_can_be_watched_and_the_rule_be_changed(gateway):
    assert gateway.operations.regretted_items() == []
    gateway.send_events([_event("bad", RETURN) for _ in range(11)])
    gateway.send_events([_event("plain", EventType.CLICK) for _ in range(20)])
    gateway.send_events([_event("plain", OUT_OF_STOCK_CLICK) for _ in range(15)])

    watched = gateway.operations.regretted_items()

    assert [(one.item_id, one.guardrail) for one in watched] == [("bad", "return"), ("plain", "out_of_stock_click")]
    assert watched[1].rate == pytest.approx((15 + 2) / (20 + 20), rel=1e-2)
    clicks, returns = gateway.operations.guardrails()
    assert (clicks.name, returns.name) == ("out_of_stock_click", "return")
    gateway.operations.put_guardrail(replace(returns, strength=0.0))
    assert [one.guardrail for one in gateway.operations.regretted_items()] == ["out_of_stock_click"]
    assert next(iter(_listed(gateway))) == "bad"


def test_a_blend_of_the_request_is_exactly_that_blend(gateway):
    gateway.send_events([_event("bad", RETURN) for _ in range(11)])

    assert next(iter(_listed(gateway, blend=Blend(pop=1.0)))) == "bad"


@pytest.mark.parametrize(
    ("field", "value"), [("tolerated", 1.5), ("strength", -1.0), ("event_type", 3), ("floor", 0.0), ("strength", "x")]
)
def test_a_guardrail_out_of_range_is_refused_by_name(gateway, field, value):
    wrong = replace(GuardrailSetting("return", RETURN, 3, 0.1, 1.0), **{field: value})

    with pytest.raises(RecsysRejected) as refused:
        gateway.operations.put_guardrail(wrong)

    assert refused.value.code == "invalid_config"


@pytest.mark.ticket("RS-055")
def test_the_pace_of_a_category_reaches_every_process(tmp_path, gateway):
    other = open_gateway(tmp_path, "regrets")
    other.recommend(RecommendRequest(None, 3))
    gateway.upsert_items([Item("good", category="Fashion")])
    old = [Event(f"o_{n}", "good", EventType.PURCHASE, 1.0, NOW.replace(year=2025), {}) for n in range(3)]
    gateway.send_events(old)

    gateway.operations.put_category_pace({"FASHION ": 0.5, "home": 1})

    assert gateway.operations.category_pace() == {"fashion": 0.5}
    assert list(_listed(other)) == list(_listed(gateway))
    gateway.operations.put_category_pace({"fashion": 1})
    assert gateway.operations.category_pace() == {}
    with pytest.raises(RecsysRejected, match="factor"):
        gateway.operations.put_category_pace({"fashion": 0.01})
    other.close()
