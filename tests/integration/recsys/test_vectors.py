"""Vectors follow the products: made in steps, once, never over the shop's own; people's judgement beats the model."""

import numpy as np
import pytest

from recsys_engine.contract import Context, ContractError, Event, EventType, Item, RecommendRequest
from recsys_engine.service import Database, Engine
from recsys_engine.service.vectors import Vectors
from recsys_engine.signals.embeddings import LexicalEmbedder
from tests.factories.engine import NOW, ORG

TITLES = {"mug": "Red mug", "cup": "Red cup", "bowl": "Red mug bowl", "tyre": "Bicycle tyre"}


class _Counting(LexicalEmbedder):
    def __init__(self, name="lexical-test"):
        self.name = name
        self.texts = []

    def embed(self, texts):
        self.texts += texts
        return super().embed(texts)


@pytest.fixture
def engine(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/engine.sqlite3")
    database.create_tables()
    made = Engine(database, ORG, "vectors", lambda: NOW)
    made.upsert_items([Item(item, price=5.0, props={"title": title}) for item, title in TITLES.items()])
    yield made
    made.close()


def _vector(engine, item):
    shelf, index = engine.live_state().catalog.shelf(), engine.live_state().catalog.index[item]
    row = int(shelf.embedding_row[index])
    return None if row < 0 else shelf.embeddings[row].copy()


@pytest.mark.ticket("RS-061")
def test_only_what_changed_is_made_again_and_every_replica_has_it(engine, tmp_path):
    embedder = _Counting()
    vectors = Vectors(engine, lambda: embedder)
    engine.live_state()

    assert vectors.refresh(100) == 4
    assert vectors.refresh(100) == 0
    engine.upsert_items([Item("mug", props={"title": "Blue mug"}), Item("cup", price=6.0)])
    before = _vector(engine, "cup")
    assert vectors.refresh(100) == 2

    assert embedder.texts == [*TITLES.values(), "Blue mug"]
    assert _vector(engine, "mug") == pytest.approx(embedder.embed(["Blue mug"])[0], abs=1e-6)
    assert np.array_equal(_vector(engine, "cup"), before)
    other = Engine(Database(f"sqlite:///{tmp_path}/engine.sqlite3"), ORG, "vectors", lambda: NOW)
    assert np.array_equal(_vector(other, "mug"), _vector(engine, "mug"))
    other.close()


@pytest.mark.ticket("RS-060")
def test_a_backfill_goes_on_where_it_was_and_tells_how_far_it_is(engine):
    engine.upsert_items([Item(f"p{n}", props={"title": f"thing {n}"}) for n in range(126)])
    vectors, told = Vectors(engine, _Counting), []
    vectors.refresh(64)

    assert vectors.backfill(lambda *at: told.append(at)) == 66
    assert told == [(64, 66, "vectors"), (66, 66, "vectors")]
    assert vectors.backfill() == 0


def test_a_vector_the_shop_sent_is_never_replaced(engine):
    own = tuple(np.eye(384)[5].tolist())
    engine.upsert_items([Item("mug", embedding=own)])
    vectors = Vectors(engine, _Counting)

    assert vectors.backfill() == 3
    assert _vector(engine, "mug") == pytest.approx(own)
    engine.upsert_items([Item("mug", embedding=None)])
    assert vectors.backfill() == 1
    assert _vector(engine, "mug") != pytest.approx(own)


@pytest.mark.ticket("RS-063")
def test_health_names_what_is_missing_or_of_another_model(engine):
    vectors = Vectors(engine, _Counting)
    missing = vectors.health()
    vectors.backfill()
    sound = vectors.health()
    stale = Vectors(engine, lambda: _Counting("newer")).health()

    assert (missing.total, missing.missing, missing.needs_rebuild) == (4, tuple(sorted(TITLES)), True)
    assert (sound.wrong, sound.needs_rebuild, sound.own) == (0, False, 0)
    assert (stale.stale, stale.needs_rebuild) == (tuple(sorted(TITLES)), True)
    assert Vectors(engine, lambda: _Counting("newer")).backfill() == 4


@pytest.mark.ticket("RS-062")
def test_a_false_pair_is_kept_and_obeyed_by_lists_of_similar_items(engine, tmp_path):
    vectors = Vectors(engine, _Counting)
    vectors.backfill()

    def similar(item):
        return [place.item_id for place in engine.similar(item, 10).items]

    assert similar("mug")[0] == "bowl"
    vectors.mark_false("mug", "bowl", "qa")

    assert "bowl" not in similar("mug")
    assert "mug" not in similar("bowl")
    assert "bowl" in similar("cup")
    near = vectors.neighbours("mug", 3)
    assert [(one.item_id, one.is_blacklisted) for one in near] == [("bowl", True), ("cup", False), ("tyre", False)]
    assert [(pair.item_id, pair.other_id, pair.noted_by) for pair in vectors.false_pairs()] == [("bowl", "mug", "qa")]
    engine.send_events([Event("me", "mug", EventType.VIEW, 1.0, NOW, {})])
    request = RecommendRequest("me", 3, Context("home"), explain_level="full")
    told = {place.item_id: place.explain["contributions"] for place in engine.recommend(request).items}
    assert "content_similarity" in told["cup"]
    assert "content_similarity" not in told["bowl"]
    vectors.unmark_false("bowl", "mug")
    assert similar("mug")[0] == "bowl"
    with pytest.raises(ContractError, match="two known items"):
        vectors.mark_false("mug", "nothing")
