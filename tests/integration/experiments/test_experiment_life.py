"""An experiment from plan to verdict, on a real database."""

from datetime import timedelta

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from shop_app.core.clock import FixedClock
from shop_app.core.errors import Conflict, InvalidInput
from shop_app.core.events import EventKind
from shop_app.core.shopper import Consent, Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments import queries, services
from shop_app.experiments.bucketing import assign
from shop_app.experiments.errors import LayerIsFull
from shop_app.experiments.guardrails import Guardrail
from shop_app.experiments.models import Experiment, ExperimentUnit
from shop_app.experiments.reports import report
from shop_app.experiments.services import Variant
from shop_app.experiments.verdict import Decision
from shop_app.extensions import db
from shop_app.jobs.experiments import watch
from shop_app.site_settings.models import AuditEntry
from shop_app.tracking.schemas import Refusal, judge
from shop_app.tracking.services import BrowserEvent
from tests.factories.experiments import a_plan, a_tracked_event


def shopper(key: str) -> Shopper:
    return Shopper(key, "s_abc", consent=Consent(analytics=True, personalisation=True))


def start(clock: FixedClock, **changes) -> Experiment:
    with unit_of_work(db.session):
        services.plan_experiment(a_plan(**changes), actor="ana", now=clock.now())
        db.session.flush()
        return services.start_experiment(changes.get("key", "more-cards"), actor="ana", now=clock.now())


def visit(
    clock: FixedClock,
    experiment: Experiment,
    shoppers: int,
    *,
    click_rates: dict[str, float],
    buy_rates: dict[str, float],
    seed: int = 1,
) -> None:
    """Impressions, clicks and purchases of `shoppers` with the given rates by arm."""
    rng, at, split = np.random.default_rng(seed), clock.now() + timedelta(hours=1), queries.split_of(experiment)
    events = []
    for number in range(shoppers):
        key = f"a_{seed}_{number}"
        arm = assign(split, key)
        assert arm is not None
        events += [a_tracked_event(EventKind.VIEW, key, at) for _ in range(5)]
        events += [a_tracked_event(EventKind.CLICK, key, at) for _ in range(rng.binomial(5, click_rates[arm]))]
        if rng.random() < buy_rates[arm]:
            meta = {"unit_price": 1000, "currency": "EUR"}
            events.append(
                a_tracked_event(
                    EventKind.PURCHASE, key, at + timedelta(hours=1), surface=None, widget=None, value=2.0, meta=meta
                )
            )
    with unit_of_work(db.session):
        db.session.add_all(events)
    with unit_of_work(db.session):
        services.collect_exposures(limit=50_000)


@pytest.mark.ticket("RS-050")
def test_planning_freezes_the_question_and_reserves_traffic(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        with unit_of_work(db.session):
            first = services.plan_experiment(a_plan(traffic=0.6), actor="ana", now=clock.now())
            db.session.flush()
            second = services.plan_experiment(a_plan(key="other", traffic=0.4), actor="ana", now=clock.now())
            db.session.flush()
            with pytest.raises(LayerIsFull, match="less traffic"):
                services.plan_experiment(a_plan(key="third", traffic=0.1), actor="ana", now=clock.now())

        assert (first.traffic_start, first.traffic_end) == (0.0, 0.6)
        assert (second.traffic_start, second.traffic_end) == (0.6, 1.0)
        assert db.session.scalars(select(func.count(AuditEntry.id))).one() == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"slot": "nowhere"}, "slot"),
        ({"primary_metric": "luck"}, "metrics"),
        ({"traffic": 0.0}, "traffic"),
        ({"decision_rule": " "}, "decision_rule"),
        ({"variants": (Variant("a", 1.0),)}, "variants"),
        ({"variants": (Variant("a", 0.7), Variant("b", 0.7))}, "variants"),
        ({"variants": (Variant("a", 0.5, {"k": 3}), Variant("b", 0.5))}, "variants"),
        ({"is_aa": True}, "variants"),
        ({"planned_units": 0}, "planned_units"),
        ({"key": "two words"}, "key"),
        ({"variants": (Variant("a", 0.5), Variant("b", 0.5, {"colour": 1}))}, "changes"),
    ],
)
def test_impossible_plans_name_their_field(app: Flask, clock: FixedClock, changes, field) -> None:
    with app.app_context(), pytest.raises(InvalidInput) as refused:
        services.plan_experiment(a_plan(**changes), actor="ana", now=clock.now())

    assert set(refused.value.fields) == {field}


