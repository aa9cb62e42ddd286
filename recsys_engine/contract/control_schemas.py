"""Schemas and readers of the operator's bodies."""

from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import datetime
from typing import Any

from marshmallow import fields, validate

from recsys_engine.contract.control import (
    AuditQuery,
    ManualOverride,
    Policy,
    Rule,
    Segment,
    SegmentProfile,
    SegmentRule,
)
from recsys_engine.contract.encoding import moment_text
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.limits import MAX_ID_CHARS, MAX_TEXT_CHARS
from recsys_engine.contract.parsing import load, parse_moment
from recsys_engine.contract.schemas import BaseSchema, NamespacedSchema, StrictBool, StrictFloat, json_object, words

ACTIONS = ("BLOCK", "PIN", "BOOST")
TARGETS = ("ITEM", "TAG", "BRAND", "CATEGORY")
MAX_RULE_ITEMS = 500
# Knobs a profile, a policy or the configuration may hold, with their inclusive range (None = true/false).
KNOB_RANGES: Mapping[str, tuple[float, float] | None] = {
    "blend_alpha": (0, 1000),
    "blend_beta": (0, 1000),
    "blend_gamma": (0, 1000),
    "mmr_lambda": (0, 1),
    "brand_cap": (0, 200),
    "category_cap": (0, 200),
    "min_brands": (0, 50),
    "profile_boost": (0, 100),
    "profile_window_days": (0.01, 3650),
    "profile_top_n": (0, 1000),
    "profile_top_n_tags": (0, 1000),
    "profile_min_events_for_boost": (0, 1000),
    "profile_cold_start_multiplier": (0, 1),
    "profile_starter_blend_weight": (0, 1),
    "half_life_days": (0.01, 3650),
    "co_vis_window_days": (0.01, 3650),
    "purchased_window_days": (0, 3650),
    "popularity_fanout": (1, 10_000),
    "exploration_rate": (0, 1),
    "rule_exclude_events": None,
    "rules_enabled": None,
}


def _name(**kwargs: Any) -> fields.String:
    return fields.String(validate=validate.Length(1, MAX_ID_CHARS), **kwargs)


def _note() -> fields.String:
    return fields.String(allow_none=True, validate=validate.Length(max=MAX_TEXT_CHARS))


class RuleSchema(NamespacedSchema):
    """A merchandising rule."""

    surface = _name(required=True)
    name = _name(required=True)
    description = _note()
    action = fields.String(required=True)
    target_type = fields.String(required=True)
    target_key = fields.String(allow_none=True, validate=validate.Length(max=MAX_ID_CHARS))
    item_ids = words(MAX_RULE_ITEMS, allow_none=True)
    boost_value = StrictFloat(allow_none=True, validate=validate.Range(-1, 1000))
    max_pins = fields.Integer(strict=True, allow_none=True, validate=validate.Range(1, 200))
    segment_id = fields.String(allow_none=True, validate=validate.Length(max=MAX_ID_CHARS))
    priority = fields.Integer(strict=True, allow_none=True, validate=validate.Range(-1_000_000, 1_000_000))
    enabled = StrictBool(allow_none=True)
    valid_from = fields.String(allow_none=True)
    valid_until = fields.String(allow_none=True)


class OverrideSchema(NamespacedSchema):
    """A manual override."""

    surface = fields.String(allow_none=True, validate=validate.Length(max=MAX_ID_CHARS))
    item_id = _name(required=True)
    action = fields.String(required=True)
    boost_value = StrictFloat(allow_none=True, validate=validate.Range(0, 1000, min_inclusive=False))
    notes = _note()
    created_by = fields.String(allow_none=True, validate=validate.Length(max=MAX_ID_CHARS))
    expires_at = fields.String(allow_none=True)
    priority = fields.Integer(strict=True, allow_none=True, validate=validate.Range(-1_000_000, 1_000_000))


class CancelSchema(NamespacedSchema):
    cancelled_by = fields.String(allow_none=True, validate=validate.Length(max=MAX_ID_CHARS))


class SegmentRuleSchema(BaseSchema):
    rule_id = fields.String(allow_none=True, validate=validate.Length(max=MAX_ID_CHARS))
    rule = fields.Dict(required=True)
    enabled = StrictBool(load_default=True)
    description = _note()


