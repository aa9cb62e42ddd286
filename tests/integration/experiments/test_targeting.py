"""An experiment for some shoppers only: the others neither see it nor count."""

import pytest
from flask import Flask

from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.core.shopper import Consent, Shopper
from shop_app.experiments import queries, services
from shop_app.experiments.bucketing import Target
from shop_app.experiments.models import ExperimentUnit
from shop_app.extensions import db
from tests.factories.experiments import a_plan, a_tracked_event

ALL = Consent(analytics=True, personalisation=True, is_decided=True)


def shopper(key: str, device: str) -> Shopper:
    user_id = 1 if key.startswith("u_") else None
    return Shopper(key=key, session_id="s_1", user_id=user_id, consent=ALL, is_bot=False, device=device, is_qa=False)


@pytest.fixture
def phones_of_members(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        plan = a_plan(target=Target(("phone",), "members"))
        services.plan_experiment(plan, actor="u_1", now=clock.now())
        services.start_experiment(plan.key, actor="u_1", now=clock.now())
        db.session.commit()


@pytest.mark.ticket("RS-050")
def test_only_those_it_is_meant_for_get_an_arm(app: Flask, phones_of_members: None) -> None:
    with app.app_context():
        assert queries.assignment("pdp.similar", shopper("u_1", "phone")) is not None
        assert queries.assignment("pdp.similar", shopper("u_1", "desktop")) is None
        assert queries.assignment("pdp.similar", shopper("a_1", "phone")) is None


@pytest.mark.ticket("RS-050")
def test_impressions_of_the_others_make_no_units(app: Flask, clock: FixedClock, phones_of_members: None) -> None:
    with app.app_context():
        for key, device in (("u_1", "phone"), ("u_2", "desktop"), ("a_3", "phone")):
            db.session.add(a_tracked_event(EventKind.VIEW, key, clock.now(), device=device))
        db.session.commit()

        assert services.collect_exposures() == 1
        assert [unit.shopper_key for unit in db.session.query(ExperimentUnit)] == ["u_1"]
