"""Why an item is where it is, in words and in numbers that add up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys_engine.contract.control import MissingVerdict
from recsys_engine.domain import Choice, Query, RuleEffects
from recsys_engine.pipeline import FILL, Outcome
from recsys_engine.signals.catalog import Catalog
from recsys_engine.signals.guardrails import Regret
from recsys_engine.signals.sources import PairSource
from recsys_engine.stages.filters import why_refused

if TYPE_CHECKING:
    from recsys_engine.service.ranking import Served

_FEATURE_REASONS = {
    "co_visitation_raw": "co_visitation",
    "session_sequence": "session_sequence",
}
ANCHOR_SHARES = 5


def reasons(outcome: Outcome, choice: Choice, query: Query, rules: RuleEffects) -> tuple[str, ...]:
    """Reason words of one place: signals that contributed (largest first), then rules and how it was placed."""
    row = choice.row
    found: dict[str, None] = {}
    shares = sorted(zip(outcome.pool.contributions[row].tolist(), outcome.names, strict=True), reverse=True)
    for share, name in shares:
        if share > 0:
            found[_FEATURE_REASONS.get(name, name)] = None
    if outcome.sources(row) == (FILL,):
        found["fallback"] = None
    if query.settings.mmr_lambda < 1 or query.settings.brand_cap or query.settings.category_cap:
        found["diversity"] = None
    if choice.how == "exploration":
        found["exploration"] = None
    for rule_id in choice.rule_ids:
        found[f"rule.pin[{rule_id}]"] = None
    delta, boosted_by = rules.boosts.get(int(outcome.pool.items[row]), (0.0, ()))
    for rule_id in boosted_by:
        found[f"rule.boost:{delta:+.2f}[{rule_id}]"] = None
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Insight:
    """What explanations look up besides the outcome: pair signals, the learned ranking's own words, guardrails."""

    pairs: Mapping[str, PairSource]
    learned: Mapping[int, list[dict[str, Any]]]
    regrets: Mapping[int, list[Regret]]


def explanation(outcome: Outcome, choice: Choice, query: Query, insight: Insight, level: str) -> dict[str, Any]:
    """The explain block: ``contributions`` sum to ``blend``, times ``multiplier`` plus ``added`` (a boost of an item
    without a score of its own) is the score. ``multiplier`` holds the profile, boosts and guardrails.
    """
    pool, row = outcome.pool, choice.row
    given = {
        name: {"contribution": share, **({"raw": raw} if level == "full" else {})}
        for name, share, raw in zip(
            outcome.names, pool.contributions[row].tolist(), pool.features[row].tolist(), strict=True
        )
        if share or (raw and level == "full")
    }
    block: dict[str, Any] = {
        "contributions": given,
        "blend": float(pool.contributions[row].sum()),
        "multiplier": float(pool.multipliers[row]),
        "added": float(pool.scores[row] - pool.contributions[row].sum() * pool.multipliers[row]),
        "mmr": {
            "lambda": query.settings.mmr_lambda,
            "max_sim": choice.max_similarity,
            "penalty": choice.penalty,
        },
        "caps": {"brand": query.settings.brand_cap, "category": query.settings.category_cap},
        "anchors": [query.shelf.ids[item] for item in query.anchors.tolist()] or ["(no_recent_activity)"],
    }
    regrets = insight.regrets.get(int(pool.items[row]))
    if regrets:
        block["guardrails"] = {one.guardrail: {"rate": one.rate, "multiplier": one.multiplier} for one in regrets}
    if level == "full":
        block["sources"] = list(outcome.sources(row))
        block["how"] = choice.how
        block["propensity"] = choice.propensity
        block["history"] = _history_shares(int(pool.items[row]), query, insight.pairs)
        learned = insight.learned.get(int(pool.items[row]))
        if learned:
            block["learned"] = learned
    return block


def _history_shares(item: int, query: Query, pairs: Mapping[str, PairSource]) -> dict[str, list[dict[str, Any]]]:
    """For each pair signal, which anchors spoke for the item and how much of the raw feature each gave."""
    shares: dict[str, list[dict[str, Any]]] = {}
    for name, source in pairs.items():
        found = sorted(source.per_anchor(query, item), key=lambda share: -share[1])
        if found:
            shares[name] = [{"item_id": query.shelf.ids[anchor], "raw": raw} for anchor, raw in found[:ANCHOR_SHARES]]
    return shares


def missing_verdict(served: "Served", catalog: Catalog, item_id: str) -> MissingVerdict:
    """At which stage an item fell out of a detailed run, and why; or the rank it got."""
    rank = next((place.rank for place in served.answer.items if place.item_id == item_id), None)
    if rank is not None:
        return MissingVerdict(item_id, "served", "listed", rank)
    item = catalog.index.get(item_id)
    if item is None:
        return MissingVerdict(item_id, "catalog", "unknown_item")
    stage, reason = served.outcome.trace.dropped.get(item, ("", ""))
    if stage:
        return MissingVerdict(item_id, stage, reason)
    refused = [name for name, mask in why_refused(served.query.shelf, served.limits, np.array([item])) if mask[0]]
    return MissingVerdict(item_id, *(("filters", refused[0]) if refused else ("candidates", "not_retrieved")))
