"""Vectors are made once, found out when unsound, and never neighbours against people's judgement."""

import numpy as np
import pytest

from recsys_engine.signals.embeddings import WIDTH, LexicalEmbedder, text_digest
from recsys_engine.signals.vector_index import ApproximateIndex, Stored, VectorIndex, backfill, health, outdated

TEXTS = {"mug": "Red mug", "cup": "Red cup", "tyre": "Bicycle tyre"}
MODEL = LexicalEmbedder.name


def _stored(texts):
    return {
        fresh.item_id: Stored(fresh.digest, fresh.vector)
        for made in backfill(texts, {}, LexicalEmbedder())
        for fresh in made
    }


@pytest.mark.ticket("RS-060")
def test_a_backfill_makes_every_vector_once_and_tells_its_progress():
    many = {f"p{i}": f"product {i}" for i in range(130)}
    told = []

    made = [fresh for batch in backfill(many, {}, LexicalEmbedder(), lambda *at: told.append(at)) for fresh in batch]

    assert [fresh.item_id for fresh in made] == list(many)
    assert told == [(64, 130), (128, 130), (130, 130)]
    assert list(backfill(many, {f.item_id: Stored(f.digest, f.vector) for f in made}, LexicalEmbedder())) == []


@pytest.mark.ticket("RS-061")
def test_only_changed_products_are_due():
    stored = _stored(TEXTS)

    assert outdated(TEXTS | {"cup": "Blue cup", "new": "Lamp"}, stored, MODEL) == ["cup", "new"]
    assert outdated(TEXTS, stored, "another-model") == ["mug", "cup", "tyre"]


@pytest.mark.ticket("RS-063")
def test_health_names_missing_zero_and_stale_vectors():
    stored = _stored(TEXTS)
    stored["cup"] = Stored(text_digest(MODEL, "Red cup"), np.zeros(WIDTH, np.float32))
    del stored["tyre"]

    found = health(TEXTS | {"mug": "Blue mug"}, stored, MODEL)

    assert (found.total, found.missing, found.zero, found.stale) == (3, ("tyre",), ("cup",), ("mug",))
    assert found.needs_rebuild
    assert not health(TEXTS, _stored(TEXTS), MODEL).needs_rebuild


@pytest.mark.ticket("RS-062")
def test_neighbours_are_exact_and_a_blacklisted_pair_is_left_out():
    vectors = LexicalEmbedder().embed([*TEXTS.values(), ""])
    ids = [*TEXTS, "blank"]

    nearest = VectorIndex(ids, vectors).neighbours("mug", 5)

    assert [neighbour.item_id for neighbour in nearest] == ["cup", "tyre"]
    assert nearest[0].similarity == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-6)
    blacklist = frozenset({frozenset({"cup", "mug"})})
    assert [n.item_id for n in VectorIndex(ids, vectors, blacklist).neighbours("mug", 5)] == ["tyre"]
    assert VectorIndex(ids, vectors).neighbours("blank", 5) == []
    assert VectorIndex(ids, vectors).neighbours("nobody", 5) == []


@pytest.mark.ticket("RS-062")
def test_approximate_neighbours_find_nine_of_ten_true_ones():
    rng = np.random.default_rng(3)
    kinds = rng.normal(size=(30, WIDTH))
    rows = (kinds[rng.integers(0, 30, 900)] + 0.8 * rng.normal(size=(900, WIDTH))).astype(np.float32)
    rows[17] = 0
    ids = [f"p{n}" for n in range(900)]
    exact, near = VectorIndex(ids, rows), ApproximateIndex(ids, rows)

    asked = [f"p{n}" for n in range(0, 900, 30)]
    found = [{n.item_id for n in near.neighbours(item, 10)} for item in asked]
    true = [{n.item_id for n in exact.neighbours(item, 10)} for item in asked]

    assert np.mean([len(one & other) / 10 for one, other in zip(found, true, strict=True)]) >= 0.9
    assert near.neighbours("p17", 5) == []
    (first,) = near.neighbours("p0", 1)
    assert ApproximateIndex(ids, rows, frozenset({frozenset({"p0", first.item_id})})).neighbours("p0", 1) != [first]
