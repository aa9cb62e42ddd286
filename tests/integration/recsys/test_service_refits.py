"""An engine that runs as a service learns anew from a command of its own, for each namespace that has reason to."""

from datetime import timedelta

import pytest

from recsys_engine.http.refits import refit_where_due
from recsys_engine.http.settings import ServerSettings
from shop_app.core.clock import FixedClock
from tests.factories.engine import NOW, ORG, fill, open_gateway


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def settings(tmp_path):
    return ServerSettings(f"sqlite:///{tmp_path}/engine.sqlite3", model_folder=tmp_path / "models")


@pytest.fixture
def shops(tmp_path, clock):
    """A busy namespace and one in which nothing was bought, over one database."""
    made = {name: open_gateway(tmp_path, name, clock) for name in ("busy", "quiet")}
    fill(made["busy"], orders=6)
    made["quiet"].send_events([])
    made["quiet"].upsert_items([])
    yield made
    for gateway in made.values():
        gateway.close()


def test_only_namespaces_with_reason_to_learn_do_and_lists_follow(shops, settings, clock):
    assert refit_where_due(settings, clock.now) == [f"{ORG}/busy"]
    assert refit_where_due(settings, clock.now) == []

    shops["busy"].refresh_model()
    assert shops["busy"].operations.refit_status().state == "done"
    assert shops["quiet"].operations.refit_status().state == "never"


def test_erasures_bring_one_refit_however_many_they_are(shops, settings, clock):
    refit_where_due(settings, clock.now)
    for user in (3, 4, 5):
        shops["busy"].forget_users([f"u_{user}"])

    assert refit_where_due(settings, clock.now) == [], "a quarter of an hour gathers them"
    clock.advance(timedelta(minutes=15))
    assert refit_where_due(settings, clock.now) == [f"{ORG}/busy"]
    assert refit_where_due(settings, clock.now) == []
    assert shops["busy"].operations.refit_status().erasures == 0


def test_without_a_folder_for_models_it_says_so(settings, clock):
    with pytest.raises(ValueError, match="RECSYS_MODEL_DIR"):
        refit_where_due(ServerSettings(settings.database_url), clock.now)
