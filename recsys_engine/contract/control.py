"""What an operator sets (rules, overrides, segments, profiles, policies, configuration) and looks up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """A merchandising rule. ``action`` BLOCK, PIN or BOOST; ``target_type`` ITEM, TAG, BRAND or CATEGORY.

    ``item_ids`` are the targets of ITEM rules and the pinned items of PIN rules. BOOST multiplies a score by
    1 + ``boost_value``. Empty ``segment_id`` means every shopper. Higher ``priority`` goes first.
    """

    surface: str
    name: str
    action: str
    target_type: str
    target_key: str = ""
    item_ids: tuple[str, ...] = ()
    boost_value: float | None = None
    max_pins: int | None = None
    segment_id: str | None = None
    priority: int = 0
    enabled: bool = True
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    description: str | None = None
    rule_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ManualOverride:
    """A quick decision about one item: ``boost`` (by ``boost_value``) or ``suppress``, until ``expires_at``."""

    item_id: str
    action: str
    surface: str = "default"
    boost_value: float | None = None
    notes: str | None = None
    created_by: str | None = None
    expires_at: datetime | None = None
    priority: int = 1000
    override_id: str | None = None
    status: str = "active"
    rule_id: str | None = None
    created_at: datetime | None = None
    cancelled_at: datetime | None = None
    cancelled_by: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentProfile:
    """A named set of ranking knobs (names as in ``Overrides`` and the namespace configuration)."""

    profile_id: str
    knobs: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """One condition of a segment: an expression with a single operator (see ``service.segments``)."""

    rule: Mapping[str, Any]
    enabled: bool = True
    description: str | None = None
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """Shoppers who share a profile. No rules: everyone matches. Higher ``priority`` is tried first."""

    segment_id: str
    name: str
    profile_id: str
    priority: int = 0
    active: bool = False
    rules: tuple[SegmentRule, ...] = ()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentMatch:
    """Which segment a shopper falls into."""

    matched: bool
    segment_id: str | None = None
    profile_id: str | None = None
    matched_rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """One arm of the bandit: a named set of ranking knobs."""

    policy_id: str
    name: str
    active: bool = False
    knobs: Mapping[str, Any] = field(default_factory=dict)
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Decide:
    """What to choose between, for whom and where. Explicit ids may name inactive policies.

    ``exploration_floor`` is the share of draws spread evenly over all policies (above 0, at most 1; None: 0.01).
    """

    surface: str
    context: Mapping[str, str] | None = None
    candidate_policy_ids: tuple[str, ...] = ()
    algorithm: str | None = None
    user_id: str | None = None
    exploration_floor: float | None = None


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """What the bandit served, with the exact probability of serving it. ``explore``: not the best so far."""

    decision_id: str
    policy_id: str
    algorithm: str
    surface: str
    bucket_key: str
    propensity: float
    explore: bool
    empirical_best: str
    experiment: str | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class NamespaceConfig:
    """The namespace's knobs with their version; ``surface_profiles`` maps a surface to knobs of its own."""

    config: Mapping[str, Any]
    version: int = 0
    updated_at: datetime | None = None
    updated_by: str | None = None
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which decisions to look up; newest first, at most ``limit`` (1-500)."""

    from_: datetime | None = None
    to: datetime | None = None
    user_hash: str | None = None
    request_id: str | None = None
    surface: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class AuditedDecision:
    """One stored decision. ``details`` holds the request, the settings digest and each item's sources and odds."""

    decision_id: str
    request_id: str
    ts: datetime
    surface: str
    user_hash: str | None = None
    final_items: tuple[Mapping[str, Any], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replay:
    """A stored decision made again from the log.

    ``status`` is ``identical`` (every item, score, odds and source bit for bit), ``different`` or ``impossible``, and
    then ``reason`` is one of ``REPLAY_REASONS``. ``items`` is the list as made now, in the form of ``final_items``.
    """

    decision_id: str
    status: str
    reason: str | None = None
    items: tuple[Mapping[str, Any], ...] = ()


REPLAY_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "stored_before_replay": "it was stored by a version that did not yet keep what a replay needs",
        "log_no_longer_whole": "a person was erased, or users or events were deleted, after it was made",
        "settings_not_kept": "its settings are no longer stored",
        "model_replaced": "the learned model it used is no longer on this machine",
    }
)
"""Why a decision cannot be made again."""


@dataclass(frozen=True, slots=True)
class MissingVerdict:
    """At which stage an item fell out of a list and why; ``rank`` is set when it did not."""

    item_id: str
    stage: str
    reason: str
    rank: int | None = None
