"""What the parts of the engine hand to one another: the shelf, a query, signals, recipes, candidates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NO_ITEM = -1


@dataclass(slots=True)
class Shelf:
    """The catalogue as arrays, one row per item index; read only for everyone but its builder.

    ``available`` is False for items known only from events. ``price`` is NaN when unknown. ``brand``, ``category``
    and ``parent`` are codes, -1 when unknown. ``created_s`` is seconds since 1970. ``tags`` holds tag codes, brand and
    category tags included, padded with -1 to 2, 4 or a multiple of 8; ``facet_tags`` those without brand and category.
    ``embedding_row`` is the row in ``embeddings`` or -1. ``ties`` puts equal scores in order: a hash of the item id, so
    that every replica, whatever the order it met the items in, makes the same list.
    """

    ids: list[str]
    available: BoolArray
    price: FloatArray
    brand: IntArray
    category: IntArray
    parent: IntArray
    created_s: FloatArray
    tags: npt.NDArray[np.int32]
    facet_tags: npt.NDArray[np.int32]
    tag_names: list[str]
    ties: IntArray
    embedding_row: IntArray
    embeddings: npt.NDArray[np.float32]

    @property
    def size(self) -> int:
        return len(self.ids)

    @property
    def tag_count(self) -> int:
        return len(self.tag_names)


@dataclass(frozen=True, slots=True)
class History:
    """One shopper's events that say something about taste, in log order; equally long arrays.

    ``items`` are item indices, ``ts_s`` seconds since 1970, ``baskets`` codes that are equal within one order.
    """

    items: IntArray
    ts_s: FloatArray
    types: IntArray
    values: FloatArray
    baskets: IntArray

    @property
    def size(self) -> int:
        return len(self.items)


EMPTY_HISTORY = History(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Query:
    """Everything a signal may look at for one request.

    ``anchors`` are the items the list should go with, most important first (product in view, cart, session, recent
    history); ``anchor_weights`` sum to 1. ``view_item`` is -1 when no product is in view.
    """

    shelf: Shelf
    now_s: float
    surface: str
    user_id: str | None
    history: History
    view_item: int
    cart: IntArray
    session: IntArray
    anchors: IntArray
    anchor_weights: FloatArray
    settings: "Settings"


class Signal(Protocol):
    """One way to find and to score items. ``name`` is its feature name and its reason word."""

    name: str

    def candidates(self, query: Query, limit: int) -> IntArray:
        """The best item indices, at most ``limit``, in any order; empty when the signal knows nothing here."""

    def scores(self, query: Query, items: IntArray) -> FloatArray:
        """One finite value >= 0 per item; 0 means nothing known."""


class Ranker(Protocol):
    """Turns the feature matrix into scores. Contributions of a row sum to its score."""

    version: str
    wants_all: bool
    """True when it looks at every signal, not only at those with a weight in the recipe."""

    def contributions(self, query: Query, items: IntArray, features: FloatArray, names: Sequence[str]) -> FloatArray:
        """Same shape as ``features``."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What lowers the score of items that shoppers regret.

    rate = (events of ``event_type`` + 20·tolerated) / (events of ``base_type`` + 20), both with a 120-day half-life;
    the score is multiplied by max(floor, 1 − strength · max(0, rate − tolerated)). Strength 0 is off.
    """

    name: str
    event_type: int
    base_type: int
    tolerated: float
    strength: float
    floor: float = 0.2


@dataclass(frozen=True, slots=True)
class Settings:
    """How one list is made: the result of the documented precedence, defaults first, request last.

    ``weights`` maps feature name → weight on the feature normalised by its maximum over the candidates.
    ``min_brands`` different brands are on the list as long as the pool offers them. ``popularity_half_life_days`` puts
    one half-life in place of each event type's; ``covis_window_days`` is how far back own events speak as anchors;
    ``profile_starter_weight`` is the share of the popular items' tags in a short profile.
    ``is_plain_blend`` marks a request's own blend: exactly these weights and no personal multiplier.
    """

    weights: Mapping[str, float]
    generators: Mapping[str, int]
    mmr_lambda: float = 1.0
    brand_cap: int = 0
    category_cap: int = 0
    min_brands: int = 0
    popularity_half_life_days: float | None = None
    covis_window_days: float | None = None
    exclude_bought_days: float | None = None
    exclude_event_types: tuple[int, ...] = (3,)
    profile_window_days: float = 90.0
    profile_boost: float = 0.0
    profile_top_n: int = 64
    profile_min_events: int = 3
    profile_cold_multiplier: float = 0.85
    profile_starter_weight: float = 0.0
    exploration_rate: float = 0.0
    only_own_history: bool = False
    dedupe_variants: bool = True
    is_plain_blend: bool = False
    max_pins: int = 3
    type_weights: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard filters in index form, resolved once per request. None means no limit of that kind."""

    excluded: IntArray
    include_mask: BoolArray | None = None
    exclude_mask: BoolArray | None = None
    price_min: float | None = None
    price_max: float | None = None
    has_price_range: bool = False
    created_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class RuleEffects:
    """Merchandising rules resolved to item indices.

    ``blocked`` and ``boosts`` map item → ids of the rules (and the summed factor); ``pins`` are in order.
    Only boosted items in ``injected`` enter a list that no generator put them on.
    """

    blocked: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    pins: Sequence[tuple[int, str]] = ()
    boosts: Mapping[int, tuple[float, tuple[str, ...]]] = field(default_factory=dict)
    injected: frozenset[int] = frozenset()

    def items(self) -> set[int]:
        """Every item some rule speaks of."""
        return {*self.blocked, *self.boosts, *(item for item, _ in self.pins)}


NO_RULES = RuleEffects()


@dataclass(slots=True)
class Pool:
    """Candidates on their way through the stages; equally long, row r is one candidate.

    ``sources`` has bit g set when generator g found the item. ``contributions`` sum along a row to the blend; the blend
    times ``multipliers`` gives ``scores``.
    """

    items: IntArray
    sources: IntArray
    features: FloatArray
    contributions: FloatArray
    multipliers: FloatArray
    scores: FloatArray


class Choice(NamedTuple):
    """One place of the finished list. ``row`` points into the pool; ``how`` says what put it here."""

    row: int
    how: str
    penalty: float = 0.0
    max_similarity: float = 0.0
    propensity: float = 1.0
    rule_ids: tuple[str, ...] = ()


quick_choice: Callable[[tuple[int, str, float, float, float, tuple[str, ...]]], Choice] = partial(tuple.__new__, Choice)
"""A ``Choice`` of all its fields, without the Python frame of its constructor: each list makes twenty and more."""


@dataclass(slots=True)
class Trace:
    """What happened to one request: counts and seconds per stage; if detailed, why each item fell out."""

    is_detailed: bool = False
    dropped: dict[int, tuple[str, str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
