"""The operator's verbs: rules, overrides, segments, profiles, policies, configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy import Connection

from recsys_engine.contract import control_schemas as schemas
from recsys_engine.contract.control import (
    ManualOverride,
    NamespaceConfig,
    Policy,
    Rule,
    Segment,
    SegmentMatch,
    SegmentProfile,
)
from recsys_engine.contract.control_schemas import control_json
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.requests import Context, RecommendRequest
from recsys_engine.service.merchandising import active_rules, effects_of
from recsys_engine.service.recipes import RECIPES
from recsys_engine.service.segments import check_rule
from recsys_engine.service.settings import StoredSettings
from recsys_engine.service.steering import (
    CONFIG,
    CONFIG_KEY,
    OVERRIDE,
    POLICY,
    PROFILE,
    RULE,
    SEGMENT,
    Steering,
    segment_uses,
)
from recsys_engine.signals.state import LiveState
from recsys_engine.store.documents import delete_documents, put_document
from recsys_engine.store.ingest import to_us
from recsys_engine.store.pages import from_us


class Ground(Protocol):
    """What the operator's verbs need of the engine."""

    def settings_now(self) -> StoredSettings:
        """The settings as stored."""

    def change_settings(self, change: Any) -> None:
        """Run ``change(connection, tenant)`` in one transaction that every replica will notice."""

    def live_state(self) -> LiveState:
        """The live state."""

    def now(self) -> datetime:
        """The engine's clock."""


