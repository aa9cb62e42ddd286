"""Sentence vectors of the catalogue: made in background jobs, watched, and corrected by people."""

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b

import numpy as np
from sqlalchemy import Connection

from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.operations import EmbeddingHealth, FalsePair, TextNeighbour
from recsys_engine.service.engine import Engine
from recsys_engine.service.settings import FALSE_PAIR, StoredSettings
from recsys_engine.signals.embeddings import LEXICAL_NAME, WIDTH, Embedder, best_embedder, product_text, text_digest
from recsys_engine.signals.vector_index import ApproximateIndex, Stored, VectorIndex, health
from recsys_engine.store.documents import delete_documents, put_document
from recsys_engine.store.ingest import to_us
from recsys_engine.store.vectors import ItemText, MadeVector, all_texts, due_texts, write_vectors

STEP = 64  # items of one transaction: about half a second of one core with the sentence model
NAMED = 100
APPROXIMATE_FROM = 20_000  # items from which neighbours are looked up approximately unless asked otherwise
Progress = Callable[[int, int, str], None]


@cache
def the_embedder() -> Embedder:
    """The process's embedder: opening the sentence model takes a moment and 100 MB, so only jobs should."""
    return best_embedder()


class Vectors:
    """Verbs for jobs and the console. Nothing here belongs into a shopper's request."""

    def __init__(self, engine: Engine, embedder: Callable[[], Embedder] = the_embedder) -> None:
        self._engine = engine
        self._embedder = embedder

    def refresh(self, limit: int = STEP) -> int:
        """Make the vectors of up to ``limit`` items whose text or model changed; returns how many items were settled.

        May run twice at once or be killed: an item is settled in the transaction that writes its vector.
        """
        embedder = self._embedder()
        settled = 0
        for start in range(0, limit, STEP):
            with self._engine.reading() as (connection, tenant):
                due = due_texts(connection, tenant, embedder.name, min(STEP, limit - start))
            if not due:
                break
            made = _made(due, embedder)
            with self._engine.writing() as (connection, tenant):
                settled += write_vectors(connection, tenant, made)
        self._engine.catch_up()
        return settled

    def backfill(self, progress: Progress = lambda done, total, what: None) -> int:  # noqa: ARG005 - the shape
        """Make every vector that is due; killed, the next call goes on where it was. Returns how many were settled."""
        with self._engine.reading() as (connection, tenant):
            total = len(due_texts(connection, tenant, self._embedder().name, limit=10_000_000))
        done = 0
        while step := self.refresh(STEP):
            done += step
            progress(min(done, total), total, "vectors")
        return done

    def health(self) -> EmbeddingHealth:
        """Which vectors are missing, zero or stale; reads the whole catalogue."""
        model = self._embedder().name
        with self._engine.reading() as (connection, tenant):
            rows = list(all_texts(connection, tenant))
        derived = [row for row in rows if not row.is_own]
        texts = {row.item_id: _text_of(row) for row in derived if _text_of(row)}
        stored = {
            row.item_id: Stored(row.digest or "", np.frombuffer(row.blob, "<f4"))
            for row in derived
            if row.blob is not None
        }
        found = health(texts, stored, model)
        return EmbeddingHealth(
            model=model,
            is_sentence_model=model != LEXICAL_NAME,
            total=len(rows),
            own=len(rows) - len(derived),
            wrong=len(found.missing) + len(found.zero) + len(found.stale),
            missing=found.missing[:NAMED],
            zero=found.zero[:NAMED],
            stale=found.stale[:NAMED],
            needs_rebuild=found.needs_rebuild,
        )

    def neighbours(self, item_id: str, k: int = 10, *, is_exact: bool | None = None) -> list[TextNeighbour]:
        """The nearest items by text, for a spot check; from 20,000 items on approximate unless asked otherwise.

        Raises ``item_not_found``.
        """
        shelf = self._engine.live_state().catalog.shelf()
        if item_id not in self._engine.live_state().catalog.index:
            raise ContractError("item_not_found", "no such item", {"item_id": item_id[:200]})
        rows = np.zeros((shelf.size, WIDTH), np.float32)
        has = shelf.embedding_row >= 0
        rows[has] = shelf.embeddings[shelf.embedding_row[has]]
        approximately = shelf.size >= APPROXIMATE_FROM if is_exact is None else not is_exact
        index = ApproximateIndex(shelf.ids, rows) if approximately else VectorIndex(shelf.ids, rows)
        wrong = false_pairs(self._engine.settings_now())
        return [
            TextNeighbour(near.item_id, near.similarity, frozenset((item_id, near.item_id)) in wrong)
            for near in index.neighbours(item_id, k)
        ]

    def false_pairs(self) -> list[FalsePair]:
        """Every pair people marked as not alike."""
        found = self._engine.settings_now().of_kind(FALSE_PAIR).values()
        return sorted(
            (FalsePair(one.body["item_id"], one.body["other_id"], one.body.get("noted_by")) for one in found),
            key=lambda pair: (pair.item_id, pair.other_id),
        )

    def mark_false(self, item_id: str, other_id: str, noted_by: str | None = None) -> None:
        """Never show one of the two beside the other as alike, from the next list on every replica."""
        known = self._engine.live_state().catalog.index
        if item_id == other_id or item_id not in known or other_id not in known:
            raise ContractError("item_not_found", "a false pair names two known items", {"field": "other_id"})
        first, second = sorted((item_id, other_id))
        body = {"item_id": first, "other_id": second, "noted_by": noted_by}
        now_us = to_us(self._engine.now())

        def change(connection: Connection, tenant: int) -> None:
            put_document(connection, tenant, (FALSE_PAIR, _pair_key(first, second)), body, now_us)

        self._engine.change_settings(change)

    def unmark_false(self, item_id: str, other_id: str) -> None:
        """Take a pair off the list; unknown pairs are none."""
        key = _pair_key(*sorted((item_id, other_id)))

        def change(connection: Connection, tenant: int) -> None:
            delete_documents(connection, tenant, FALSE_PAIR, [key])

        self._engine.change_settings(change)


def false_pairs(stored: StoredSettings) -> frozenset[frozenset[str]]:
    """The marked pairs, unordered."""
    found = stored.of_kind(FALSE_PAIR).values()
    return frozenset(frozenset((one.body["item_id"], one.body["other_id"])) for one in found)


def _made(due: Sequence[ItemText], embedder: Embedder) -> list[MadeVector]:
    """A vector for each changed text; an item without text, or whose text is the old one, keeps what it has."""
    texts = {one.item_id: _text_of(one) for one in due}
    digests = {item_id: text_digest(embedder.name, text) for item_id, text in texts.items()}
    changed = [
        one.item_id for one in due if texts[one.item_id] and (one.digest != digests[one.item_id] or not one.blob)
    ]
    rows = embedder.embed([texts[item_id] for item_id in changed]) if changed else np.zeros((0, WIDTH), np.float32)
    blobs = {item_id: row.astype("<f4").tobytes() for item_id, row in zip(changed, rows, strict=True)}
    return [
        MadeVector(one.item_id, one.seq, digests[one.item_id], embedder.name, blobs.get(one.item_id)) for one in due
    ]


def _text_of(one: ItemText) -> str:
    return product_text(title=one.title, description=one.description, brand=one.brand, category=one.category)


def _pair_key(first: str, second: str) -> str:
    return blake2b(f"{first}\0{second}".encode(), digest_size=16).hexdigest()
