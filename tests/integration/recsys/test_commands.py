"""The commands that look after the embedded recommender, in an empty shop and in one with products."""

import pytest

from recsys_engine.contract import Context, Item, RecommendRequest
from shop_app.jobs.recommender import embed
from tests.factories.engine import fill, open_gateway


@pytest.fixture
def products(app):
    gateway = app.extensions["recsys"]
    if not hasattr(gateway, "operations"):
        pytest.skip("the shop under test has no embedded recommender")
    gateway.upsert_items([Item("mug", props={"title": "Red mug"}), Item("cup", props={"title": "Red cup"})])
    return gateway


@pytest.mark.ticket("RS-060")
def test_vectors_are_filled_in_and_their_health_is_told(app, products):
    run = app.test_cli_runner()

    before = run.invoke(args=["embeddings", "health"])
    filled = run.invoke(args=["embeddings", "backfill"])
    after = run.invoke(args=["embeddings", "health"])

    assert (before.exit_code, filled.exit_code, after.exit_code) == (1, 0, 0)
    assert "missing: cup, mug" in before.output
    assert "2 products settled" in filled.output
    assert "2 products, 0 with a vector of their own, 0 wrong" in after.output


@pytest.mark.ticket("RS-061")
def test_the_job_makes_what_changed_and_nothing_twice(app, products):
    with app.app_context():
        assert embed() == {"vectors": 2}
        assert embed() == {"vectors": 0}
        products.upsert_items([Item("mug", props={"title": "Blue mug"})])
        assert embed() == {"vectors": 1}


@pytest.mark.ticket("RS-057")
def test_the_audit_says_which_inputs_reach_the_ranking(tmp_path):
    gateway = open_gateway(tmp_path, "audit")
    fill(gateway)
    gateway.upsert_items([Item("p0", price=None, available=False), Item("p1", tags=("red",))])
    gateway.refit()
    gateway.recommend(RecommendRequest("u_0", 3, Context("home")))

    found = gateway.operations.feature_audit()

    shares = {one.name: one.share for one in found.inputs}
    assert (found.items, found.lists) == (24, 5 * 13)
    assert shares["availability"] == pytest.approx(23 / 24)
    assert (shares["price"], shares["brand"], shares["category"], shares["embedding"]) == (1, 1, 1, 0)
    assert shares["tags"] == pytest.approx(1 / 23)
    signals = {(line.surface, line.name): line for line in found.signals}
    assert signals["home", "learned"].answers == 1
    assert signals["home", "learned"].score_share > 0.9
    assert signals["home", "content_similarity"].answers == 0
    assert signals["listing", "recent_popularity"].score_share > 0
    by_surface = {line.surface for line in found.signals}
    for surface in by_surface:
        parts = [line.score_share for line in found.signals if line.surface == surface]
        assert sum(parts) == pytest.approx(1)
    gains = [column.gain_share for column in found.columns if column.recipe == "home"]
    assert sum(gains) == pytest.approx(1)
    assert {column.name for column in found.columns} >= {"ease", "price", "own_due", "content"}
    gateway.close()


def test_the_audit_command_prints_every_part(app, products):
    run = app.test_cli_runner().invoke(args=["feature-audit"], catch_exceptions=False)
    told = run.output

    assert "5 lists over 2 products" in told
    assert "embedding" in told
    assert "recent_popularity" in told
