"""The ``policy_*`` counters of the contract, from the lists that leave."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from recsys_engine.http.metrics import Metrics

LISTS = frozenset({"/v1/recommendations", "/v1/rerank", "/v1/bandit/recommendations"})
_RULE_ACTIONS = (
    ("rule_block_count", "block"),
    ("rule_pin_count", "pin"),
    ("rule_boost_count", "boost"),
)


def count_list(metrics: Metrics, body: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Count one served list; ``answer`` is the body that leaves."""
    context = body.get("context") if isinstance(body.get("context"), Mapping) else {}
    assert isinstance(context, Mapping)
    where = {
        "namespace": str(body.get("namespace") or "default"),
        "surface": str(context.get("surface") or body.get("surface") or "default"),
    }
    count = partial(_count, metrics, where)
    count("policy_response_items_total", len(answer["items"]))
    metrics.count_each("policy_item_served_total", "item_id", (item["item_id"] for item in answer["items"]), **where)
    policy = ((answer.get("trace") or {}).get("extras") or {}).get("policy") or {}
    count("policy_constraint_leak_total", policy.get("constraint_leak_count", 0))
    for name, action in _RULE_ACTIONS:
        if policy.get(name):
            count("policy_rule_actions_total", policy[name], action=action)
    if policy.get("rule_block_count"):
        count("policy_rule_blocked_items_total", policy["rule_block_count"])
    constraints = body.get("constraints") or {}
    if constraints.get("include_tags_any"):
        count("policy_include_filter_requests_total")
        count("policy_include_filter_dropped_total", policy.get("constraint_filtered_count", 0))


def _count(metrics: Metrics, where: Mapping[str, str], name: str, amount: float = 1, **labels: str) -> None:
    metrics.count(name, amount, **{**where, **labels})
