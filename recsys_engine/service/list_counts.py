"""What filters and rules did to one list, counted: the ``policy`` block of a trace."""

from collections.abc import Collection

import numpy as np

from recsys_engine.domain import IntArray, Limits, Query, RuleEffects
from recsys_engine.pipeline import Outcome
from recsys_engine.stages.filters import why_refused


def list_counts(outcome: Outcome, query: Query, limits: Limits, rules: RuleEffects) -> dict[str, object]:
    """Counts by the names of the contract. The leak count is measured on the finished list, never assumed."""
    counts = outcome.trace.counts
    merged, passed = counts.get("merged", 0), counts.get("after_filters", 0)
    items = outcome.pool.items[outcome.rows]
    leaks = _leaks(query, limits, items)
    told: dict[str, object] = {
        "total_candidates": merged,
        "constraint_filtered_count": merged - passed,
        "after_constraint_filters": passed,
        "rule_block_count": len(rules.blocked),
        "rule_pin_count": len(rules.pins),
        "rule_boost_count": len(rules.boosts),
        "rule_pin_exposure": sum([choice.how == "pin" for choice in outcome.choices]) if rules.pins else 0,
        "rule_block_exposure": _exposed(items, rules.blocked),
        "rule_boost_exposure": _exposed(items, rules.boosts),
        "final_count": len(outcome.choices),
        "constraint_leak_count": sum(leaks.values()),
    }
    if leaks:
        told["constraint_leak_by_reason"] = leaks
    return told


def _leaks(query: Query, limits: Limits, items: IntArray) -> dict[str, int]:
    checks = why_refused(query.shelf, limits, items) if len(items) else []
    counted = [(reason, int(np.count_nonzero(refused))) for reason, refused in checks]
    return {reason: count for reason, count in counted if count}


def _exposed(items: IntArray, spoken_of: Collection[int]) -> int:
    return sum(item in spoken_of for item in items.tolist()) if spoken_of else 0
