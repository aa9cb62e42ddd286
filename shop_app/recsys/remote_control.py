"""The operator's side of the gateway over HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote

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
from recsys_engine.contract.control_decoding import control_from, segment_from
from recsys_engine.contract.control_schemas import control_json
from recsys_engine.contract.decoding import recommendations_from
from recsys_engine.contract.encoding import moment_text, request_json
from shop_app.recsys import base_server
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.recsys.wire import Wire

Json = dict[str, Any]
RULES = "/v1/admin/rules"
OVERRIDES = "/v1/admin/manual_overrides"
CONFIG = "/v1/admin/recommendation/config"


@contextmanager
def readable() -> Iterator[None]:
    """A 2xx answer that is not of the contract means the other side is broken, not that we are wrong."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecsysUnavailable(f"unreadable answer: {error!r}") from error


class RemoteControl:
    """``RecsysControl`` over HTTP."""

    def __init__(self, wire: Wire, namespace: str, *, is_base: bool = False) -> None:
        self._wire = wire
        self._namespace = namespace
        self._is_base = is_base

    def rules(self) -> list[Rule]:
        answer = self._get(RULES)
        with readable():
            return [control_from(Rule, body) for body in answer["rules"]]

    def create_rule(self, rule: Rule) -> Rule:
        answer = self._send("POST", RULES, control_json(rule), is_repeatable=False)
        with readable():
            return control_from(Rule, answer)

    def replace_rule(self, rule_id: str, rule: Rule) -> Rule:
        answer = self._send("PUT", f"{RULES}/{quote(rule_id, safe='')}", control_json(rule))
        with readable():
            return control_from(Rule, answer)

    def dry_run_rules(self, surface: str, segment_id: str | None, item_ids: Sequence[str]) -> Json:
        body = {"surface": surface, "segment_id": segment_id, "items": list(item_ids)}
        answer: Json = self._send("POST", f"{RULES}/dry-run", body)
        return answer

    def overrides(self) -> list[ManualOverride]:
        answer = self._get(OVERRIDES)
        with readable():
            return [control_from(ManualOverride, body) for body in answer]

    def create_override(self, override: ManualOverride) -> ManualOverride:
        answer = self._send("POST", OVERRIDES, control_json(override), is_repeatable=False, is_500_final=self._is_base)
        with readable():
            return control_from(ManualOverride, answer)

    def cancel_override(self, override_id: str, cancelled_by: str | None) -> ManualOverride:
        path = f"{OVERRIDES}/{quote(override_id, safe='')}/cancel"
        answer = self._send("POST", path, {"cancelled_by": cancelled_by})
        with readable():
            return control_from(ManualOverride, answer)

    def profiles(self) -> list[SegmentProfile]:
        answer = self._get("/v1/segment-profiles")
        with readable():
            return [control_from(SegmentProfile, body) for body in answer["profiles"]]

    def put_profiles(self, profiles: Sequence[SegmentProfile]) -> None:
        if self._is_base:
            profiles = [base_server.whole_profile(profile) for profile in profiles]
        self._send("POST", "/v1/segment-profiles:upsert", {"profiles": [control_json(one) for one in profiles]})

    def delete_profiles(self, ids: Sequence[str]) -> None:
        self._send("POST", "/v1/segment-profiles:delete", {"ids": list(ids)})

    def segments(self) -> list[Segment]:
        answer = self._get("/v1/segments")
        with readable():
            return [segment_from(body) for body in answer["segments"]]

    def put_segment(self, segment: Segment) -> None:
        self._send("POST", "/v1/segments:upsert", {"segment": control_json(segment)})

    def delete_segments(self, ids: Sequence[str]) -> None:
        self._send("POST", "/v1/segments:delete", {"ids": list(ids)})

    def dry_run_segment(
        self, user_id: str | None, context: Mapping[str, Any], traits: Mapping[str, Any] | None
    ) -> SegmentMatch:
        body = {"user_id": user_id, "context": dict(context), "traits": traits}
        answer = self._send("POST", "/v1/segments:dry-run", body)
        with readable():
            return control_from(SegmentMatch, answer)

    def config(self) -> NamespaceConfig:
        return _config(self._get(CONFIG))

    def put_config(
        self,
        config: Mapping[str, Any],
        *,
        expected_version: int | None = None,
        author: str | None = None,
        notes: str | None = None,
    ) -> NamespaceConfig:
        if self._is_base:
            base_server.refuse("has one configuration for all its tenants")
        body = {"config": dict(config), "expected_version": expected_version, "author": author, "notes": notes}
        return _config(self._send("POST", CONFIG, body, is_repeatable=expected_version is None))

    def presets(self) -> dict[str, dict[str, float]]:
        answer: dict[str, dict[str, float]] = self._get("/v1/admin/recommendation/presets")
        return answer

    def policies(self) -> list[Policy]:
        answer = self._get("/v1/bandit/policies")
        with readable():
            return [control_from(Policy, body) for body in answer]

    def put_policies(self, policies: Sequence[Policy]) -> None:
        if self._is_base:
            policies = [base_server.whole_policy(policy) for policy in policies]
        self._send("POST", "/v1/bandit/policies:upsert", {"policies": [control_json(one) for one in policies]})

    def decide(self, ask: Decide) -> PolicyChoice:
        if self._is_base:
            base_server.refuse("tells neither a decision nor its propensity")
        body = {
            "surface": ask.surface,
            "context": dict(ask.context or {}),
            "candidate_policy_ids": list(ask.candidate_policy_ids),
            "algorithm": ask.algorithm,
            "user_id": ask.user_id,
        }
        answer = self._send("POST", "/v1/bandit/decide", body, is_repeatable=False)
        with readable():
            return control_from(PolicyChoice, {**answer, "empirical_best": answer["explain"]["emp_best"]})

    def recommend_by_policy(
        self, request: RecommendRequest, policy_ids: Sequence[str], *, exploration_floor: float | None = None
    ) -> tuple[Recommendations, PolicyChoice]:
        drawn = {"candidate_policy_ids": list(policy_ids), "exploration_floor": exploration_floor}
        body = {**request_json(request), **drawn}
        answer = self._send("POST", "/v1/bandit/recommendations", body, is_repeatable=False)
        with readable():
            choice = PolicyChoice(
                decision_id=answer["decision_id"],
                policy_id=answer["chosen_policy_id"],
                algorithm=answer["algorithm"],
                surface=request.context.surface,
                bucket_key=answer["bandit_bucket"],
                propensity=answer["propensity"],
                explore=answer["explore"],
                empirical_best=answer["bandit_explain"]["emp_best"],
                experiment=answer.get("bandit_experiment"),
                variant=answer.get("bandit_variant"),
            )
            return recommendations_from(answer, choice.decision_id), choice

    def reward(self, decision_id: str, reward: float, source_event_id: str) -> bool:
        if self._is_base:
            base_server.refuse("knows no decisions to reward")
        body = {"decision_id": decision_id, "reward": reward, "source_event_id": source_event_id}
        answer = self._send("POST", "/v1/bandit/reward", body)
        with readable():
            return not answer["duplicate"]

    def find_decisions(self, query: AuditQuery) -> list[AuditedDecision]:
        body: Json = {"limit": query.limit}
        for name in ("user_hash", "request_id", "surface"):
            body[name] = getattr(query, name)
        body["from"] = moment_text(query.from_) if query.from_ else None
        body["to"] = moment_text(query.to) if query.to else None
        answer = self._send("POST", "/v1/audit/search", body)
        with readable():
            return [_decision(one) for one in answer["decisions"]]

    def decision(self, decision_id: str) -> AuditedDecision:
        path = f"/v1/audit/decisions/{quote(decision_id, safe='')}"
        answer = self._get(path, is_500_final=self._is_base)
        with readable():
            return _decision(answer)

    def replay(self, decision_id: str) -> Replay:
        answer = self._send("POST", f"/v1/audit/decisions/{quote(decision_id, safe='')}:replay", {})
        with readable():
            items = tuple(answer.get("items", ()))
            return Replay(answer["decision_id"], answer["status"], answer.get("reason"), items)

    def explain_missing(self, request: RecommendRequest, item_id: str) -> MissingVerdict:
        if self._is_base:
            base_server.refuse("does not explain what is missing")
        answer = self._send("POST", "/v1/explain/missing", {**request_json(request), "item_id": item_id})
        with readable():
            return control_from(MissingVerdict, answer)

    def _get(self, path: str, *, is_500_final: bool = False) -> Any:
        return self._wire.call("GET", path, query={"namespace": self._namespace}, is_500_final=is_500_final).body

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        is_repeatable: bool = True,
        is_500_final: bool = False,
    ) -> Any:
        given = {name: value for name, value in body.items() if value is not None}
        whole = {"namespace": self._namespace, **given}
        return self._wire.call(method, path, body=whole, is_repeatable=is_repeatable, is_500_final=is_500_final).body


def _config(answer: Any) -> NamespaceConfig:
    with readable():
        return control_from(NamespaceConfig, {"config": answer["config"], **answer["metadata"]})


def _decision(body: Mapping[str, Any]) -> AuditedDecision:
    """The base server leaves out what it does not know and sends null for an empty list."""
    blank = {"request_id": "", "surface": "", "user_hash": None}
    given = {"final_items": body.get("final_items") or [], "details": body.get("extras") or {}}
    found = control_from(AuditedDecision, {**blank, **body, **given, "user_hash": body.get("user_hash") or ""})
    return replace(found, user_hash=found.user_hash or None)
