"""Choosing the order: relevance against similarity to what is already chosen, under caps.

Greedy maximal marginal relevance (Carbonell & Goldstein 1998): each step takes the candidate with the largest
``λ·s/max(s) − (1−λ)·max Jaccard(tags)``; ties go to the better score, then the earlier row. The step order is the
list order.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from recsys_engine.domain import Choice, IntArray, Pool, Settings, Shelf, quick_choice

WINDOW = 100
"""MMR looks at this many best candidates; the rest keep score order."""


@dataclass(slots=True)
class Caps:
    """Running counts against the brand, category and variant limits of one list of ``k`` places.

    The last free places are kept for new brands while the list has fewer than ``min_brands``.
    """

    shelf: Shelf
    settings: Settings
    k: int
    taken: int = 0
    min_brands: int = field(init=False)
    is_plain: bool = field(init=False)
    brands: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    categories: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    parents: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        settings = self.settings
        self.min_brands = settings.min_brands
        self.is_plain = not (settings.brand_cap or settings.category_cap or settings.min_brands)

    def claim(self, item: int) -> str | None:
        """``take`` an item unless a limit forbids it; says which."""
        if not self.is_plain or not self.settings.dedupe_variants:
            hit = self.hit(item)
            if hit is None:
                self.take(item)
            return hit
        parent = self.shelf.parent.item(item)  # one look for most lists, which have no other limit
        if parent in self.parents:
            return "variant"
        self.taken += 1
        if parent >= 0:
            self.parents.add(parent)
        return None

    def hit(self, item: int) -> str | None:
        """The limit that forbids one more of this kind, or None."""
        settings, shelf = self.settings, self.shelf
        if settings.brand_cap or self.min_brands:
            brand = shelf.brand.item(item)
            if brand >= 0 and self.brands[brand] >= (settings.brand_cap or self.k):
                return "brand_cap"
            if self.min_brands and (brand < 0 or self.brands[brand]) and self._must_be_new():
                return "min_brands"
        category = shelf.category.item(item) if settings.category_cap else -1
        if category >= 0 and self.categories[category] >= settings.category_cap:
            return "category_cap"
        if settings.dedupe_variants and shelf.parent.item(item) in self.parents:
            return "variant"
        return None

    def _must_be_new(self) -> bool:
        listed = sum(1 for brand, count in self.brands.items() if brand >= 0 and count > 0)
        return self.min_brands - listed >= self.k - self.taken

    def release(self, item: int) -> None:
        """Undo ``take``."""
        self.taken -= 1
        self.brands[int(self.shelf.brand[item])] -= 1
        self.categories[int(self.shelf.category[item])] -= 1
        self.parents.discard(int(self.shelf.parent[item]))

    def take(self, item: int) -> None:
        """Count an item that is on the list."""
        self.taken += 1
        if not self.is_plain:
            self._count_kinds(item)
        parent = self.shelf.parent.item(item) if self.settings.dedupe_variants else -1
        if parent >= 0:
            self.parents.add(parent)

    def _count_kinds(self, item: int) -> None:
        if self.settings.brand_cap or self.min_brands:
            self.brands[int(self.shelf.brand[item])] += 1
        if self.settings.category_cap:
            self.categories[int(self.shelf.category[item])] += 1


def choose(pool: Pool, order: IntArray, k: int, caps: Caps, lambda_: float) -> tuple[list[Choice], dict[int, str]]:
    """Up to ``k`` choices from the pool rows in ``order`` (best first), and the items a cap refused.

    When the pool has too few brands for ``min_brands``, what that refused fills the list after all.
    """
    by = _by_score if lambda_ >= 1.0 else partial(_by_marginal_relevance, lambda_=lambda_)
    chosen, refused = by(pool, order, k, caps)
    again = [refused.get(item) == "min_brands" for item in pool.items[order].tolist()] if len(chosen) < k else []
    if any(again):
        caps.min_brands = 0
        more, hits = _by_score(pool, order[again], k - len(chosen), caps)
        listed = {int(pool.items[choice.row]) for choice in more}
        refused = {item: why for item, why in {**refused, **hits}.items() if item not in listed}
        chosen = chosen + more
    return chosen, refused


def _by_score(pool: Pool, order: IntArray, k: int, caps: Caps) -> tuple[list[Choice], dict[int, str]]:
    chosen: list[Choice] = []
    refused: dict[int, str] = {}
    for row in order.tolist():
        if len(chosen) == k:
            break
        item = pool.items.item(row)
        hit = caps.claim(item)
        if hit is None:
            chosen.append(quick_choice((row, "score", 0.0, 0.0, 1.0, ())))
        else:
            refused[item] = hit
    return chosen, refused


def _by_marginal_relevance(
    pool: Pool, order: IntArray, k: int, caps: Caps, lambda_: float
) -> tuple[list[Choice], dict[int, str]]:
    rows = order[: max(WINDOW, 2 * k)]
    if not len(rows):
        return [], {}
    relevance = lambda_ * pool.scores[rows]
    best = pool.scores.item(rows[0])
    relevance = relevance / best if best > 0 else np.zeros(len(rows))
    similarity = np.multiply(tag_similarity(caps.shelf, pool.items[rows]), 1 - lambda_, dtype=np.float64)
    nearest, margin = np.zeros(len(rows)), np.empty(len(rows))
    items = pool.items[rows].tolist()
    chosen: list[Choice] = []
    refused: dict[int, str] = {}
    for _ in range(len(rows)):
        if len(chosen) == k:
            break
        at = np.subtract(relevance, nearest, out=margin).argmax().item()
        relevance[at] = -np.inf
        item = items[at]
        hit = caps.claim(item)
        if hit is not None:
            refused[item] = hit
            continue
        penalty = nearest.item(at)
        chosen.append(quick_choice((rows.item(at), "score", penalty, penalty / (1 - lambda_), 1.0, ())))
        np.maximum(nearest, similarity[at], out=nearest)
    if len(chosen) < k:
        more, hits = _by_score(pool, order[len(rows) :], k - len(chosen), caps)
        chosen, refused = chosen + more, {**refused, **hits}
    return chosen, refused


def tag_similarity(shelf: Shelf, items: IntArray) -> npt.NDArray[np.float32]:
    """Jaccard similarity of facet tags between all pairs of items; brand and category tags are left to the caps."""
    tags = shelf.facet_tags[items]
    present = np.zeros(shelf.tag_count + 1, bool)
    present[tags] = True
    present[-1] = False
    column = present.cumsum()
    width = int(column[-1]) + 1
    column[-1] = 0  # padding goes into a column of its own
    holds = np.zeros((len(items), width), np.float32)
    holds.reshape(-1)[column[tags] + np.arange(0, holds.size, width)[:, None]] = 1.0
    holds[:, 0] = 0.0
    both = holds @ holds.T
    sizes = np.maximum(both.diagonal(), 0.5)  # two items without tags have nothing in common: 0 of 1
    either = sizes[:, None] + sizes
    either -= both
    both /= either
    return both
