"""Routes of the operator: rules, overrides, segments, configuration, bandit, audit, explain."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from marshmallow import fields

from recsys_engine.contract import answers
from recsys_engine.contract import control_schemas as schemas
from recsys_engine.contract.answers import Json
from recsys_engine.contract.control import REPLAY_REASONS, AuditedDecision, ManualOverride, Rule
from recsys_engine.contract.control_schemas import control_json, parse_audit_query
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.parsing import load, parse_recommend
from recsys_engine.contract.schemas import NamespacedSchema, RecommendSchema
from recsys_engine.http.briefs import BriefSchema, explain
from recsys_engine.http.routes import Call, Route

OK: answers.Done = {"status": "ok"}


class MissingSchema(RecommendSchema):
    """A recommendation request and the item one looks for."""

    item_id = fields.String(required=True)


def list_rules(call: Call) -> answers.Rules:
    """Rules by priority, oldest first; ``active_now=true`` keeps those in force at this moment."""
    engine = call.engine_or_default()
    rules = engine.control.rules()
    if call.query.get("active_now") == "true":
        now = engine.now()
        rules = [rule for rule in rules if rule.enabled and _is_in_force(rule, now)]
    for name in ("surface", "action", "target_type"):
        wanted = call.query.get(name)
        if wanted:
            rules = [rule for rule in rules if getattr(rule, name).casefold() == wanted.casefold()]
    segment_id = call.query.get("segment_id")
    if segment_id:
        rules = [rule for rule in rules if (rule.segment_id or "null") == segment_id]
    enabled = call.query.get("enabled")
    if enabled:
        if enabled not in {"true", "false"}:
            raise ContractError("invalid_enabled", "enabled must be true or false", {"field": "enabled"})
        rules = [rule for rule in rules if rule.enabled == (enabled == "true")]
    return {"rules": [control_json(rule) for rule in rules]}


def _is_in_force(rule: Rule, now: datetime) -> bool:
    return (rule.valid_from is None or rule.valid_from <= now) and (rule.valid_until is None or now < rule.valid_until)


def create_rule(call: Call) -> answers.Rule:
    return control_json(call.engine_or_default().control.create_rule(schemas.parse_rule(call.body)))


def replace_rule(call: Call) -> answers.Rule:
    rule = schemas.parse_rule(call.body)
    return control_json(call.engine_or_default().control.replace_rule(call.path["rule_id"], rule))


def dry_run_rules(call: Call) -> Annotated[Json, answers.RulesTried]:
    body = load(schemas.RuleDryRunSchema, call.body)
    control = call.engine_or_default().control
    return control.dry_run_rules(body["surface"], body.get("segment_id") or None, body["items"])


def list_overrides(call: Call) -> list[answers.ManualOverride]:
    found = call.engine().control.overrides()
    status = call.query.get("status")
    if status and status not in {"active", "cancelled", "expired"}:
        raise ContractError("invalid_status", "status must be active, cancelled or expired", {"field": "status"})
    if call.query.get("include_expired") == "false":
        found = [one for one in found if one.status != "expired"]
    return [control_json(one) for one in found if _wanted(one, call.query, status)]


def _wanted(override: ManualOverride, query: Mapping[str, str], status: str | None) -> bool:
    by_name = all(not query.get(name) or getattr(override, name) == query[name] for name in ("surface", "action"))
    return by_name and (status is None or override.status == status)


def create_override(call: Call) -> answers.ManualOverride:
    return control_json(call.engine().control.create_override(schemas.parse_override(call.body)))


def cancel_override(call: Call) -> answers.ManualOverride:
    who = load(schemas.CancelSchema, call.body).get("cancelled_by") or call.headers.get("X-User-Email") or None
    return control_json(call.engine_or_default().control.cancel_override(call.path["override_id"], who))


def list_profiles(call: Call) -> answers.Profiles:
    found = call.engine_or_default().control.profiles()
    return {"namespace": call.namespace_or_default(), "profiles": [control_json(profile) for profile in found]}


def put_profiles(call: Call) -> answers.Done:
    call.engine_or_default().control.put_profiles(schemas.parse_profiles(call.body))
    return OK


def delete_profiles(call: Call) -> answers.Done:
    call.engine_or_default().control.delete_profiles(_ids(call))
    return OK


def list_segments(call: Call) -> answers.Segments:
    found = call.engine_or_default().control.segments()
    return {"namespace": call.namespace_or_default(), "segments": [control_json(segment) for segment in found]}


def put_segment(call: Call) -> answers.Done:
    segment = call.body.get("segment")
    if isinstance(segment, Mapping) and not segment.get("segment_id"):
        raise ContractError("missing_segment_id", "segment_id is required", {"field": "segment.segment_id"})
    call.engine_or_default().control.put_segment(schemas.parse_segment(call.body))
    return OK


def delete_segments(call: Call) -> answers.Done:
    call.engine_or_default().control.delete_segments(_ids(call))
    return OK


def _ids(call: Call) -> list[str]:
    ids: list[str] = load(schemas.IdsBodySchema, {"ids": [], **call.body})["ids"]
    if not ids:
        raise ContractError("empty_ids", "ids must not be empty", {"field": "ids"})
    return ids


def dry_run_segment(call: Call) -> answers.SegmentMatch:
    body = load(schemas.SegmentDryRunSchema, call.body)
    control = call.engine_or_default().control
    return control_json(control.dry_run_segment(body.get("user_id"), body.get("context") or {}, body.get("traits")))


def get_config(call: Call) -> Annotated[Json, answers.StoredConfig]:
    return _config_json(call, call.engine_or_default().control.config())


def put_config(call: Call) -> Annotated[Json, answers.StoredConfig]:
    if call.body.get("config") is None:
        raise ContractError("missing_config", "config is required", {"field": "config"})
    body = load(schemas.ConfigBodySchema, call.body)
    stored = call.engine_or_default().control.put_config(
        body["config"],
        expected_version=body.get("expected_version"),
        author=body.get("author"),
        notes=body.get("notes"),
    )
    return _config_json(call, stored)


def _config_json(call: Call, config: Any) -> dict[str, Any]:
    found = control_json(config)
    metadata = {name: found[name] for name in ("version", "updated_at", "updated_by", "notes") if name in found}
    source = "api" if config.version else "default"
    return {
        "namespace": call.namespace_or_default(),
        "config": config.config,
        "metadata": {**metadata, "source": source},
    }


def get_presets(call: Call) -> Annotated[Mapping[str, Any], answers.Presets]:
    return call.engine_or_default().control.presets()


def list_decisions(call: Call) -> answers.ServedLists:
    query = {
        name: call.query[name] for name in ("from", "to", "user_hash", "request_id", "surface") if name in call.query
    }
    limit = call.query.get("limit", "")
    body = {**query, "limit": int(limit)} if limit.isascii() and limit.isdigit() and len(limit) < 6 else query
    return {"decisions": [_decision_json(one) for one in call.engine().decisions.find(parse_audit_query(body))]}


def search_decisions(call: Call) -> answers.ServedLists:
    found = call.engine().decisions.find(parse_audit_query(call.body))
    return {"decisions": [_decision_json(one) for one in found]}


def one_decision(call: Call) -> Annotated[Json, answers.ServedListInFull]:
    return _decision_json(call.engine().decisions.one(call.path["decision_id"]))


def replay_decision(call: Call) -> Annotated[Json, answers.Replayed]:
    made = call.engine().replay(call.path["decision_id"])
    explained = {"message": REPLAY_REASONS[made.reason]} if made.reason else {}
    return {**control_json(made), **explained}


def _decision_json(decision: AuditedDecision) -> dict[str, Any]:
    body = control_json(decision)
    details = body.pop("details")
    return {**body, "k": details.get("request", {}).get("k"), "extras": details} if details else body


def explain_missing(call: Call) -> answers.MissingVerdict:
    item_id = load(MissingSchema, call.body)["item_id"]
    return control_json(call.engine_or_default().explain_missing(parse_recommend(call.body), item_id))


CONTROL_ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/admin/rules",
        list_rules,
        "admin",
        "Rules",
        query=("namespace", "surface", "segment_id", "enabled", "active_now", "action", "target_type"),
    ),
    Route("POST", "/v1/admin/rules", create_rule, "admin", "Create a rule", schemas.RuleSchema, 201),
    Route(
        "PUT",
        "/v1/admin/rules/<one:rule_id>",
        replace_rule,
        "admin",
        "Replace a rule",
        schemas.RuleSchema,
        refuses=("rule_not_found",),
    ),
    Route("POST", "/v1/admin/rules/dry-run", dry_run_rules, "admin", "Try the rules", schemas.RuleDryRunSchema),
    Route(
        "GET",
        "/v1/admin/manual_overrides",
        list_overrides,
        "admin",
        "Overrides",
        query=("namespace", "surface", "status", "action", "include_expired"),
    ),
    Route("POST", "/v1/admin/manual_overrides", create_override, "admin", "Create", schemas.OverrideSchema, 201),
    Route(
        "POST",
        "/v1/admin/manual_overrides/<one:override_id>/cancel",
        cancel_override,
        "admin",
        "Cancel an override",
        schemas.CancelSchema,
        refuses=("override_not_found",),
    ),
    Route("GET", "/v1/segment-profiles", list_profiles, "admin", "Profiles", query=("namespace",)),
    Route("POST", "/v1/segment-profiles:upsert", put_profiles, "admin", "Set", schemas.ProfilesBodySchema),
    Route(
        "POST",
        "/v1/segment-profiles:delete",
        delete_profiles,
        "admin",
        "Delete",
        schemas.IdsBodySchema,
        refuses=("foreign_key_violation",),
    ),
    Route("GET", "/v1/segments", list_segments, "admin", "Segments", query=("namespace",)),
    Route(
        "POST",
        "/v1/segments:upsert",
        put_segment,
        "admin",
        "Set a segment",
        schemas.SegmentBodySchema,
        refuses=("foreign_key_violation",),
    ),
    Route("POST", "/v1/segments:delete", delete_segments, "admin", "Delete segments", schemas.IdsBodySchema),
    Route("POST", "/v1/segments:dry-run", dry_run_segment, "admin", "Try", schemas.SegmentDryRunSchema),
    Route("GET", "/v1/admin/recommendation/config", get_config, "admin", "Configuration", query=("namespace",)),
    Route(
        "POST",
        "/v1/admin/recommendation/config",
        put_config,
        "admin",
        "Set",
        schemas.ConfigBodySchema,
        refuses=("version_conflict",),
    ),
    Route("GET", "/v1/admin/recommendation/presets", get_presets, "admin", "Presets", query=("namespace",)),
    Route(
        "GET",
        "/v1/audit/decisions",
        list_decisions,
        "admin",
        "Served lists",
        query=("namespace", "from", "to", "user_hash", "request_id", "limit"),
    ),
    Route(
        "GET",
        "/v1/audit/decisions/<one:decision_id>",
        one_decision,
        "admin",
        "One list",
        query=("namespace",),
        refuses=("decision_not_found",),
    ),
    Route(
        "POST",
        "/v1/audit/decisions/<one:decision_id>:replay",
        replay_decision,
        "admin",
        "Make a list again from the log",
        NamespacedSchema,
        refuses=("decision_not_found",),
    ),
    Route("POST", "/v1/audit/search", search_decisions, "admin", "Search", schemas.AuditSearchSchema),
    Route("POST", "/v1/explain/llm", explain, "admin", "What happened, in words", BriefSchema),
    Route("POST", "/v1/explain/missing", explain_missing, "serve", "Why not this item", MissingSchema),
)
