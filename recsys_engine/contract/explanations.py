"""How a list tells of itself: the trace it carries and, on request, why each item stands where it stands."""

from typing import NotRequired, TypedDict


class PolicyCounts(TypedDict):
    """What filters and rules did, counted; leaks are measured on the finished list."""

    total_candidates: int
    constraint_filtered_count: int
    after_constraint_filters: int
    rule_block_count: int
    rule_pin_count: int
    rule_boost_count: int
    rule_pin_exposure: int
    rule_block_exposure: int
    rule_boost_exposure: int
    final_count: int
    constraint_leak_count: int
    constraint_leak_by_reason: NotRequired[dict[str, int]]


class TraceExtras(TypedDict):
    """``candidate_sources``: how many candidates each source gave, and how many each stage left."""

    candidate_sources: dict[str, int]
    policy: PolicyCounts
    surface: str


class Trace(TypedDict):
    extras: TraceExtras


class Contribution(TypedDict):
    """What a signal adds to an item; ``raw``, before weight and scale, at level full."""

    contribution: float
    raw: NotRequired[float]


Diversity = TypedDict("Diversity", {"lambda": float, "max_sim": float, "penalty": float})


class Caps(TypedDict):
    brand: float
    category: float


class Guardrail(TypedDict):
    rate: float
    multiplier: float


class HistoryItem(TypedDict):
    item_id: str
    raw: float


class Column(TypedDict):
    value: float | None
    contribution: float


class LearnedItem(TypedDict):
    item_id: str
    ease: float
    together: float


class LearnedRanking(TypedDict):
    """base, columns and novelty sum to ``ranker``; ``adds`` of all blocks to the item's value."""

    question: str
    share: float
    ranker: float
    base: float
    columns: dict[str, Column]
    novelty: float
    adds: float
    history: list[LearnedItem]


class Explanation(TypedDict):
    """``contributions`` sum to ``blend``; ``blend`` · ``multiplier`` + ``added`` is the score.

    From ``sources`` on: at level full only.
    """

    contributions: dict[str, Contribution]
    blend: float
    multiplier: float
    added: float
    mmr: Diversity
    caps: Caps
    anchors: list[str]
    guardrails: NotRequired[dict[str, Guardrail]]
    sources: NotRequired[list[str]]
    how: NotRequired[str]
    propensity: NotRequired[float]
    history: NotRequired[dict[str, list[HistoryItem]]]
    learned: NotRequired[list[LearnedRanking]]
