"""Stored settings turned into what one request needs: knob layers in order of precedence, and rule effects."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from recsys_engine.contract.control import ManualOverride, Policy, Rule, Segment, SegmentMatch, SegmentProfile
from recsys_engine.contract.control_decoding import control_from, segment_from
from recsys_engine.contract.requests import RecommendRequest
from recsys_engine.domain import NO_RULES, RuleEffects
from recsys_engine.service.merchandising import active_rules, effects_of, rule_of
from recsys_engine.service.segments import match_segment
from recsys_engine.service.settings import StoredSettings
from recsys_engine.signals.catalog import Catalog

RULE, OVERRIDE, SEGMENT, PROFILE, POLICY, CONFIG = "rule", "override", "segment", "profile", "policy", "config"
CONFIG_KEY = "namespace"
Traits = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Steer:
    """``layers`` are knob sets, lowest first: namespace config < surface profile < segment profile < bandit policy."""

    layers: tuple[Mapping[str, Any], ...] = ()
    rules: RuleEffects = NO_RULES
    segment_id: str | None = None
    profile_id: str | None = None


class Steering:
    """Parsed once per change of settings; read by every request."""

    def __init__(self, stored: StoredSettings) -> None:
        self.rules = [control_from(Rule, d.body) for d in stored.of_kind(RULE).values()]
        self.overrides = [control_from(ManualOverride, d.body) for d in stored.of_kind(OVERRIDE).values()]
        self.segments = [segment_from(d.body) for d in stored.of_kind(SEGMENT).values()]
        self.profiles = {key: control_from(SegmentProfile, d.body) for key, d in stored.of_kind(PROFILE).items()}
        self.policies = {key: control_from(Policy, d.body) for key, d in stored.of_kind(POLICY).items()}
        document = stored.of_kind(CONFIG).get(CONFIG_KEY)
        self.config: Mapping[str, Any] = document.body["config"] if document else {}
        self._all_rules = [*self.rules, *map(rule_of, self.overrides)]

    def for_request(
        self,
        request: RecommendRequest,
        traits: Traits,
        catalog: Catalog,
        now: datetime,
        policy: Mapping[str, Any] | None = None,
    ) -> Steer:
        """Layers, rules and segment of one request."""
        if not self.config and not self.segments and not self._all_rules and policy is None:
            return Steer()
        surface = request.context.surface
        match = self.segment_of(request, traits, now)
        profile = self.profiles.get(match.profile_id or "")
        layers = (
            self.config,
            self.config.get("surface_profiles", {}).get(surface, {}),
            profile.knobs if profile else {},
            policy or {},
        )
        rules = active_rules(self._all_rules, surface, match.segment_id, now) if self._rules_on() else []
        return Steer(layers, effects_of(rules, catalog), match.segment_id, match.profile_id)

    def segment_of(self, request: RecommendRequest, traits: Traits, now: datetime) -> SegmentMatch:
        """The shopper's segment under this request."""
        if not self.segments:
            return SegmentMatch(matched=False)
        facts = {
            "user": {"id": request.user_id, "traits": traits},
            "ctx": {**request.context.extra, "surface": request.context.surface},
            "request": {"k": request.k, "surface": request.context.surface, "blend": _blend(request)},
        }
        return match_segment(self.segments, facts, now)

    def _rules_on(self) -> bool:
        return bool(self.config.get("rules_enabled", True))


def _blend(request: RecommendRequest) -> dict[str, Any] | None:
    return asdict(request.blend) if request.blend else None


def segment_uses(segments: list[Segment], profile_ids: list[str]) -> str | None:
    """A segment that refers to one of the profiles, if any."""
    return next((segment.segment_id for segment in segments if segment.profile_id in profile_ids), None)
