"""Counters of the contract, from the lists that leave."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from recsys_engine.http.metrics import Labels, Metrics

LISTS = frozenset({"/v1/recommendations", "/v1/rerank", "/v1/bandit/recommendations"})
_RULE_ACTIONS = (
    ("rule_block_count", "block"),
    ("rule_pin_count", "pin"),
    ("rule_boost_count", "boost"),
)


def count_list_of(metrics: Metrics, body: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Count one served list; ``body`` is what was asked, ``answer`` the body that leaves."""
    context = body.get("context") if isinstance(body.get("context"), Mapping) else {}
    assert isinstance(context, Mapping)
    namespace = str(body.get("namespace") or "default")
    surface = str(context.get("surface") or body.get("surface") or "default")
    items = [item["item_id"] for item in answer["items"]]
    narrows = bool((body.get("constraints") or {}).get("include_tags_any"))
    count_list(metrics, (namespace, surface), items, answer.get("trace"), narrows=narrows)


def count_list(
    metrics: Metrics,
    where: tuple[str, str],
    items: Sequence[str],
    trace: Mapping[str, Any] | None,
    *,
    narrows: bool = False,
) -> None:
    """Count one served list; ``where`` is its namespace and surface, ``narrows`` says that tags were asked for."""
    labels = _labels(*where)
    policy = ((trace or {}).get("extras") or {}).get("policy") or {}
    amounts = [
        ("policy_response_items_total", len(items)),
        ("policy_constraint_leak_total", policy.get("constraint_leak_count", 0)),
    ]
    if policy.get("rule_block_count"):
        amounts.append(("policy_rule_blocked_items_total", policy["rule_block_count"]))
    if narrows:
        amounts.append(("policy_include_filter_requests_total", 1))
        amounts.append(("policy_include_filter_dropped_total", policy.get("constraint_filtered_count", 0)))
    metrics.count_all(amounts, labels)
    metrics.count_each("policy_item_served_total", "item_id", items, labels)
    for name, action in _RULE_ACTIONS:
        if policy.get(name):
            metrics.count("policy_rule_actions_total", policy[name], action=action, **dict(labels))


@lru_cache(maxsize=256)
def _labels(namespace: str, surface: str) -> Labels:
    return (("namespace", namespace), ("surface", surface))
