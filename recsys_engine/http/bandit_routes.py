"""Routes of the bandit: its policies, what it decides, what it earned."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from marshmallow import fields, validate

from recsys_engine.contract import answers
from recsys_engine.contract.answers import Json
from recsys_engine.contract.control import Decide
from recsys_engine.contract.control_schemas import PoliciesBodySchema, control_json, parse_policies
from recsys_engine.contract.encoding import recommendations_json
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.parsing import load, parse_recommend
from recsys_engine.contract.schemas import NamespacedSchema, RecommendSchema, StrictFloat, json_object, words
from recsys_engine.http.routes import ACCEPTED, Call, Route, named


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


def list_policies(call: Call) -> list[answers.Policy]:
    return [control_json(policy) for policy in call.engine().control.policies()]


def put_policies(call: Call) -> answers.Accepted:
    call.engine().control.put_policies(parse_policies(call.body))
    return ACCEPTED


def decide(call: Call) -> Annotated[Json, answers.BanditChoice]:
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


def reward(call: Call) -> answers.Rewarded:
    """``true`` and ``false`` are taken for 1 and 0."""
    _check_present(call.body, "decision_id", "reward", "source_event_id")
    given = call.body["reward"]
    body = load(RewardSchema, {**call.body, "reward": float(given) if isinstance(given, bool) else given})
    is_new = call.engine().bandit.reward(body["decision_id"], body["reward"], body["source_event_id"])
    return {"status": "accepted", "duplicate": not is_new}


def bandit_recommend(call: Call) -> Annotated[Json, answers.BanditList]:
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


BANDIT_ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/bandit/policies", list_policies, "serve", "Policies", query=("namespace",)),
    Route("POST", "/v1/bandit/policies:upsert", put_policies, "admin", "Set", PoliciesBodySchema),
    Route("POST", "/v1/bandit/decide", decide, "serve", "Choose a policy", DecideSchema, refuses=("policy_not_found",)),
    Route(
        "POST",
        "/v1/bandit/reward",
        reward,
        "serve",
        "Report a reward",
        RewardSchema,
        refuses=("decision_not_found", "id_conflict"),
    ),
    Route(
        "POST",
        "/v1/bandit/recommendations",
        bandit_recommend,
        "serve",
        "A list",
        BanditRecommendSchema,
        refuses=("policy_not_found",),
    ),
)
