"""What a caller may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recsys_engine.contract.limits import DEFAULT_K, DEFAULT_PAGE


@dataclass(frozen=True, slots=True)
class Context:
    """Where the list will be shown and what the shopper sees.

    ``surface`` picks the recipe and the rules. ``item_id`` is the product in view. ``cart_item_ids`` are anchors,
    never recommended. ``session_item_ids`` are a guest's recent items, newest last. ``extra`` reaches segment
    rules as ``ctx.*``.
    """

    surface: str = "default"
    item_id: str | None = None
    cart_item_ids: tuple[str, ...] = ()
    session_item_ids: tuple[str, ...] = ()
    session_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Constraints:
    """Hard limits, final for every returned item, pins and fill included.

    ``price_between`` is ``(min, max)`` inclusive in major units, either end may be None; unpriced items fall out.
    ``created_after`` keeps items first stored strictly later. Tags compare case-insensitively after trimming.
    """

    include_tags_any: tuple[str, ...] = ()
    exclude_tags_any: tuple[str, ...] = ()
    exclude_item_ids: tuple[str, ...] = ()
    price_between: tuple[float | None, float | None] | None = None
    created_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Blend:
    """Explicit weights: the score is exactly ``pop``·popularity + ``cooc``·co-visitation + ``als``·embedding."""

    pop: float = 0.0
    cooc: float = 0.0
    als: float = 0.0


@dataclass(frozen=True, slots=True)
class Overrides:
    """Request-level settings; they beat every stored one. Caps of 0 are off. ``mmr_lambda`` 1 is pure relevance."""

    popularity_halflife_days: float | None = None
    covis_window_days: float | None = None
    popularity_fanout: int | None = None
    mmr_lambda: float | None = None
    brand_cap: int | None = None
    category_cap: int | None = None
    rule_exclude_events: bool | None = None
    purchased_window_days: float | None = None
    profile_window_days: float | None = None
    profile_boost: float | None = None
    profile_top_n: int | None = None
    profile_starter_blend_weight: float | None = None
    blend_alpha: float | None = None
    blend_beta: float | None = None
    blend_gamma: float | None = None
    exploration_rate: float | None = None


NO_CONSTRAINTS, NO_OVERRIDES = Constraints(), Overrides()
"""What a request without any carries: whoever sees these themselves need not compare field by field."""


@dataclass(frozen=True, slots=True)
class RecommendRequest:
    """Ask for a ranked list of up to ``k`` items (1–200). No ``user_id`` means an anonymous visitor.

    ``explain_level`` is ``tags``, ``numeric`` or ``full``. ``request_id`` is normally left to the engine.
    """

    user_id: str | None = None
    k: int = DEFAULT_K
    context: Context = field(default_factory=Context)
    constraints: Constraints = NO_CONSTRAINTS
    blend: Blend | None = None
    overrides: Overrides = NO_OVERRIDES
    include_reasons: bool = False
    explain_level: str = "tags"
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class RerankCandidate:
    """An item the caller wants ordered; ``score`` plays the popularity role."""

    item_id: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A filtered page, ordered by time and then id, newest first. ``cursor`` beats ``offset``."""

    limit: int = DEFAULT_PAGE
    offset: int = 0
    cursor: str | None = None
    user_id: str | None = None
    item_id: str | None = None
    event_type: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeleteFilter:
    """What to delete; a filter without any field set needs ``confirm_all``."""

    user_id: str | None = None
    item_id: str | None = None
    event_type: int | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    confirm_all: bool = False

    @property
    def is_empty(self) -> bool:
        """True when the filter would match everything."""
        return not (
            self.user_id
            or self.item_id
            or self.event_type is not None
            or self.created_after is not None
            or self.created_before is not None
        )