class Control:
    """Writes settings documents; every write is one transaction and bumps the version every replica follows."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    # -- merchandising rules ---------------------------------------------------------------------------------------

    def rules(self) -> list[Rule]:
        """All rules, by priority (highest first), oldest first."""
        return sorted(self._steering().rules, key=lambda rule: (-rule.priority, str(rule.created_at)))

    def create_rule(self, rule: Rule) -> Rule:
        """Store a new rule under a new id."""
        schemas.check_rule(rule)
        now = self._ground.now()
        made = replace(rule, rule_id=str(uuid4()), created_at=now, updated_at=now)
        self._put(RULE, made.rule_id or "", control_json(made))
        return made

    def replace_rule(self, rule_id: str, rule: Rule) -> Rule:
        """Replace a rule whole; raises ``rule_not_found``."""
        schemas.check_rule(rule)
        stored = next((known for known in self._steering().rules if known.rule_id == rule_id), None)
        if stored is None:
            raise ContractError("rule_not_found", "no such rule", {"rule_id": rule_id[:200]})
        made = replace(rule, rule_id=rule_id, created_at=stored.created_at, updated_at=self._ground.now())
        self._put(RULE, rule_id, control_json(made))
        return made

    def dry_run_rules(self, surface: str, segment_id: str | None, item_ids: Sequence[str]) -> dict[str, Any]:
        """What the active rules would do to some items, without serving anything."""
        catalog = self._ground.live_state().catalog
        steering = self._steering()
        rules = active_rules(steering.rules, surface, segment_id, self._ground.now())
        effects = effects_of(rules, catalog)
        index = {item_id: catalog.index.get(item_id, -1) for item_id in item_ids}
        pinned = {item for item, _ in effects.pins}
        per_item = {
            item_id: {
                "blocked": item in effects.blocked,
                "pinned": item in pinned,
                "boost_delta": effects.boosts.get(item, (0.0, ()))[0],
            }
            for item_id, item in index.items()
        }
        matched = [rule for rule in rules if set(effects_of([rule], catalog).items()) & set(index.values())]
        return {
            "rules_evaluated": [rule.rule_id for rule in rules],
            "rules_matched": [_match_json(rule) for rule in matched],
            "rule_effects_per_item": per_item,
            "pinned_items": [
                {"item_id": catalog.shelf().ids[item], "rule_ids": [rule_id], "from_candidates": item in index.values()}
                for item, rule_id in effects.pins
            ],
        }

    # -- manual overrides ------------------------------------------------------------------------------------------

    def overrides(self) -> list[ManualOverride]:
        """All manual overrides, newest first; a past ``expires_at`` shows as expired."""
        now = self._ground.now()
        found = [_as_of(override, now) for override in self._steering().overrides]
        return sorted(found, key=lambda override: str(override.created_at), reverse=True)

    def create_override(self, override: ManualOverride) -> ManualOverride:
        """Store a manual override."""
        schemas.check_override(override)
        ids = {"override_id": str(uuid4()), "rule_id": str(uuid4())}
        made = replace(override, **ids, status="active", created_at=self._ground.now())  # type: ignore[arg-type]
        self._put(OVERRIDE, made.override_id or "", control_json(made))
        return made

    def cancel_override(self, override_id: str, cancelled_by: str | None) -> ManualOverride:
        """End an active override; raises ``override_not_found``."""
        stored = next((known for known in self.overrides() if known.override_id == override_id), None)
        if stored is None or stored.status != "active":
            raise ContractError("override_not_found", "no such active override", {"override_id": override_id[:200]})
        made = replace(stored, status="cancelled", cancelled_at=self._ground.now(), cancelled_by=cancelled_by)
        self._put(OVERRIDE, override_id, control_json(made))
        return made

    # -- segments and profiles -------------------------------------------------------------------------------------

    def profiles(self) -> list[SegmentProfile]:
        """All segment profiles by id."""
        return list(self._steering().profiles.values())

    def put_profiles(self, profiles: Sequence[SegmentProfile]) -> None:
        """Store profiles, each replaced whole."""
        for profile in profiles:
            schemas.knobs_from(profile.knobs)
        self._put_many(PROFILE, {profile.profile_id: control_json(profile) for profile in profiles})

    def delete_profiles(self, ids: Sequence[str]) -> None:
        """Delete profiles; raises ``foreign_key_violation`` while a segment uses one."""
        user = segment_uses(self._steering().segments, list(ids))
        if user is not None:
            raise ContractError("foreign_key_violation", "a segment uses this profile", {"segment_id": user})
        self._delete(PROFILE, ids)

    def segments(self) -> list[Segment]:
        """All segments by id."""
        return self._steering().segments

    def put_segment(self, segment: Segment) -> None:
        """Store a segment whole; its profile must exist and its rules must be understood."""
        if segment.profile_id not in self._steering().profiles:
            raise ContractError("foreign_key_violation", "no such profile", {"profile_id": segment.profile_id})
        for rule in segment.rules:
            check_rule(rule.rule)
        rules = tuple(replace(rule, rule_id=rule.rule_id or str(uuid4())) for rule in segment.rules)
        self._put(SEGMENT, segment.segment_id, control_json(replace(segment, rules=rules)))

    def delete_segments(self, ids: Sequence[str]) -> None:
        """Delete segments."""
        self._delete(SEGMENT, ids)

    def dry_run_segment(
        self, user_id: str | None, context: Mapping[str, Any], traits: Mapping[str, Any] | None
    ) -> SegmentMatch:
        """Which segment a shopper would fall into; given traits stand in for the stored ones."""
        if traits is None:
            traits = dict(self._ground.live_state().traits.get(user_id or "", {}))
        surface = context.get("surface")
        request = RecommendRequest(
            user_id, context=Context(surface if isinstance(surface, str) and surface else "default", extra=context)
        )
        return self._steering().segment_of(request, traits, self._ground.now())

    # -- bandit policies -------------------------------------------------------------------------------------------

    def policies(self) -> list[Policy]:
        """All policies, active first, then by id."""
        return sorted(self._steering().policies.values(), key=lambda policy: (not policy.active, policy.policy_id))

    def put_policies(self, policies: Sequence[Policy]) -> None:
        """Store policies, each replaced whole."""
        for policy in policies:
            schemas.knobs_from(policy.knobs)
        self._put_many(POLICY, {policy.policy_id: control_json(policy) for policy in policies})

    # -- configuration ---------------------------------------------------------------------------------------------

    def config(self) -> NamespaceConfig:
        """The namespace's own knobs and their version (0 = never set)."""
        document = self._ground.settings_now().of_kind(CONFIG).get(CONFIG_KEY)
        if document is None:
            return NamespaceConfig({})
        body = document.body
        return NamespaceConfig(
            body["config"], document.version, from_us(document.updated_us), body.get("author"), body.get("notes")
        )

    def put_config(
        self,
        config: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        author: str | None = None,
        notes: str | None = None,
    ) -> NamespaceConfig:
        """Replace the namespace's knobs; ``version_conflict`` when somebody else was faster."""
        checked: dict[str, Any] = schemas.knobs_from(config)
        surfaces = config.get("surface_profiles")
        if surfaces is not None and not isinstance(surfaces, Mapping):
            raise ContractError("invalid_config", "surface_profiles must be an object", {"field": "surface_profiles"})
        checked["surface_profiles"] = {
            str(surface): schemas.knobs_from(knobs)
            for surface, knobs in (surfaces or {}).items()
            if isinstance(knobs, Mapping)
        }
        body = {"config": checked, "author": author, "notes": notes}
        self._put(CONFIG, CONFIG_KEY, body, expected_version=expected_version, author=author)
        return self.config()

    def presets(self) -> dict[str, dict[str, float]]:
        """The diversity each recipe uses by default."""
        return {"mmr_presets": {surface: settings.mmr_lambda for surface, settings in RECIPES.items()}}

    # -- inside ----------------------------------------------------------------------------------------------------

    def _steering(self) -> Steering:
        return Steering(self._ground.settings_now())

    def _put(
        self,
        kind: str,
        key: str,
        body: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        author: str | None = None,
    ) -> None:
        now_us = to_us(self._ground.now())

        def change(connection: Connection, tenant: int) -> None:
            put_document(
                connection, tenant, (kind, key), body, now_us, expected_version=expected_version, author=author
            )

        self._ground.change_settings(change)

    def _put_many(self, kind: str, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        now_us = to_us(self._ground.now())

        def change(connection: Connection, tenant: int) -> None:
            for key, body in bodies.items():
                put_document(connection, tenant, (kind, key), body, now_us)

        self._ground.change_settings(change)

    def _delete(self, kind: str, ids: Sequence[str]) -> None:
        def change(connection: Connection, tenant: int) -> None:
            delete_documents(connection, tenant, kind, list(ids))

        self._ground.change_settings(change)


def _match_json(rule: Rule) -> dict[str, Any]:
    return {
        "rule_id": rule.rule_id,
        "action": rule.action,
        "target_type": rule.target_type,
        "item_ids": list(rule.item_ids),
    }


def _as_of(override: ManualOverride, now: datetime) -> ManualOverride:
    is_over = override.status == "active" and override.expires_at is not None and override.expires_at <= now
    return replace(override, status="expired") if is_over else override