def test_only_a_draft_starts_and_only_a_running_one_ends(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        start(clock)
        with pytest.raises(Conflict):
            services.start_experiment("more-cards", actor="ana", now=clock.now())
        with pytest.raises(Conflict, match="already"):
            services.plan_experiment(a_plan(), actor="ana", now=clock.now())
        db.session.rollback()
        with unit_of_work(db.session):
            services.end_experiment("more-cards", because="decided", actor="ana", now=clock.now(), is_decided=True)
        with pytest.raises(Conflict):
            services.end_experiment("more-cards", because="again", actor="ana", now=clock.now())

        assert queries.assignment("pdp.similar", shopper("a_1")) is None
        assert queries.experiment_by_key("more-cards").status == "concluded"


@pytest.mark.ticket("RS-050")
def test_assignment_is_stable_brings_the_change_and_writes_nothing(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        start(clock)

        arms = {key: queries.assignment("pdp.similar", shopper(key)) for key in (f"a_{n}" for n in range(200))}

        assert arms == {key: queries.assignment("pdp.similar", shopper(key)) for key in arms}
        assert {(found.variant, tuple(found.changes.items())) for found in arms.values() if found} == {
            ("control", ()),
            ("twelve", (("k", 12),)),
        }
        assert queries.assignment("home.top_picks", shopper("a_1")) is None
        assert db.session.scalars(select(func.count(ExperimentUnit.unit))).one() == 0


def test_exposure_is_the_first_impression_of_a_person(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        start(clock)
        at = clock.now() + timedelta(minutes=1)
        with unit_of_work(db.session):
            db.session.add_all(
                [
                    a_tracked_event(EventKind.CLICK, "a_click_only", at),
                    a_tracked_event(EventKind.VIEW, "a_seen", at),
                    a_tracked_event(EventKind.VIEW, "a_seen", at + timedelta(hours=1)),
                    a_tracked_event(EventKind.VIEW, "a_elsewhere", at, surface="home", widget="trending"),
                    a_tracked_event(EventKind.VIEW, "a_bot", at, is_bot=True),
                    a_tracked_event(EventKind.VIEW, "a_qa", at, is_qa=True),
                    a_tracked_event(EventKind.VIEW, "a_before", clock.now() - timedelta(days=1)),
                ]
            )
        with unit_of_work(db.session):
            first = services.collect_exposures()
        with unit_of_work(db.session):
            again = services.collect_exposures()

        units = db.session.scalars(select(ExperimentUnit)).all()
        assert (first, again) == (1, 0)
        assert [(unit.shopper_key, unit.exposed_at, unit.device) for unit in units] == [("a_seen", at, "phone")]


@pytest.mark.ticket("RS-050")
def test_the_arm_survives_a_login(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        experiment = start(clock)
        split = queries.split_of(experiment)
        anonymous = "a_walker"
        member = next(key for key in (f"u_{n}" for n in range(100)) if assign(split, key) != assign(split, anonymous))
        at = clock.now() + timedelta(minutes=1)
        with unit_of_work(db.session):
            db.session.add(a_tracked_event(EventKind.VIEW, anonymous, at))
        with unit_of_work(db.session):
            services.collect_exposures()
        with unit_of_work(db.session):
            services.carry_over(anonymous, member)
        with unit_of_work(db.session):
            db.session.add(
                a_tracked_event(EventKind.PURCHASE, member, at + timedelta(hours=1), meta={"unit_price": 700})
            )

        kept = queries.assignment("pdp.similar", shopper(member))
        sums = queries.unit_sums(experiment)

        assert kept is not None
        assert kept.variant == assign(split, anonymous)
        assert [(unit.variant, unit.impressions, unit.orders, unit.revenue) for unit in sums] == [
            (kept.variant, 1, 1, 700)
        ]


def test_the_arm_that_was_shown_counts_not_the_hash_of_a_later_key(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        experiment = start(clock)
        by_hash = assign(queries.split_of(experiment), "u_1")
        shown = next(variant["name"] for variant in experiment.variants if variant["name"] != by_hash)
        meta = {"experiment": "more-cards", "ab_bucket": shown}
        with unit_of_work(db.session):
            db.session.add(a_tracked_event(EventKind.VIEW, "u_1", clock.now() + timedelta(minutes=1), meta=meta))
        with unit_of_work(db.session):
            services.collect_exposures()

        assert [unit.variant for unit in queries.unit_sums(experiment)] == [shown]


def test_a_person_who_saw_two_arms_is_left_out(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        experiment = start(clock)
        split = queries.split_of(experiment)
        keys = [f"a_{n}" for n in range(50)]
        other = next(key for key in keys if assign(split, key) != assign(split, keys[0]))
        with unit_of_work(db.session):
            db.session.add_all(
                [a_tracked_event(EventKind.VIEW, key, clock.now() + timedelta(minutes=1)) for key in keys]
            )
        with unit_of_work(db.session):
            services.collect_exposures()
        with unit_of_work(db.session):
            services.carry_over(keys[0], "u_member")
            db.session.flush()
            services.carry_over(other, "u_member")

        assert len(queries.unit_sums(experiment)) == 48
        assert queries.mixed_share(experiment) == pytest.approx(2 / 50)


@pytest.mark.ticket("RS-051")
def test_the_report_ships_a_clear_winner(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        experiment = start(
            clock,
            secondary_metrics=("conversion", "revenue"),
            guardrails=(Guardrail("conversion", margin=0.5),),
            planned_units=1500,
        )
        visit(
            clock,
            experiment,
            1500,
            click_rates={"control": 0.1, "twelve": 0.2},
            buy_rates={"control": 0.3, "twelve": 0.3},
        )
        clock.advance(timedelta(days=8))

        found = report("more-cards", now=clock.now())

        assert sum(found.units.values()) == 1500
        assert found.progress == pytest.approx(1.0)
        assert not found.ratio.mismatch
        assert found.mismatches == []
        arm = found.arms[0]
        assert [metric.name for metric in arm.metrics] == ["ctr", "conversion", "revenue"]
        assert arm.metrics[0].sequence.low > 0
        assert arm.metrics[0].p_holm >= arm.metrics[0].fixed.p_value
        assert arm.metrics[0].stage_bound == pytest.approx(1.959964, abs=1e-4)
        assert arm.metrics[2].cuped is not None
        assert arm.metrics[2].control.mean == pytest.approx(600, rel=0.2)
        assert arm.verdict is not None
        assert arm.verdict.decision is Decision.SHIP


@pytest.mark.ticket("RS-051")
def test_a_harmful_arm_is_stopped_by_itself(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        experiment = start(clock, guardrails=(Guardrail("conversion"),))
        visit(
            clock,
            experiment,
            1200,
            click_rates={"control": 0.1, "twelve": 0.1},
            buy_rates={"control": 0.4, "twelve": 0.25},
        )
        with unit_of_work(db.session):
            stopped = services.stop_harmful(now=clock.now() + timedelta(days=1))
        with unit_of_work(db.session):
            again = services.stop_harmful(now=clock.now() + timedelta(days=1))

        ended = queries.experiment_by_key("more-cards")
        assert (stopped, again) == (["more-cards"], [])
        assert ended.status == "stopped"
        assert "conversion is harmed" in ended.ended_because
        assert queries.assignment("pdp.similar", shopper("a_1")) is None
        verdict = report("more-cards", now=clock.now()).arms[0].verdict
        assert verdict is not None
        assert verdict.decision is Decision.STOP


def test_a_harmless_arm_keeps_running_and_remembers_its_looks(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        experiment = start(clock, guardrails=(Guardrail("conversion"),))
        visit(
            clock,
            experiment,
            1000,
            click_rates={"control": 0.1, "twelve": 0.1},
            buy_rates={"control": 0.3, "twelve": 0.3},
        )
        with unit_of_work(db.session):
            stopped = services.stop_harmful(now=clock.now())

        assert stopped == []
        assert queries.experiment_by_key("more-cards").watches == {"twelve:conversion": [0.5]}


def test_a_report_without_shoppers_concludes_nothing(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        start(clock)

        found = report("more-cards", now=clock.now())

        assert found.units == {"control": 0, "twelve": 0}
        assert found.arms[0].verdict is None
        assert found.arms[0].metrics == []


def a_client_who_agreed(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.post("/consent", data={"choice": "all"})
    return client


@pytest.mark.ticket("RS-050")
def test_a_widget_shows_its_arm_and_events_name_it(app: Flask, clock: FixedClock) -> None:
    variants = (Variant("control", 0.01), Variant("renamed", 0.99, {"title": "Look at these"}))
    with app.app_context():
        start(clock, slot="home.trending", variants=variants)

    pages = [a_client_who_agreed(app).get("/w/home.trending").get_data(as_text=True) for _ in range(5)]
    refused = app.test_client().get("/w/home.trending").get_data(as_text=True)

    assert "data-experiment" not in refused
    marked = [page for page in pages if 'data-experiment="more-cards"' in page]
    assert len(marked) == 5
    for page in marked:
        assert ('data-ab-bucket="renamed"' in page) is ("Look at these" in page)


def test_browser_events_keep_the_arm_in_their_meta() -> None:
    raw = {
        "id": "0123456789", "type": "view", "kind": "impression", "item_id": "sku-1", "surface": "pdp", "widget": "similar", "rank": 1,
        "created_at": 1_700_000_000_000, "experiment": "more-cards", "ab_bucket": "twelve",
    }  # fmt: skip

    event = judge(raw)

    assert isinstance(event, BrowserEvent)
    assert (event.experiment, event.ab_bucket) == ("more-cards", "twelve")
    assert isinstance(judge(raw | {"experiment": "<script>"}), Refusal)


def test_the_minute_job_runs_twice_without_harm(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        experiment = start(clock)
        with unit_of_work(db.session):
            db.session.add(a_tracked_event(EventKind.VIEW, "a_1", clock.now() + timedelta(minutes=1)))
        assert experiment.last_event_id == 0

        assert watch() == {"exposed": 1, "stopped": 0}
        assert watch() == {"exposed": 0, "stopped": 0}


@pytest.mark.ticket("RS-051")
def test_a_lost_part_of_one_arm_is_named_by_where_its_visits_began(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        experiment = start(clock)
        split, at = queries.split_of(experiment), clock.now() + timedelta(hours=1)
        with unit_of_work(db.session):
            for number in range(1600):
                key, landing = f"a_{number}", "home" if number % 2 else "listing"
                if landing == "home" and assign(split, key) == "twelve" and number % 3:
                    continue
                before = a_tracked_event(EventKind.VIEW, key, at, surface=landing, widget=None)
                long_ago = at - timedelta(days=2)
                earlier = a_tracked_event(EventKind.VIEW, key, long_ago, surface="cart", session_id="s_0", widget=None)
                seen = a_tracked_event(EventKind.VIEW, key, at + timedelta(minutes=5))
                db.session.add_all((earlier, before, seen))
        with unit_of_work(db.session):
            services.collect_exposures(limit=50_000)

        found = report("more-cards", now=clock.now() + timedelta(days=1))

        assert found.ratio.mismatch
        named = {(split.dimension, split.value) for split in found.mismatches}
        assert ("landing", "home") in named
        assert ("landing", "listing") not in named
        assert {split.dimension for split in found.splits} == {"day", "device", "landing"}
        assert {split.value for split in found.splits if split.dimension == "landing"} == {"home", "listing"}


def test_the_usual_spend_is_what_99_of_100_buyers_stayed_below(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        at = clock.now() - timedelta(days=1)

        def buys(key: str, minor: int, **changes) -> None:
            meta = {"unit_price": minor, "currency": "EUR"}
            db.session.add(a_tracked_event(EventKind.PURCHASE, key, at, meta=meta, **changes))

        for number in range(99):
            buys(f"a_{number}", 1000 + number, value=2.0)
        db.session.commit()
        too_few = queries.usual_spend(clock.now())
        for number in range(99, 200):
            buys(f"a_{number}", 1000, value=1.0)
        buys("a_199", 2_000_000)
        buys("a_bot", 9_000_000, is_bot=True)
        meta = {"unit_price": 9_000_000, "currency": "EUR"}
        db.session.add(a_tracked_event(EventKind.PURCHASE, "a_0", at - timedelta(days=30), meta=meta))
        db.session.commit()

        assert too_few is None
        assert queries.usual_spend(clock.now()) == queries.UsualSpend(minor=2 * 1097, buyers=200)
