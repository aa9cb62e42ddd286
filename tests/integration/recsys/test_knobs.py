"""Every knob that is accepted does something."""

from datetime import timedelta

import pytest

from recsys_engine.contract import Context, Event, EventType, Item, Overrides, RecommendRequest
from tests.factories.engine import NOW, open_gateway


@pytest.fixture
def gateway(tmp_path):
    made = open_gateway(tmp_path, "knobs")
    made.upsert_items([Item(f"p{n}", price=5.0, brand=f"b{n // 4}", tags=(f"t{n % 2}",)) for n in range(8)])
    yield made
    made.close()


def _buy(gateway, item, count, days_ago):
    at = NOW - timedelta(days=days_ago)
    gateway.send_events(
        [Event(f"u_{item}_{days_ago}_{n}", item, EventType.PURCHASE, 1.0, at, {}) for n in range(count)]
    )


def _ids(gateway, surface="listing", user=None, k=8, **overrides):
    request = RecommendRequest(user, k, Context(surface), overrides=Overrides(**overrides))
    return [place.item_id for place in gateway.recommend(request).items]


def test_a_short_half_life_prefers_what_sells_now(gateway):
    _buy(gateway, "p0", 20, 60)
    _buy(gateway, "p1", 8, 1)

    assert _ids(gateway, k=2) == ["p0", "p1"]
    assert _ids(gateway, k=2, popularity_halflife_days=7) == ["p1", "p0"]
    assert _ids(gateway, k=2, popularity_halflife_days=120) == ["p0", "p1"]
    gateway.control.put_config({"half_life_days": 7})
    assert _ids(gateway, k=2) == ["p1", "p0"]


def test_the_window_of_co_visits_says_which_own_events_speak(gateway):
    for user in ("x", "y", "z"):
        gateway.send_events(
            [Event(user, item, EventType.VIEW, 1.0, NOW - timedelta(days=9), {}) for item in ("p2", "p3")]
        )
    gateway.send_events([Event("me", "p2", EventType.VIEW, 1.0, NOW - timedelta(days=9), {})])

    def explained(**overrides):
        request = RecommendRequest("me", 3, Context("home"), explain_level="full", overrides=Overrides(**overrides))
        return {place.item_id: place.explain for place in gateway.recommend(request).items}

    assert explained()["p3"]["anchors"] == ["p2"]
    assert explained(covis_window_days=5)["p3"]["anchors"] == ["(no_recent_activity)"]
    assert "co_visitation" in explained(covis_window_days=10)["p3"]["contributions"]


def test_the_starter_profile_is_that_of_popular_items(gateway):
    _buy(gateway, "p1", 9, 1)  # tag t1, like p3, p5, p7
    gateway.send_events([Event("me", "p0", EventType.VIEW, 1.0, NOW - timedelta(days=1), {})])

    def shares(weight):
        overrides = Overrides(profile_starter_blend_weight=weight)
        request = RecommendRequest("me", 8, Context("home"), explain_level="full", overrides=overrides)
        found = {place.item_id: place.explain["contributions"] for place in gateway.recommend(request).items}
        return {item: parts.get("personalization", {}).get("raw", 0.0) for item, parts in found.items()}

    assert shares(0.0)["p5"] == 0.0
    assert shares(1.0)["p5"] > 10 * shares(1.0)["p6"] > 0.0


@pytest.mark.ticket("RS-045")
def test_a_least_number_of_brands_can_be_asked_of_a_surface(gateway):
    for place, item in enumerate(("p0", "p1", "p2", "p3", "p4")):
        _buy(gateway, item, 20 - place, 1)

    assert _ids(gateway, k=3) == ["p0", "p1", "p2"]
    gateway.control.put_config({"surface_profiles": {"listing": {"min_brands": 2}}})
    assert _ids(gateway, k=3) == ["p0", "p1", "p4"]
