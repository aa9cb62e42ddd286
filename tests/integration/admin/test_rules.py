"""Rules from the console reach the recommender: tried first, stored, switched off again."""

import re

import pytest
from flask import Flask

from recsys_engine.contract.control import Rule
from shop_app.admin.queries.lists import Asked, list_story
from shop_app.admin.rule_forms import after_rule, rivals, state_of
from shop_app.site_settings.queries import slot_settings
from tests.integration.admin.conftest import SignIn
from tests.integration.admin.test_lists import told_engine  # noqa: F401  (a fixture)

BLOCK = {"name": "Recall", "surface": "home.trending", "action": "BLOCK", "target_type": "ITEM", "priority": "5"}


def shown(app: Flask) -> list[str]:
    with app.app_context():
        story = list_story(app.extensions["recsys"], slot_settings("home.trending"), Asked())
    return [place.item_id for place in story.places]


def test_a_block_is_tried_without_effect_then_stored_then_switched_off(
    app: Flask,
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
) -> None:
    first = shown(app)[0]
    browser = sign_in("merchandiser")

    tried = browser.post("/admin/rules", data={**BLOCK, "targets": first, "how": "try"})
    after_trying = shown(app)
    stored = browser.post("/admin/rules", data={**BLOCK, "targets": first, "how": "store"})
    after_storing = shown(app)
    rule_id = re.search(r"/admin/rules/([^/]+)/switch", browser.get("/admin/rules").text).group(1)
    browser.post(f"/admin/rules/{rule_id}/switch", data={"to": "off"})

    with_rule = tried.text.split('id="tried-2"')[1]
    assert first not in with_rule
    assert after_trying[0] == first
    assert stored.status_code == 303
    assert first not in after_storing
    assert shown(app)[0] == first


@pytest.mark.parametrize(
    "bad",
    [
        {"targets": ""},
        {"targets": "A-1", "action": "PIN", "target_type": "BRAND"},
        {"targets": "A-1", "action": "BOOST", "boost_value": "9"},
        {"targets": "A-1", "surface": "nowhere"},
        {"targets": "A-1", "name": " "},
    ],
)
def test_a_rule_that_is_none_is_refused_and_says_where(app: Flask, sign_in: SignIn, bad: dict[str, str]) -> None:
    answer = sign_in("merchandiser").post("/admin/rules", data={**BLOCK, **bad, "how": "store"})

    assert answer.status_code == 422
    assert app.extensions["recsys"].control.rules() == []


def test_what_a_rule_would_do_to_a_standing_list() -> None:
    ranked = [("A", 3.0), ("B", 2.0), ("C", 1.0)]
    traits = {"B": frozenset({"brand:oak"}), "C": frozenset({"category:mugs"})}

    def rule(action: str, target: str, **more) -> Rule:
        return Rule("home.trending", "r", action, target, **more)

    assert after_rule(rule("PIN", "ITEM", item_ids=("C", "Z")), ranked, traits) == ["C", "Z", "A", "B"]
    assert after_rule(rule("BLOCK", "BRAND", target_key="Oak"), ranked, traits) == ["A", "C"]
    assert after_rule(rule("BOOST", "CATEGORY", target_key="mugs", boost_value=1.5), ranked, traits) == ["A", "C", "B"]
    assert after_rule(rule("BOOST", "ITEM", item_ids=("A",), boost_value=-0.9), ranked, traits) == ["B", "C", "A"]


def test_a_rule_may_be_for_a_segment_and_a_time_and_shows_its_state(app: Flask, sign_in: SignIn, clock) -> None:
    browser = sign_in("merchandiser")
    times = {"valid_from": "2999-01-01T00:00", "valid_until": "2999-02-01T00:00", "segment_id": "gold"}

    backwards = browser.post(
        "/admin/rules", data={**BLOCK, **times, "valid_until": "2998-01-01T00:00", "targets": "A", "how": "store"}
    )
    stored = browser.post("/admin/rules", data={**BLOCK, **times, "targets": "A", "how": "store"})

    [rule] = app.extensions["recsys"].control.rules()
    assert 'href="#field-valid_until"' in backwards.text
    assert stored.status_code == 303
    assert (rule.segment_id, rule.valid_from.year, rule.valid_until.month) == ("gold", 2999, 2)
    assert state_of(rule, clock.now()) == "waiting"
    assert state_of(rule, rule.valid_from) == "on"
    assert state_of(rule, rule.valid_until) == "over"
    assert ">waiting<" in browser.get("/admin/rules").text


def test_rules_that_want_something_else_with_the_same_are_named() -> None:
    block = Rule("home.trending", "Recall", "BLOCK", "ITEM", item_ids=("A", "B"))
    pin = Rule("home.trending", "Hero", "PIN", "ITEM", item_ids=("B",))
    elsewhere = Rule("pdp.similar", "Other", "PIN", "ITEM", item_ids=("B",))
    off = Rule("home.trending", "Old", "PIN", "ITEM", item_ids=("B",), enabled=False)

    assert rivals(pin, [block, elsewhere, off, pin]) == [block]
