"""Two rankings in one list: what is shown, whose click it was, and what the page says."""

from collections.abc import Sequence

import pytest
from flask import Flask
from flask.testing import FlaskClient

from recsys_engine.contract import Recommendations, RecommendRequest, ScoredItem
from shop_app.core.clock import FixedClock
from shop_app.core.errors import InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments import services
from shop_app.experiments.interleaving import Team
from shop_app.experiments.models import Experiment, ExperimentUnit
from shop_app.experiments.queries import experiment_by_key
from shop_app.experiments.reports import interleaving_report
from shop_app.experiments.services import Variant
from shop_app.extensions import db
from shop_app.simulator.pages import Shown, read_page
from tests.factories.analytics import a_member
from tests.factories.catalog import a_product
from tests.factories.experiments import a_plan

ITEMS = [f"SKU-{n}" for n in range(12)]


class TwoMinds:
    """Best first without knobs; with a profile boost the other way round."""

    is_instant = True

    def __init__(self) -> None:
        self.asked: list[RecommendRequest] = []

    def recommend(self, request: RecommendRequest) -> Recommendations:
        self.asked.append(request)
        ranked = ITEMS[::-1] if request.overrides.profile_boost else ITEMS
        places = tuple(ScoredItem(sku, 1.0, rank) for rank, sku in enumerate(ranked[:8], 1))
        return Recommendations(f"req-{len(self.asked)}", "fake", places)


def plan(**changes: object) -> services.ExperimentPlan:
    boost = Variant("boosted", 0.5, {"engine": {"profile_boost": 2.0}})
    values = {"key": "boost", "slot": "home.top_picks", "variants": (Variant("control", 0.5), boost)}
    return a_plan(**(values | {"is_interleaved": True, "planned_units": 4} | changes))


@pytest.fixture
def minds(app: Flask, clock: FixedClock) -> TwoMinds:
    app.extensions["recsys"] = minds = TwoMinds()
    with app.app_context():
        for sku in ITEMS:
            a_product(sku)
        services.plan_experiment(plan(), actor="u_1", now=clock.now())
        services.start_experiment("boost", actor="u_1", now=clock.now())
        db.session.commit()
    return minds


def visit(app: Flask) -> tuple[FlaskClient, Shown]:
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["consent"] = [True, True]
    [shown] = read_page(browser.get("/w/home.top_picks").text).lists
    return browser, shown


def report_events(browser: FlaskClient, shown: Shown, clicked: Sequence[int], number: int) -> None:
    place = {"surface": shown.surface, "widget": shown.widget, "request_id": shown.request_id, "recommended": True}
    place |= {"experiment": shown.experiment, "ab_bucket": shown.bucket, "created_at": 1}
    events = []
    for card in shown.cards:
        row = place | {"item_id": card.sku, "rank": card.rank}
        events.append(row | {"id": f"seen-{number}-{card.rank:04}", "type": "view", "kind": "impression"})
        if card.rank in clicked:
            events.append(row | {"id": f"click-{number}-{card.rank:04}", "type": "click"})
    sent = browser.post("/t/events", json={"sent_at": 1, "events": events}, headers={"Origin": "http://localhost"})
    assert {result["status"] for result in sent.json["results"]} == {"accepted"}


@pytest.mark.ticket("RS-050")
def test_one_list_holds_both_rankings_and_says_whose_each_card_is(app: Flask, minds: TwoMinds) -> None:
    _, shown = visit(app)

    assert len(minds.asked) == 2
    assert shown.request_id == "req-1"
    assert shown.experiment == "boost"
    assert len(shown.bucket) == len(shown.cards) == 8
    picks = {team: [c.sku for c, t in zip(shown.cards, shown.bucket, strict=True) if t == team] for team in Team}
    assert len(picks[Team.A]) == len(picks[Team.B]) == 4
    assert picks[Team.A] == sorted(picks[Team.A], key=ITEMS.index)
    assert picks[Team.B] == sorted(picks[Team.B], key=ITEMS[::-1].index)


@pytest.mark.ticket("RS-050")
def test_clicks_are_credited_to_the_ranking_that_picked_the_card(
    app: Flask, minds: TwoMinds, clock: FixedClock
) -> None:
    for number in range(3):
        browser, shown = visit(app)
        theirs = [card.rank for card, team in zip(shown.cards, shown.bucket, strict=True) if team == Team.B]
        ours = [card.rank for card, team in zip(shown.cards, shown.bucket, strict=True) if team == Team.A]
        report_events(browser, shown, theirs[:2] + ours[:1] if number < 2 else [], number)

    with app.app_context():
        found = interleaving_report(experiment_by_key("boost"))
        with unit_of_work(db.session):
            assert services.collect_exposures() == 0
        assert services.stop_harmful(now=clock.now()) == []
        assert db.session.query(ExperimentUnit).count() == 0

    assert (found.preference.wins_a, found.preference.wins_b, found.preference.ties) == (0, 2, 1)
    assert found.shoppers == 3
    assert found.winner == ""


def test_the_page_says_who_is_preferred_and_what_that_does_not_mean(
    app: Flask, minds: TwoMinds, clock: FixedClock
) -> None:
    with app.app_context():
        user = a_member(clock.now(), role="analyst")
        db.session.commit()
        login_id = user.get_id()
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["_user_id"], session["_fresh"] = login_id, True

    page = browser.get("/admin/experiments/boost").text

    assert "No preference yet" in page
    assert "Not sales" in page


@pytest.mark.parametrize(
    "changes",
    [
        {"variants": (Variant("control", 0.5), Variant("b", 0.5, {"title": "Other words"}))},
        {
            "variants": (
                Variant("control", 0.4),
                Variant("b", 0.3, {"brand_cap": 1}),
                Variant("c", 0.3, {"brand_cap": 2}),
            )
        },
        {"variants": (Variant("control", 0.5), Variant("b", 0.5, {"engine": {"unheard_of": 1.0}}))},
        {"variants": (Variant("control", 0.5), Variant("b", 0.5, {"engine": {"mmr_lambda": 7.0}}))},
    ],
)
def test_what_cannot_be_mixed_is_refused(app: Flask, clock: FixedClock, changes: dict[str, object]) -> None:
    with app.app_context():
        with pytest.raises(InvalidInput):
            services.plan_experiment(plan(**changes), actor="u_1", now=clock.now())
        assert db.session.query(Experiment).count() == 0


def test_an_arm_may_turn_the_recommender_s_own_knobs(app: Flask, minds: TwoMinds, clock: FixedClock) -> None:
    with app.app_context():
        services.end_experiment("boost", because="enough", actor="u_1", now=clock.now())
        services.plan_experiment(plan(key="arms", is_interleaved=False), actor="u_1", now=clock.now())
        services.start_experiment("arms", actor="u_1", now=clock.now())
        db.session.commit()

    shown = [visit(app)[1] for _ in range(12)]

    firsts = {(one.bucket, one.cards[0].sku) for one in shown}
    assert firsts == {("control", "SKU-0"), ("boosted", "SKU-11")}
