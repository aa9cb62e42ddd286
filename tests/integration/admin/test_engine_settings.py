"""Segments, profiles, overrides, bandit policies and the ranking's configuration: from the console to the next list."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from recsys_engine.contract.control import Segment, SegmentRule
from shop_app.admin.queries.lists import Asked, list_story
from shop_app.admin.segment_forms import conditions_of, in_words, parse_segment
from shop_app.extensions import db
from shop_app.site_settings.models import AuditEntry
from shop_app.site_settings.queries import slot_settings
from tests.integration.admin.conftest import SignIn
from tests.integration.admin.test_lists import told_engine  # noqa: F401  (a fixture)

SLOT = "home.trending"
PROFILE = {"profile_id": "calm", "name": "Calm", "brand_cap": "1", "how": "store"}
SEGMENT = {"segment_id": "gold", "name": "Gold members", "profile_id": "calm", "priority": "5", "active": "on",
           "path_0": "user.traits.loyalty_tier", "operator_0": "eq", "value_0": "gold"}  # fmt: skip


def shown(app: Flask, shopper: str = "") -> list[str]:
    with app.app_context():
        return [
            place.item_id for place in list_story(app.extensions["recsys"], slot_settings(SLOT), Asked(shopper)).places
        ]


def written(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


@pytest.mark.ticket("RS-064")
def test_a_segment_with_its_profile_is_stored_found_for_a_shopper_and_deleted(
    app: Flask,
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
) -> None:
    browser = sign_in("analyst", confirmed=True)

    too_early = browser.post("/admin/segments/new", data=SEGMENT)
    browser.post("/admin/profiles/new", data=PROFILE)
    saved = browser.post("/admin/segments/new", data={**SEGMENT, "value_0": "u_1", "path_0": "user.id"})
    hers = browser.get("/admin/segments?shopper=u_1&slot=home.trending").text
    his = browser.get("/admin/segments?shopper=u_2&slot=home.trending").text
    kept = browser.post("/admin/profiles/calm/deletion")
    browser.post("/admin/segments/gold/deletion")
    browser.post("/admin/profiles/calm/deletion")

    assert too_early.status_code == 422
    assert saved.status_code == 303
    assert "<strong>Gold members</strong>, ranked with profile" in hers
    assert "None: ranked like everybody." in his
    assert kept.status_code == 303
    control = app.extensions["recsys"].control
    assert (control.segments(), control.profiles()) == ([], [])
    assert written(app) == ["engine.profile", "engine.segment", "engine.segment_deleted", "engine.profile_deleted"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"segment_id": "New One"}, "segment_id"),
        ({"segment_id": "new"}, "segment_id"),
        ({"name": ""}, "name"),
        ({"profile_id": ""}, "profile_id"),
        ({"priority": "high"}, "priority"),
        ({"value_0": ""}, "value_0"),
        ({"json": "{"}, "json"),
        ({"json": '[{"eq": ["somebody.else", 1]}]'}, "rule"),
    ],
)
def test_a_segment_that_is_none_is_refused_and_names_the_field(
    app: Flask, sign_in: SignIn, change: dict[str, str], field: str
) -> None:
    browser = sign_in("analyst")
    browser.post("/admin/profiles/new", data=PROFILE)

    answer = browser.post("/admin/segments/new", data={**SEGMENT, **change})

    assert answer.status_code == 422
    assert f'href="#field-{field}"' in answer.text
    assert app.extensions["recsys"].control.segments() == []


def test_conditions_of_the_form_survive_the_way_to_the_engine_and_back() -> None:
    form = {**SEGMENT, "path_1": "user.traits.last_seen", "operator_1": "gte_days_since", "value_1": "30",
            "path_2": "user.traits.country", "operator_2": "in", "value_2": "GB, IE",
            "path_3": "user.traits.newsletter", "operator_3": "eq", "value_3": "true", "joined": "any"}  # fmt: skip

    segment = parse_segment(form)
    rows, joined, text = conditions_of(segment)

    assert segment.rules[0].rule["any"][2] == {"in": ["user.traits.country", ["GB", "IE"]]}
    assert (joined, text) == ("any", "")
    assert {f"{n}_{i}": getattr(row, n) for i, row in enumerate(rows) for n in ("path", "operator", "value")} == {
        name: value for name, value in form.items() if re.fullmatch(r"(path|operator|value)_\d", name)
    }
    assert in_words(segment).startswith("loyalty tier is gold or last seen at least 30 days ago or")
    nested = Segment("s", "S", "p", rules=(SegmentRule({"not": {"exists": "user.id"}}),))
    assert conditions_of(nested)[2].startswith("[")


def test_an_override_hides_an_item_until_it_is_ended_and_says_when_another_contradicts(
    app: Flask,
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
) -> None:
    browser = sign_in("merchandiser")
    first = shown(app)[0]
    away = {"item_id": first, "surface": "*", "action": "suppress", "notes": "Wrong picture"}
    up = {**away, "action": "boost", "boost_value": "2", "notes": "In the news"}

    stored = browser.post("/admin/overrides", data=away)
    without = shown(app)
    contrary = browser.post("/admin/overrides", data=up, follow_redirects=True).text
    ids = re.findall(r"/admin/overrides/([^/]+)/cancellation", browser.get("/admin/overrides").text)
    for one in ids:
        browser.post(f"/admin/overrides/{one}/cancellation")
    twice = browser.post(f"/admin/overrides/{ids[0]}/cancellation", follow_redirects=True).text

    assert stored.status_code == 303
    assert first not in without
    assert "does the opposite there (Wrong picture)" in contrary
    assert shown(app)[0] == first
    assert "It had ended already." in twice
    assert written(app) == ["engine.override"] * 2 + ["engine.override_ended"] * 2


@pytest.mark.parametrize(
    "bad",
    [
        {"item_id": "NO-SUCH"},
        {"surface": "nowhere"},
        {"action": "vanish"},
        {"action": "boost", "boost_value": "11"},
        {"notes": " "},
        {"expires_at": "2001-01-01T00:00"},
        {"expires_at": "soon"},
    ],
)
def test_an_override_that_is_none_is_refused_and_names_the_field(
    app: Flask,
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
    bad: dict[str, str],
) -> None:
    good = {"item_id": "P-1", "surface": "*", "action": "suppress", "notes": "Why"}

    answer = sign_in("merchandiser").post("/admin/overrides", data={**good, **bad})

    assert answer.status_code == 422
    assert f'href="#field-{"boost_value" if "boost_value" in bad else next(iter(bad))}"' in answer.text
    assert app.extensions["recsys"].control.overrides() == []


@pytest.mark.ticket("RS-056")
def test_a_policy_is_tried_on_a_list_stored_and_taken_out_of_the_choice(
    app: Flask,
    told_engine,  # noqa: F811  (the fixture)
    sign_in: SignIn,
) -> None:
    browser = sign_in("analyst")
    form = {"policy_id": "curious", "name": "Curious", "exploration_rate": "0.2", "active": "on", "slot": SLOT}

    tried = browser.post("/admin/policies/new", data={**form, "how": "try"})
    nothing_yet = app.extensions["recsys"].control.policies()
    stored = browser.post("/admin/policies/new", data={**form, "how": "store"})
    kept = app.extensions["recsys"].control.policies()
    browser.post("/admin/policies/curious", data={**form, "active": "", "how": "store"})
    wrong = browser.post("/admin/policies/curious", data={**form, "exploration_rate": "2", "how": "store"})

    assert 'id="tried-2"' in tried.text
    assert nothing_yet == []
    assert stored.status_code == 303
    assert [(one.policy_id, one.active, dict(one.knobs)) for one in kept] == [
        ("curious", True, {"exploration_rate": 0.2})
    ]
    assert [one.active for one in app.extensions["recsys"].control.policies()] == [False]
    assert wrong.status_code == 422
    assert "a number within 0–1" in wrong.text
    assert written(app) == ["engine.policy"] * 2


def a_setting(browser, scope: str, **knobs: str):
    version = re.search(r'name="version" value="(\d+)"', browser.get("/admin/ranking").text)
    return browser.post("/admin/ranking", data={"scope": scope, "version": version[1], "how": "store", **knobs})


@pytest.mark.ticket("RS-056")
def test_ranking_is_set_per_slot_and_any_version_comes_back(app: Flask, sign_in: SignIn) -> None:
    browser, control = sign_in("analyst"), app.extensions["recsys"].control

    a_setting(browser, "everywhere", mmr_lambda="0.7")
    a_setting(browser, SLOT, exploration_rate="0.05", rules_enabled="no")
    both = dict(control.config().config)
    a_setting(browser, "everywhere", mmr_lambda="")
    page = browser.get("/admin/ranking").text
    version = re.search(r'name="version" value="(\d+)"', page)[1]
    browser.post("/admin/ranking/versions/2/restoring", data={"version": version})

    slot = {"exploration_rate": 0.05, "rules_enabled": False}
    assert both == {"mmr_lambda": 0.7, "surface_profiles": {SLOT: slot}}
    assert "everywhere: Relevance against variety: <del>0.7</del> <ins>not set</ins>" in page
    assert "home.trending: Share of places tried out: <del>not set</del> <ins>0.05</ins>" in page
    assert dict(control.config().config) == both
    assert written(app) == ["engine.config"] * 4


def test_the_second_of_two_editors_of_the_ranking_sees_both_versions(app: Flask, sign_in: SignIn) -> None:
    first, second = sign_in("analyst"), sign_in("analyst")
    seen = {"scope": "everywhere", "version": "0", "how": "store"}

    first.post("/admin/ranking", data={**seen, "brand_cap": "2"})
    late = second.post("/admin/ranking", data={**seen, "brand_cap": "3"})
    on_top = second.post("/admin/ranking", data={**seen, "version": "1", "brand_cap": "3"})

    assert late.status_code == 409
    assert re.search(r"Most of one brand</th><td>2</td><td>3</td>", late.text)
    assert on_top.status_code == 303
    assert dict(app.extensions["recsys"].control.config().config)["brand_cap"] == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("brand_cap", "1.5"),
        ("mmr_lambda", "1.1"),
        ("rules_enabled", "maybe"),
        ("blend_alpha", "nan"),
        ("profile_boost", "-1"),
    ],
)
def test_a_knob_out_of_its_range_is_refused_by_name(app: Flask, sign_in: SignIn, name: str, text: str) -> None:
    answer = a_setting(sign_in("analyst"), "everywhere", **{name: text})

    assert answer.status_code == 422
    assert f'href="#field-{name}"' in answer.text
    assert dict(app.extensions["recsys"].control.config().config) == {}
