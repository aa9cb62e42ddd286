"""The catalogue in memory: item id → dense index, and growing arrays behind a shelf."""

import json
from collections.abc import Iterable, Mapping
from copy import copy
from hashlib import blake2b
from typing import Any

import numpy as np

from recsys_engine.contract.limits import EMBEDDING_DIM
from recsys_engine.domain import BoolArray, IntArray, Shelf
from recsys_engine.signals.journal import Journal
from recsys_engine.signals.packing import Arrays, packed, unpacked

_FIRST_CAPACITY = 256
TAG_SLOTS = 24
"""Tags per item that count for similarity and profiles; constraints look at all of them."""
TAG_WIDTHS = (2, 4, 8, 16, 24)
"""The shelf shows only as many slots as some item fills, rounded up to one of these: trees of eight and halves."""
_COLUMNS = (
    "_available",
    "_price",
    "_brand",
    "_category",
    "_parent",
    "_created_s",
    "_tags",
    "_facet",
    "_tie",
    "_embedding_row",
)
"""Arrays with a row per item."""
_CODES = ("brands", "categories", "parents", "tag_codes")
BRAND_PREFIXES = ("brand:",)
CATEGORY_PREFIXES = ("category:", "cat:")


class Codes:
    """Text → small number, in order of first sight."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._codes: dict[str, int] = {}

    def of(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.names)
            self.names.append(name)
        return code

    def known(self, name: str) -> int | None:
        return self._codes.get(name)

    def load(self, names: list[str]) -> None:
        """Take over names in the order of their codes."""
        self.names = names
        self._codes = {name: code for code, name in enumerate(names)}


class Catalog:
    """Applies item rows. Items seen only in events get an index too, but are never available."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.brands, self.categories, self.parents, self.tag_codes = Codes(), Codes(), Codes(), Codes()
        self.items_with_tag: dict[int, set[int]] = {}
        self._tags_of: dict[int, tuple[int, ...]] = {}
        self._masks: dict[int, IntArray] = {}
        self.journal = Journal()
        self._ids: list[str] = []
        self._available = np.zeros(_FIRST_CAPACITY, bool)
        self._price = np.full(_FIRST_CAPACITY, np.nan)
        self._brand = np.full(_FIRST_CAPACITY, -1, np.int64)
        self._category = np.full(_FIRST_CAPACITY, -1, np.int64)
        self._parent = np.full(_FIRST_CAPACITY, -1, np.int64)
        self._created_s = np.zeros(_FIRST_CAPACITY)
        self._tags = np.full((_FIRST_CAPACITY, TAG_SLOTS), -1, np.int32)
        self._facet = np.zeros((_FIRST_CAPACITY, TAG_SLOTS), bool)
        self._facet_tags = self._tags.copy()
        self._tie = np.zeros(_FIRST_CAPACITY, np.int64)
        self._width = TAG_WIDTHS[0]
        self._embedding_row = np.full(_FIRST_CAPACITY, -1, np.int64)
        self._embeddings = np.zeros((0, EMBEDDING_DIM), np.float32)
        self._embedded = 0

    @property
    def size(self) -> int:
        return len(self._ids)

    def index_of(self, item_id: str) -> int:
        """The item's index, given on first sight."""
        known = self.index.get(item_id)
        if known is None:
            known = self.index[item_id] = len(self._ids)
            self._ids.append(item_id)
            self._reserve(known + 1)
            self._tie[known] = int.from_bytes(blake2b(item_id.encode(), digest_size=8).digest(), "big", signed=True)
        return known

    def category_of(self, item: int) -> str | None:
        """The folded name of an item's category."""
        code = int(self._category[item])
        return self.categories.names[code] if code >= 0 else None

    def shelf(self) -> Shelf:
        """Views of the arrays as they are now."""
        n = self.size
        return Shelf(
            self._ids,
            self._available[:n],
            self._price[:n],
            self._brand[:n],
            self._category[:n],
            self._parent[:n],
            self._created_s[:n],
            self._tags[:n, : self._width],
            self._facet_tags[:n, : self._width],
            self.tag_codes.names,
            self._tie[:n],
            self._embedding_row[:n],
            self._embeddings[: self._embedded],
        )

    def frozen(self) -> "Catalog":
        """A copy that later rows leave alone, for ``arrays`` at leisure."""
        still = copy(self)
        for name in (*_COLUMNS, "_facet_tags"):
            setattr(still, name, getattr(self, name)[: self.size].copy())
        for name in _CODES:
            setattr(still, name, copy(getattr(self, name)))
            getattr(still, name).names = list(getattr(self, name).names)
        for name, value in (
            ("_ids", list(self._ids)),
            ("_tags_of", dict(self._tags_of)),
            ("_embeddings", self._embeddings[: self._embedded].copy()),
        ):
            setattr(still, name, value)
        return still

    def arrays(self) -> Arrays:
        """Everything ``load`` needs, as views."""
        n = self.size
        held = [self._tags_of.get(index, ()) for index in range(n)]
        lengths = np.fromiter(map(len, held), np.int64, n)
        codes = np.fromiter((code for row in held for code in row), np.int64, int(lengths.sum()))
        columns = {name.strip("_"): getattr(self, name)[:n] for name in _COLUMNS}
        names = {name: packed(getattr(self, name).names) for name in _CODES}
        return {
            **columns,
            **names,
            "ids": packed(self._ids),
            "tag_lengths": lengths,
            "tag_members": codes,
            "embeddings": self._embeddings[: self._embedded],
            "counts": np.array([self._width]),
        }

    def load(self, arrays: Arrays) -> None:
        """Take over what ``arrays`` gave, in an empty catalogue."""
        self._ids = unpacked(arrays["ids"])
        self.index = {item_id: index for index, item_id in enumerate(self._ids)}
        self._reserve(len(self._ids))
        for name in _COLUMNS:
            getattr(self, name)[: len(self._ids)] = arrays[name.strip("_")]
        for name in _CODES:
            getattr(self, name).load(unpacked(arrays[name]))
        ends = np.cumsum(arrays["tag_lengths"]).tolist()
        codes = arrays["tag_members"].tolist()
        for index, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
            row = self._tags_of[index] = tuple(codes[begin:end])
            for code in row:
                self.items_with_tag.setdefault(code, set()).add(index)
        self._embeddings = arrays["embeddings"]
        self._embedded = len(self._embeddings)
        self._width = int(arrays["counts"][0])
        self._facet_tags = np.where(self._facet, self._tags, -1)
        self.journal.turn()

    def put(self, row: Any) -> int:
        """Apply one row of the items table; returns the index."""
        index = self.index_of(row.item_id)
        props: Mapping[str, Any] = json.loads(row.props)
        tags: list[str] = json.loads(row.tags)
        self._available[index] = bool(row.available)
        self._price[index] = np.nan if row.price is None else row.price
        self._created_s[index] = row.created_us / 1e6
        brand = row.brand or _prefixed(tags, BRAND_PREFIXES)
        category = row.category or _prefixed(tags, CATEGORY_PREFIXES)
        self._brand[index] = self.brands.of(_folded(brand)) if brand else -1
        self._category[index] = self.categories.of(_folded(category)) if category else -1
        parent = props.get("parent_id")
        self._parent[index] = self.parents.of(str(parent)) if parent else self.parents.of(row.item_id)
        self._put_tags(index, tags, brand, category)
        self._put_embedding(index, row.embedding)
        self.journal.note(index)
        return index

    def is_stored(self, index: int) -> bool:
        """Is there a row for the item, or only events that name it?"""
        return bool(self._parent[index] >= 0)

    def remove(self, item_id: str) -> None:
        """A deleted item: its index stays for the histories that name it, but it is never shown."""
        index = self.index.get(item_id)
        if index is None:
            return
        self._available[index] = False
        self._price[index] = np.nan
        self._brand[index] = self._category[index] = self._parent[index] = -1
        self._put_tags(index, [], None, None)
        self._embedding_row[index] = -1
        self.journal.note(index)

    def tag_mask(self, names: Iterable[str]) -> BoolArray:
        """Items that carry any of the tags; names compare trimmed and case-folded."""
        mask = np.zeros(self.size, bool)
        for name in names:
            code = self.tag_codes.known(_folded(name))
            if code is not None:
                mask[self._members(code)] = True
        return mask

    def _members(self, code: int) -> IntArray:
        members = self._masks.get(code)
        if members is None:
            held = self.items_with_tag.get(code, set())
            members = self._masks[code] = np.fromiter(held, np.int64, len(held))
        return members

    def _put_tags(self, index: int, tags: list[str], brand: str | None, category: str | None) -> None:
        names = dict.fromkeys(_folded(tag) for tag in tags)
        if brand:
            names.setdefault(f"brand:{_folded(brand)}")
        if category:
            names.setdefault(f"category:{_folded(category)}")
        for code in self._tags_of.get(index, ()):
            self.items_with_tag[code].discard(index)
            self._masks.pop(code, None)
        codes = tuple(self.tag_codes.of(name) for name in names)
        for code in codes:
            self.items_with_tag.setdefault(code, set()).add(index)
            self._masks.pop(code, None)
        self._tags_of[index] = codes
        shown = codes[:TAG_SLOTS]
        self._width = max(self._width, next(width for width in TAG_WIDTHS if width >= len(shown)))
        self._tags[index] = -1
        self._tags[index, : len(shown)] = shown
        self._facet[index] = False
        self._facet[index, : len(shown)] = [not name.startswith(BRAND_PREFIXES + CATEGORY_PREFIXES) for name in names][
            :TAG_SLOTS
        ]
        self._facet_tags[index] = np.where(self._facet[index], self._tags[index], -1)

    def _put_embedding(self, index: int, blob: bytes | None) -> None:
        if not blob:
            self._embedding_row[index] = -1
            return
        row = int(self._embedding_row[index])
        if row < 0:
            row = self._embedded
            self._embedded += 1
            if row >= len(self._embeddings):
                grown = np.zeros((max(64, 2 * len(self._embeddings)), EMBEDDING_DIM), np.float32)
                grown[: len(self._embeddings)] = self._embeddings
                self._embeddings = grown
            self._embedding_row[index] = row
        vector = np.frombuffer(blob, dtype="<f4")
        norm = float(np.linalg.norm(vector))
        self._embeddings[row] = vector / norm if norm > 0 else 0.0

    def _reserve(self, size: int) -> None:
        capacity = len(self._available)
        if size <= capacity:
            return
        room = max(size, 2 * capacity) - capacity
        self._available = np.concatenate([self._available, np.zeros(room, bool)])
        self._price = np.concatenate([self._price, np.full(room, np.nan)])
        for name in ("_brand", "_category", "_parent", "_embedding_row"):
            setattr(self, name, np.concatenate([getattr(self, name), np.full(room, -1, np.int64)]))
        self._created_s = np.concatenate([self._created_s, np.zeros(room)])
        self._tie = np.concatenate([self._tie, np.zeros(room, np.int64)])
        self._tags = np.concatenate([self._tags, np.full((room, TAG_SLOTS), -1, np.int32)])
        self._facet = np.concatenate([self._facet, np.zeros((room, TAG_SLOTS), bool)])
        self._facet_tags = np.concatenate([self._facet_tags, np.full((room, TAG_SLOTS), -1, np.int32)])


def _folded(name: str) -> str:
    return name.strip().casefold()


def _prefixed(tags: list[str], prefixes: tuple[str, ...]) -> str | None:
    for tag in tags:
        for prefix in prefixes:
            if tag.casefold().startswith(prefix):
                return tag[len(prefix) :].strip() or None
    return None
