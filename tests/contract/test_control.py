"""The operator's verbs, through both gateways."""

from datetime import timedelta

import pytest

from recsys_engine.contract import Constraints, Context, Event, EventType, Item, Overrides, RecommendRequest, User
from recsys_engine.contract.control import (
    AuditQuery,
    Decide,
    ManualOverride,
    Policy,
    Rule,
    Segment,
    SegmentProfile,
    SegmentRule,
)
from shop_app.recsys.gateway import RecsysRejected


@pytest.fixture
def shop(gateway, clock):
    gateway.upsert_items(
        [Item(f"p{n}", price=float(n), tags=(f"brand:b{n % 3}", f"category:c{n % 2}")) for n in range(12)]
    )
    gateway.send_events(
        [Event(f"u_{n}", f"p{n % 4}", EventType.PURCHASE, ts=clock(), source_event_id=f"e{n}") for n in range(10)]
    )
    return gateway


def ids(gateway, surface="home", k=12, **more):
    return [item.item_id for item in gateway.recommend(RecommendRequest("u_x", k, Context(surface), **more)).items]


def a_rule(action="BLOCK", target="ITEM", **more):
    return Rule(surface="home", name="r", action=action, target_type=target, **more)


def test_block_removes_even_from_the_fill(shop):
    made = shop.control.create_rule(a_rule(target="BRAND", target_key="b0"))

    assert made.rule_id
    assert not {"p0", "p3", "p6", "p9"} & set(ids(shop))
    assert {"p0", "p3", "p6", "p9"} <= set(ids(shop, "listing"))


def test_pins_come_first_but_pass_every_filter(shop):
    shop.control.create_rule(a_rule("PIN", item_ids=("p11", "p10", "p9"), max_pins=2))

    assert ids(shop)[:2] == ["p11", "p10"]
    assert "p11" not in ids(shop, constraints=Constraints(price_between=(None, 10)))
    shop.upsert_items([Item("p11", available=False)])
    assert ids(shop)[0] == "p10"


def test_boost_multiplies_and_says_so(shop):
    shop.control.create_rule(a_rule("BOOST", item_ids=("p7",), boost_value=5.0))
    request = RecommendRequest("u_x", 12, Context("home"), include_reasons=True, explain_level="full")

    boosted = next(item for item in shop.recommend(request).items if item.item_id == "p7")

    assert any(reason.startswith("rule.boost:+5.00[") for reason in boosted.reasons)


