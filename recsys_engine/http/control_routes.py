"""Routes of the operator: rules, overrides, segments, configuration, bandit, audit, explain."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from marshmallow import fields, validate

from recsys_engine.contract import control_schemas as schemas
from recsys_engine.contract.control import REPLAY_REASONS, AuditedDecision, Decide, ManualOverride, Rule
from recsys_engine.contract.control_schemas import control_json, parse_audit_query
from recsys_engine.contract.encoding import recommendations_json
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.parsing import load, parse_recommend
from recsys_engine.contract.schemas import NamespacedSchema, RecommendSchema, StrictFloat, json_object, words
from recsys_engine.http.briefs import BriefSchema, explain
from recsys_engine.http.routes import ACCEPTED, Call, Route, named

OK = {"status": "ok"}


class MissingSchema(RecommendSchema):
    """A recommendation request and the item one looks for."""

    item_id = fields.String(required=True)


class DecideSchema(NamespacedSchema):
    """A bandit decision."""

    surface = fields.String(required=True, validate=validate.Length(1, 200))
    context = json_object()
    candidate_policy_ids = words(100, allow_none=True)
    algorithm = fields.String(allow_none=True)
    user_id = fields.String(allow_none=True)
    exploration_floor = StrictFloat(allow_none=True)


class RewardSchema(NamespacedSchema):
    """What a decision earned."""

    decision_id = fields.String(required=True, validate=validate.Length(1, 200))
    reward = StrictFloat(required=True)
    source_event_id = fields.String(required=True, validate=validate.Length(1, 200))


class BanditRecommendSchema(RecommendSchema):
    """A recommendation request served by a policy."""

    candidate_policy_ids = words(100, allow_none=True)
    algorithm = fields.String(allow_none=True)
    exploration_floor = StrictFloat(allow_none=True)


def list_rules(call: Call) -> Any:
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


def create_rule(call: Call) -> Any:
    return control_json(call.engine_or_default().control.create_rule(schemas.parse_rule(call.body)))


def replace_rule(call: Call) -> Any:
    rule = schemas.parse_rule(call.body)
    return control_json(call.engine_or_default().control.replace_rule(call.path["rule_id"], rule))


def dry_run_rules(call: Call) -> Any:
    body = load(schemas.RuleDryRunSchema, call.body)
    control = call.engine_or_default().control
    return control.dry_run_rules(body["surface"], body.get("segment_id") or None, body["items"])


def list_overrides(call: Call) -> Any:
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


def create_override(call: Call) -> Any:
    return control_json(call.engine().control.create_override(schemas.parse_override(call.body)))


def cancel_override(call: Call) -> Any:
    who = load(schemas.CancelSchema, call.body).get("cancelled_by") or call.headers.get("X-User-Email") or None
    return control_json(call.engine_or_default().control.cancel_override(call.path["override_id"], who))


def list_profiles(call: Call) -> Any:
    found = call.engine_or_default().control.profiles()
    return {"namespace": call.namespace_or_default(), "profiles": [control_json(profile) for profile in found]}


def put_profiles(call: Call) -> Any:
    call.engine_or_default().control.put_profiles(schemas.parse_profiles(call.body))
    return OK


def delete_profiles(call: Call) -> Any:
    call.engine_or_default().control.delete_profiles(_ids(call))
    return OK


def list_segments(call: Call) -> Any:
    found = call.engine_or_default().control.segments()
    return {"namespace": call.namespace_or_default(), "segments": [control_json(segment) for segment in found]}


def put_segment(call: Call) -> Any:
    segment = call.body.get("segment")
    if isinstance(segment, Mapping) and not segment.get("segment_id"):
        raise ContractError("missing_segment_id", "segment_id is required", {"field": "segment.segment_id"})
    call.engine_or_default().control.put_segment(schemas.parse_segment(call.body))
    return OK


def delete_segments(call: Call) -> Any:
    call.engine_or_default().control.delete_segments(_ids(call))
    return OK


def _ids(call: Call) -> list[str]:
    ids: list[str] = load(schemas.IdsBodySchema, {"ids": [], **call.body})["ids"]
    if not ids:
        raise ContractError("empty_ids", "ids must not be empty", {"field": "ids"})
    return ids


def dry_run_segment(call: Call) -> Any:
    body = load(schemas.SegmentDryRunSchema, call.body)
    control = call.engine_or_default().control
    return control_json(control.dry_run_segment(body.get("user_id"), body.get("context") or {}, body.get("traits")))


def get_config(call: Call) -> Any:
    return _config_json(call, call.engine_or_default().control.config())


def put_config(call: Call) -> Any:
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


def get_presets(call: Call) -> Any:
    return call.engine_or_default().control.presets()


def list_policies(call: Call) -> Any:
    return [control_json(policy) for policy in call.engine().control.policies()]


def put_policies(call: Call) -> Any:
    call.engine().control.put_policies(schemas.parse_policies(call.body))
    return ACCEPTED


def decide(call: Call) -> Any:
    _check_present(call.body, "surface")
    body = load(DecideSchema, call.body)
    ask = Decide(
        body["surface"],
        None if body.get("context") is None else _text_map(body["context"]),
        tuple(body.get("candidate_policy_ids") or ()),
        body.get("algorithm"),
        body.get("user_id") or None,
        body.get("exploration_floor"),
    )
    choice, _ = call.engine().bandit.decide(ask, call.request_id)
    return _choice_json(choice)


def _text_map(context: Mapping[str, Any]) -> dict[str, str]:
    found = dict(context)
    if not all(isinstance(value, str) for value in found.values()):
        raise ContractError("invalid_json_type", "context must hold texts", {"field": "context"})
    return found


def _choice_json(choice: Any) -> dict[str, Any]:
    body = control_json(choice)
    best = body.pop("empirical_best")
    return {**body, "explain": {"surface": choice.surface, "bucket": choice.bucket_key, "emp_best": best}}


def _check_present(body: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if body.get(name) is None or body.get(name) == "":
            raise ContractError("missing_fields", f"{name} is required", {"field": name})


def reward(call: Call) -> Any:
    """``true`` and ``false`` are taken for 1 and 0."""
    _check_present(call.body, "decision_id", "reward", "source_event_id")
    given = call.body["reward"]
    body = load(RewardSchema, {**call.body, "reward": float(given) if isinstance(given, bool) else given})
    is_new = call.engine().bandit.reward(body["decision_id"], body["reward"], body["source_event_id"])
    return {**ACCEPTED, "duplicate": not is_new}


def bandit_recommend(call: Call) -> Any:
    """A list by the policy the bandit draws; non-text context values stay out of the bucket."""
    extra = load(BanditRecommendSchema, call.body)
    request = named(parse_recommend(call.body), call)
    if not call.body.get("surface") and not request.context.extra.get("surface"):
        raise ContractError("missing_fields", "surface is required", {"field": "surface"})
    texts = {name: value for name, value in request.context.extra.items() if isinstance(value, str)}
    bucket = {name: value for name, value in texts.items() if name not in {"surface", "item_id", "session_id"}}
    ask = Decide(
        request.context.surface,
        bucket,
        tuple(extra.get("candidate_policy_ids") or ()),
        extra.get("algorithm"),
        request.user_id,
        extra.get("exploration_floor"),
    )
    answer, choice = call.engine().recommend_by_bandit(request, ask)
    body = recommendations_json(replace(answer, trace=None))
    return {
        **body,
        "decision_id": choice.decision_id,
        "chosen_policy_id": choice.policy_id,
        "algorithm": choice.algorithm,
        "bandit_bucket": choice.bucket_key,
        "explore": choice.explore,
        "propensity": choice.propensity,
        "bandit_explain": {"emp_best": choice.empirical_best},
        "bandit_experiment": choice.experiment,
        "bandit_variant": choice.variant,
    }


def list_decisions(call: Call) -> Any:
    query = {
        name: call.query[name] for name in ("from", "to", "user_hash", "request_id", "surface") if name in call.query
    }
    limit = call.query.get("limit", "")
    body = {**query, "limit": int(limit)} if limit.isascii() and limit.isdigit() and len(limit) < 6 else query
    return {"decisions": [_decision_json(one) for one in call.engine().decisions.find(parse_audit_query(body))]}


def search_decisions(call: Call) -> Any:
    found = call.engine().decisions.find(parse_audit_query(call.body))
    return {"decisions": [_decision_json(one) for one in found]}


def one_decision(call: Call) -> Any:
    return _decision_json(call.engine().decisions.one(call.path["decision_id"]))


def replay_decision(call: Call) -> Any:
    made = call.engine().replay(call.path["decision_id"])
    explained = {"message": REPLAY_REASONS[made.reason]} if made.reason else {}
    return {**control_json(made), **explained}


def _decision_json(decision: AuditedDecision) -> dict[str, Any]:
    body = control_json(decision)
    details = body.pop("details")
    return {**body, "k": details.get("request", {}).get("k"), "extras": details} if details else body


def explain_missing(call: Call) -> Any:
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
    Route("PUT", "/v1/admin/rules/<rule_id>", replace_rule, "admin", "Replace a rule", schemas.RuleSchema),
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
        "/v1/admin/manual_overrides/<override_id>/cancel",
        cancel_override,
        "admin",
        "Cancel an override",
        schemas.CancelSchema,
    ),
    Route("GET", "/v1/segment-profiles", list_profiles, "admin", "Profiles", query=("namespace",)),
    Route("POST", "/v1/segment-profiles:upsert", put_profiles, "admin", "Set", schemas.ProfilesBodySchema),
    Route("POST", "/v1/segment-profiles:delete", delete_profiles, "admin", "Delete", schemas.IdsBodySchema),
    Route("GET", "/v1/segments", list_segments, "admin", "Segments", query=("namespace",)),
    Route("POST", "/v1/segments:upsert", put_segment, "admin", "Set a segment", schemas.SegmentBodySchema),
    Route("POST", "/v1/segments:delete", delete_segments, "admin", "Delete segments", schemas.IdsBodySchema),
    Route("POST", "/v1/segments:dry-run", dry_run_segment, "admin", "Try", schemas.SegmentDryRunSchema),
    Route("GET", "/v1/admin/recommendation/config", get_config, "admin", "Configuration", query=("namespace",)),
    Route("POST", "/v1/admin/recommendation/config", put_config, "admin", "Set", schemas.ConfigBodySchema),
    Route("GET", "/v1/admin/recommendation/presets", get_presets, "admin", "Presets", query=("namespace",)),
    Route("GET", "/v1/bandit/policies", list_policies, "serve", "Policies", query=("namespace",)),
    Route("POST", "/v1/bandit/policies:upsert", put_policies, "admin", "Set", schemas.PoliciesBodySchema),
    Route("POST", "/v1/bandit/decide", decide, "serve", "Choose a policy", DecideSchema),
    Route("POST", "/v1/bandit/reward", reward, "serve", "Report a reward", RewardSchema),
    Route("POST", "/v1/bandit/recommendations", bandit_recommend, "serve", "A list", BanditRecommendSchema),
    Route(
        "GET",
        "/v1/audit/decisions",
        list_decisions,
        "admin",
        "Served lists",
        query=("namespace", "from", "to", "user_hash", "request_id", "limit"),
    ),
    Route("GET", "/v1/audit/decisions/<decision_id>", one_decision, "admin", "One list", query=("namespace",)),
    Route(
        "POST",
        "/v1/audit/decisions/<decision_id>:replay",
        replay_decision,
        "admin",
        "Make a list again from the log",
        NamespacedSchema,
    ),
    Route("POST", "/v1/audit/search", search_decisions, "admin", "Search", schemas.AuditSearchSchema),
    Route("POST", "/v1/explain/llm", explain, "admin", "What happened, in words", BriefSchema),
    Route("POST", "/v1/explain/missing", explain_missing, "serve", "Why not this item", MissingSchema),
)