class SegmentSchema(BaseSchema):
    segment_id = _name(required=True)
    name = _name(required=True)
    profile_id = _name(required=True)
    priority = fields.Integer(strict=True, load_default=0, validate=validate.Range(-1_000_000, 1_000_000))
    active = StrictBool(load_default=False)
    description = _note()
    rules = fields.List(fields.Nested(SegmentRuleSchema), load_default=list, validate=validate.Length(max=100))


class SegmentBodySchema(NamespacedSchema):
    segment = fields.Nested(SegmentSchema, required=True)


class ProfilesBodySchema(NamespacedSchema):
    profiles = fields.List(fields.Dict(), required=True, validate=validate.Length(max=100))


class PoliciesBodySchema(NamespacedSchema):
    policies = fields.List(fields.Dict(), required=True, validate=validate.Length(max=100))


class IdsBodySchema(NamespacedSchema):
    ids = fields.List(_name(), required=True, validate=validate.Length(max=1000))


class SegmentDryRunSchema(NamespacedSchema):
    user_id = fields.String(allow_none=True)
    context = json_object()
    traits = json_object()


class RuleDryRunSchema(NamespacedSchema):
    surface = _name(required=True)
    segment_id = fields.String(allow_none=True)
    items = words(1000, required=True)


class ConfigBodySchema(NamespacedSchema):
    config = fields.Dict(required=True)
    author = fields.String(allow_none=True, validate=validate.Length(max=MAX_ID_CHARS))
    notes = _note()
    expected_version = fields.Integer(strict=True, allow_none=True)


class AuditSearchSchema(NamespacedSchema):
    from_ = fields.String(allow_none=True, data_key="from")
    to = fields.String(allow_none=True)
    user_hash = fields.String(allow_none=True)
    request_id = fields.String(allow_none=True)
    surface = fields.String(allow_none=True)
    limit = fields.Integer(strict=True, allow_none=True)


def parse_rule(body: Mapping[str, Any]) -> Rule:
    """A rule; raises ``invalid_rule``, ``invalid_action``, ``invalid_target_type`` or ``invalid_surface``."""
    values = load(RuleSchema, body)
    rule = Rule(
        surface=values["surface"],
        name=values["name"],
        action=values["action"].upper(),
        target_type=values["target_type"].upper(),
        target_key=values.get("target_key") or "",
        item_ids=tuple(values.get("item_ids") or ()),
        boost_value=values.get("boost_value"),
        max_pins=values.get("max_pins"),
        segment_id=values.get("segment_id") or None,
        priority=values.get("priority") or 0,
        enabled=values.get("enabled") is not False,
        valid_from=parse_moment(values.get("valid_from"), "invalid_rule", "valid_from"),
        valid_until=parse_moment(values.get("valid_until"), "invalid_rule", "valid_until"),
        description=values.get("description"),
    )
    check_rule(rule)
    return rule


def check_rule(rule: Rule) -> None:
    """Raise ``ContractError`` for a rule that makes no sense."""
    if rule.action not in ACTIONS:
        raise ContractError("invalid_action", f"action must be one of {', '.join(ACTIONS)}", {"field": "action"})
    if rule.target_type not in TARGETS:
        message = f"target_type must be one of {', '.join(TARGETS)}"
        raise ContractError("invalid_target_type", message, {"field": "target_type"})
    problem = ""
    if rule.target_type == "ITEM" and not rule.item_ids:
        problem = "item_ids are required for ITEM rules"
    elif rule.target_type != "ITEM" and not rule.target_key:
        problem = "target_key is required for TAG, BRAND and CATEGORY rules"
    elif rule.action == "PIN" and not rule.item_ids:
        problem = "item_ids are required for PIN rules"
    elif rule.action == "BOOST" and not rule.boost_value:
        problem = "boost_value must not be zero"
    elif rule.action != "BOOST" and rule.boost_value is not None:
        problem = "boost_value is for BOOST rules only"
    elif rule.action != "PIN" and rule.max_pins is not None:
        problem = "max_pins is for PIN rules only"
    elif rule.valid_from and rule.valid_until and rule.valid_until <= rule.valid_from:
        problem = "valid_until must lie after valid_from"
    if problem:
        raise ContractError("invalid_rule", problem, {"field": problem.split(maxsplit=1)[0]})