def test_rules_obey_their_window_and_can_be_replaced(shop, clock):
    made = shop.control.create_rule(a_rule(item_ids=("p1",), valid_until=clock() + timedelta(hours=1)))
    assert "p1" not in ids(shop)

    clock.advance(hours=2)
    assert "p1" in ids(shop)

    shop.control.replace_rule(made.rule_id, a_rule(item_ids=("p2",)))
    assert "p2" not in ids(shop)
    assert [rule.item_ids for rule in shop.control.rules()] == [("p2",)]


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (a_rule("HIDE", item_ids=("p1",)), "invalid_action"),
        (a_rule(target="SHOP", target_key="x"), "invalid_target_type"),
        (a_rule(), "invalid_rule"),
        (a_rule("PIN", target="TAG", target_key="x"), "invalid_rule"),
        (a_rule("BOOST", item_ids=("p1",)), "invalid_rule"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(shop, rule, code):
    with pytest.raises(RecsysRejected) as refused:
        shop.control.create_rule(rule)

    assert refused.value.code == code
    assert shop.control.rules() == []


def test_an_unknown_rule_is_not_found(shop):
    with pytest.raises(RecsysRejected) as refused:
        shop.control.replace_rule("nobody", a_rule(item_ids=("p1",)))

    assert (refused.value.code, refused.value.status) == ("rule_not_found", 404)


def test_dry_run_serves_nothing_and_tells(shop):
    made = shop.control.create_rule(a_rule(item_ids=("p1",)))

    told = shop.control.dry_run_rules("home", None, ["p1", "p2"])

    assert told["rules_evaluated"] == [made.rule_id]
    assert told["rule_effects_per_item"]["p1"]["blocked"] is True
    assert told["rule_effects_per_item"]["p2"]["blocked"] is False


def test_manual_overrides_live_until_cancelled_or_expired(shop, clock):
    first = shop.control.create_override(ManualOverride("p1", "suppress", "home"))
    shop.control.create_override(ManualOverride("p2", "suppress", "home", expires_at=clock() + timedelta(hours=1)))
    assert not {"p1", "p2"} & set(ids(shop))

    shop.control.cancel_override(first.override_id, "ann")
    clock.advance(hours=2)

    assert {"p1", "p2"} <= set(ids(shop))
    assert {o.item_id: o.status for o in shop.control.overrides()} == {"p1": "cancelled", "p2": "expired"}
    with pytest.raises(RecsysRejected) as refused:
        shop.control.cancel_override(first.override_id, None)
    assert refused.value.code == "override_not_found"


def test_a_segment_profile_steers_its_members_only(shop):
    shop.upsert_users([User("u_vip", {"tier": "gold"})])
    shop.control.put_profiles([SegmentProfile("narrow", {"brand_cap": 1})])
    shop.control.put_segment(
        Segment("vips", "VIPs", "narrow", active=True, rules=(SegmentRule({"eq": ["user.traits.tier", "gold"]}),))
    )

    vip = shop.recommend(RecommendRequest("u_vip", 12))
    other = shop.recommend(RecommendRequest("u_x", 12))

    assert (vip.segment_id, vip.profile_id, len(vip.items)) == ("vips", "narrow", 3)
    assert (other.segment_id, len(other.items)) == (None, 12)
    assert shop.control.dry_run_segment(None, {}, {"tier": "gold"}).segment_id == "vips"
    assert not shop.control.dry_run_segment("u_x", {}, None).matched


def test_a_profile_in_use_stays_and_an_unknown_one_is_refused(shop):
    shop.control.put_profiles([SegmentProfile("p")])
    shop.control.put_segment(Segment("s", "S", "p"))

    with pytest.raises(RecsysRejected) as used:
        shop.control.delete_profiles(["p"])
    with pytest.raises(RecsysRejected) as unknown:
        shop.control.put_segment(Segment("t", "T", "nobody"))

    assert {used.value.code, unknown.value.code} == {"foreign_key_violation"}
    shop.control.delete_segments(["s"])
    shop.control.delete_profiles(["p"])
    assert shop.control.profiles() == []


def test_a_rule_with_two_operators_is_refused(shop):
    shop.control.put_profiles([SegmentProfile("p")])
    bad = SegmentRule({"eq": ["user.id", "x"], "neq": ["user.id", "y"]})

    with pytest.raises(RecsysRejected) as refused:
        shop.control.put_segment(Segment("s", "S", "p", rules=(bad,)))

    assert refused.value.code == "invalid_rule"


def test_configuration_is_versioned_and_in_its_place_of_the_precedence(shop):
    first = shop.control.put_config({"brand_cap": 1}, author="ann")
    assert len(ids(shop)) == 3
    assert len(ids(shop, overrides=Overrides(brand_cap=2))) == 6

    second = shop.control.put_config({"brand_cap": 2}, expected_version=first.version)
    with pytest.raises(RecsysRejected) as stale:
        shop.control.put_config({"brand_cap": 3}, expected_version=first.version)

    assert (second.version, stale.value.code, stale.value.status) == (first.version + 1, "version_conflict", 409)
    assert shop.control.config().config["brand_cap"] == 2


def test_a_knob_out_of_range_is_refused_by_name(shop):
    with pytest.raises(RecsysRejected) as refused:
        shop.control.put_config({"mmr_lambda": 2})

    assert (refused.value.code, refused.value.details["field"]) == ("invalid_config", "mmr_lambda")


def test_a_settings_change_shows_in_the_model_version(shop):
    before = shop.recommend(RecommendRequest()).model_version

    shop.control.put_config({"brand_cap": 2})

    assert shop.recommend(RecommendRequest()).model_version != before


def test_bandit_decisions_and_idempotent_rewards(shop):
    shop.control.put_policies([Policy("a", "A", True, {"brand_cap": 1}), Policy("b", "B")])

    choice = shop.control.decide(Decide("home", {"Device": " Phone "}, user_id="u_x"))

    assert (choice.policy_id, choice.propensity, choice.bucket_key) == ("a", 1.0, "ctx:device=phone")
    assert shop.control.reward(choice.decision_id, 1.0, "r1") is True
    assert shop.control.reward(choice.decision_id, 1.0, "r1") is False
    with pytest.raises(RecsysRejected) as conflict:
        shop.control.reward(choice.decision_id, 0.5, "r1")
    with pytest.raises(RecsysRejected) as unknown:
        shop.control.reward("nobody", 1.0, "r2")
    assert (conflict.value.code, unknown.value.code) == ("id_conflict", "decision_not_found")


def test_nothing_to_choose_from_is_not_found(shop):
    with pytest.raises(RecsysRejected) as refused:
        shop.control.decide(Decide("home", {}))

    assert (refused.value.code, refused.value.status) == ("policy_not_found", 404)


def test_every_served_list_can_be_looked_up(shop):
    answer = shop.recommend(RecommendRequest("u_1", 3, Context("home")))

    found = shop.control.find_decisions(AuditQuery(request_id=answer.request_id))
    whole = shop.control.decision(found[0].decision_id)

    assert [item["item_id"] for item in found[0].final_items] == [item.item_id for item in answer.items]
    assert whole.details["request"]["k"] == 3
    assert found[0].user_hash
    with pytest.raises(RecsysRejected) as refused:
        shop.control.decision("nobody")
    assert refused.value.code == "decision_not_found"


def test_forgetting_erases_decisions(shop):
    shop.recommend(RecommendRequest("u_1", 3, Context("home")))
    shop.control.put_policies([Policy("a", "A", True)])
    shop.control.decide(Decide("home", {}, user_id="u_1"))

    gone = shop.forget_users(["u_1"])

    assert (gone.decisions, gone.bandit_contexts) == (1, 1)
    assert shop.control.find_decisions(AuditQuery()) == []


@pytest.mark.parametrize(
    ("item", "constraints", "verdict"),
    [
        ("p0", Constraints(), ("served", "listed")),
        ("p5", Constraints(exclude_item_ids=("p5",)), ("filters", "excluded")),
        ("p5", Constraints(price_between=(6, None)), ("filters", "price_below_min")),
        ("ghost", Constraints(), ("catalog", "unknown_item")),
    ],
)
def test_a_missing_item_is_explained(shop, item, constraints, verdict):
    request = RecommendRequest("u_x", 4, Context("home"), constraints)

    told = shop.control.explain_missing(request, item)

    assert (told.stage, told.reason) == verdict
    assert (told.rank is not None) == (verdict[0] == "served")


def test_presets_are_the_recipes_own(shop):
    assert 0 <= shop.control.presets()["mmr_presets"]["home"] <= 1


def test_a_list_by_a_policy_is_rewarded_by_its_own_id(shop):
    shop.control.put_policies([Policy("plain", "Plain", True), Policy("short", "Short", True, {"brand_cap": 1})])

    answer, choice = shop.control.recommend_by_policy(RecommendRequest("u_1", 5, Context("home")), ["short"])

    assert (choice.policy_id, choice.propensity, choice.surface) == ("short", 1.0, "home")
    assert answer.request_id == choice.decision_id
    assert [item.rank for item in answer.items] == list(range(1, len(answer.items) + 1))
    assert shop.control.reward(answer.request_id, 1.0, "click-1") is True
    with pytest.raises(RecsysRejected) as refused:
        shop.control.recommend_by_policy(RecommendRequest("u_1", 5, Context("home")), ["nobody"])
    assert refused.value.code == "policy_not_found"
    with pytest.raises(RecsysRejected) as too_much:
        shop.control.recommend_by_policy(RecommendRequest("u_1", 5, Context("home")), ["short"], exploration_floor=1.5)
    assert too_much.value.code == "invalid_exploration_floor"


@pytest.mark.ticket("RS-056")
def test_exploration_is_set_by_surface_and_its_odds_are_stored(shop):
    shop.control.put_config({"surface_profiles": {"home": {"exploration_rate": 0.5}}})

    def odds(surface):
        request = RecommendRequest("u_x", 6, Context(surface), explain_level="full", request_id=f"r-{surface}")
        first, again = shop.recommend(request), shop.recommend(request)
        assert [place.item_id for place in first.items] == [place.item_id for place in again.items]
        return [place.explain["propensity"] for place in first.items]

    assert odds("listing") == [1.0] * 6
    explored = odds("home")
    assert explored[0] == 1.0
    assert all(0 < one <= 0.5 for one in explored[1:])
