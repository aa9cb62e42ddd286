"""The operator's side of the port."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from recsys_engine.contract import Recommendations, RecommendRequest
from recsys_engine.contract.control import (
    AuditedDecision,
    AuditQuery,
    Decide,
    ManualOverride,
    MissingVerdict,
    NamespaceConfig,
    Policy,
    PolicyChoice,
    Replay,
    Rule,
    Segment,
    SegmentMatch,
    SegmentProfile,
)

Json = dict[str, Any]


class RecsysControl(Protocol):
    """What an operator may ask of the recommender. Errors as in ``RecsysGateway``.

    Creating rules and overrides and drawing bandit decisions are not safe to repeat and are sent once.
    """

    def rules(self) -> list[Rule]:
        """All rules, highest priority first."""

    def create_rule(self, rule: Rule) -> Rule:
        """Store a rule under a new id."""

    def replace_rule(self, rule_id: str, rule: Rule) -> Rule:
        """Replace a rule whole."""

    def dry_run_rules(self, surface: str, segment_id: str | None, item_ids: Sequence[str]) -> Json:
        """What the active rules would do to some items."""

    def overrides(self) -> list[ManualOverride]:
        """All manual overrides, newest first."""

    def create_override(self, override: ManualOverride) -> ManualOverride:
        """Boost or suppress one item."""

    def cancel_override(self, override_id: str, cancelled_by: str | None) -> ManualOverride:
        """End an override."""

    def profiles(self) -> list[SegmentProfile]:
        """All segment profiles."""

    def put_profiles(self, profiles: Sequence[SegmentProfile]) -> None:
        """Store profiles."""

    def delete_profiles(self, ids: Sequence[str]) -> None:
        """Delete profiles no segment uses."""

    def segments(self) -> list[Segment]:
        """All segments."""

    def put_segment(self, segment: Segment) -> None:
        """Store a segment with its rules."""

    def delete_segments(self, ids: Sequence[str]) -> None:
        """Delete segments."""

    def dry_run_segment(
        self, user_id: str | None, context: Mapping[str, Any], traits: Mapping[str, Any] | None
    ) -> SegmentMatch:
        """Which segment a shopper would fall into."""

    def config(self) -> NamespaceConfig:
        """The namespace's knobs and their version."""

    def put_config(
        self,
        config: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        author: str | None = None,
        notes: str | None = None,
    ) -> NamespaceConfig:
        """Replace the knobs; rejected with ``version_conflict`` when the version has moved on."""

    def presets(self) -> dict[str, dict[str, float]]:
        """The diversity of each surface's recipe."""

    def policies(self) -> list[Policy]:
        """All bandit policies."""

    def put_policies(self, policies: Sequence[Policy]) -> None:
        """Store policies."""

    def decide(self, ask: Decide) -> PolicyChoice:
        """Draw a policy; the decision is stored with its propensity."""

    def recommend_by_policy(
        self, request: RecommendRequest, policy_ids: Sequence[str], *, exploration_floor: float | None = None
    ) -> tuple[Recommendations, PolicyChoice]:
        """A list by one of these policies, drawn by what each has earned on the surface, `exploration_floor` of them
        evenly.

        The answer's ``request_id`` is the decision's id, to be rewarded by.
        """

    def reward(self, decision_id: str, reward: float, source_event_id: str) -> bool:
        """Report what a decision earned; False when it was known already."""

    def find_decisions(self, query: AuditQuery) -> list[AuditedDecision]:
        """Served lists, newest first."""

    def decision(self, decision_id: str) -> AuditedDecision:
        """One served list with its details."""

    def replay(self, decision_id: str) -> Replay:
        """Make a served list again from the log and compare, or say why that cannot be done."""

    def explain_missing(self, request: RecommendRequest, item_id: str) -> MissingVerdict:
        """Why an item is not in a list."""