def parse_override(body: Mapping[str, Any]) -> ManualOverride:
    """A manual override; raises ``invalid_action`` or ``invalid_expires_at``."""
    values = load(OverrideSchema, body)
    action = values["action"].lower()
    override = ManualOverride(
        item_id=values["item_id"],
        action=action,
        surface=values.get("surface") or "default",
        boost_value=(values.get("boost_value") or 1.0) if action == "boost" else None,
        notes=values.get("notes"),
        created_by=values.get("created_by"),
        expires_at=parse_moment(values.get("expires_at"), "invalid_expires_at", "expires_at"),
        priority=1000 if values.get("priority") is None else values["priority"],
    )
    check_override(override)
    return override


def check_override(override: ManualOverride) -> None:
    """Raise ``ContractError`` for an override that makes no sense."""
    if override.action not in {"boost", "suppress"}:
        raise ContractError("invalid_action", "action must be boost or suppress", {"field": "action"})
    if override.action == "boost" and not 0 < (override.boost_value or 0) <= 1000:
        raise ContractError("invalid_boost", "boost_value must be above 0", {"field": "boost_value"})


def parse_segment(body: Mapping[str, Any]) -> Segment:
    """A segment with its rules."""
    values = load(SegmentBodySchema, body)["segment"]
    rules = tuple(SegmentRule(**one) for one in values.pop("rules"))
    return Segment(rules=rules, **values)


def parse_profiles(body: Mapping[str, Any]) -> list[SegmentProfile]:
    """Segment profiles; knobs stand beside ``profile_id``."""
    found = load(ProfilesBodySchema, body)["profiles"]
    if not found:
        raise ContractError("empty_profiles", "profiles must not be empty", {"field": "profiles"})
    return [
        SegmentProfile(_text_id(one, "profile_id", "missing_profile_id"), knobs_from(one), _text(one, "description"))
        for one in found
    ]


def parse_policies(body: Mapping[str, Any]) -> list[Policy]:
    """Bandit policies; knobs stand beside ``policy_id``."""
    return [
        Policy(
            _text_id(one, "policy_id", "missing_fields"),
            _text(one, "name") or one["policy_id"],
            one.get("active") is True,
            knobs_from(one),
            _text(one, "notes"),
        )
        for one in load(PoliciesBodySchema, body)["policies"]
    ]


def knobs_from(values: Mapping[str, Any]) -> dict[str, Any]:
    """The known knobs of a body, checked; unknown names are ignored. Raises ``invalid_config`` naming the knob."""
    knobs: dict[str, Any] = {}
    for name, bounds in KNOB_RANGES.items():
        value = values.get(name)
        if value is None:
            continue
        if bounds is None:
            is_good = isinstance(value, bool)
        else:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            is_good = is_number and bounds[0] <= value <= bounds[1]
        if not is_good:
            details = {"field": name} if bounds is None else {"field": name, "min": bounds[0], "max": bounds[1]}
            raise ContractError("invalid_config", f"{name} is out of range", details)
        knobs[name] = value
    return knobs


def parse_audit_query(body: Mapping[str, Any]) -> AuditQuery:
    """Audit filters; a limit out of 1-500 counts as 50."""
    values = load(AuditSearchSchema, body)
    limit = values.get("limit") or 50
    return AuditQuery(
        parse_moment(values.get("from_"), "invalid_from", "from"),
        parse_moment(values.get("to"), "invalid_to", "to"),
        values.get("user_hash") or None,
        values.get("request_id") or None,
        values.get("surface") or None,
        limit if 1 <= limit <= 500 else 50,
    )


def control_json(value: Any) -> dict[str, Any]:
    """A control dataclass as JSON: absent values stay away, moments are RFC 3339, knobs stand beside the names."""
    body: dict[str, Any] = {}
    for field in dataclass_fields(value):
        found = getattr(value, field.name)
        if field.name == "knobs":
            body.update(found)
        elif found is not None:
            body[field.name.rstrip("_")] = _plain(found)
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, tuple):
        return [control_json(one) if is_dataclass(one) else _plain(one) for one in value]
    return value


def _text_id(body: Mapping[str, Any], name: str, code: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS:
        raise ContractError(code, f"{name} is required", {"field": name})
    return value


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise ContractError("invalid_json_type", f"{name} must be text", {"field": name})
    return value
