"""The commands that look after the embedded recommender, in an empty shop and in one with products."""

import pytest

from recsys_engine.contract import Item
from shop_app.jobs.recommender import embed


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
