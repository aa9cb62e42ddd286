"""Rules and manual overrides: which apply now, and what they do to which items.

Rules run by priority (higher first), then age. BLOCK beats PIN and BOOST. Pins come first in the list, at most
``max_pins`` of a rule and ``Settings.max_pins`` in all; they still pass every hard filter and the caps. Boosts add up
per item and multiply its score by 1 + sum; ITEM boosts bring their items into the list. A rule for surface ``default``
applies where no surface is named; a rule for ``home`` also applies on ``home.trending``; ``*`` applies everywhere.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from recsys_engine.contract.control import ManualOverride, Rule
from recsys_engine.domain import NO_RULES, IntArray, RuleEffects
from recsys_engine.signals.catalog import Catalog

EVERYWHERE = "*"


def active_rules(rules: Iterable[Rule], surface: str, segment_id: str | None, now: datetime) -> list[Rule]:
    """Enabled rules of this surface and segment inside their time window, in order of evaluation."""
    found = [
        rule
        for rule in rules
        if rule.enabled
        and _covers(rule.surface, surface)
        and rule.segment_id in {None, segment_id}
        and (rule.valid_from is None or rule.valid_from <= now)
        and (rule.valid_until is None or now < rule.valid_until)
    ]
    return sorted(found, key=lambda rule: (-rule.priority, str(rule.created_at), rule.rule_id or ""))


def _covers(wanted: str, surface: str) -> bool:
    return wanted in {EVERYWHERE, surface} or surface.startswith(f"{wanted}.")


def rule_of(override: ManualOverride) -> Rule:
    """A manual override as the rule that backs it."""
    is_boost = override.action == "boost"
    return Rule(
        surface=override.surface,
        name=f"override {override.override_id}",
        action="BOOST" if is_boost else "BLOCK",
        target_type="ITEM",
        item_ids=(override.item_id,),
        boost_value=override.boost_value if is_boost else None,
        priority=override.priority,
        enabled=override.status == "active",
        valid_until=override.expires_at,
        rule_id=override.rule_id,
        created_at=override.created_at,
    )


def effects_of(rules: Sequence[Rule], catalog: Catalog) -> RuleEffects:
    """What the rules do, item by item; ``rules`` are active and in order."""
    if not rules:
        return NO_RULES
    blocked: dict[int, tuple[str, ...]] = {}
    pins: list[tuple[int, str]] = []
    boosts: dict[int, tuple[float, tuple[str, ...]]] = {}
    for rule in rules:
        id_ = rule.rule_id or ""
        if rule.action == "PIN":
            known = [catalog.index[item_id] for item_id in rule.item_ids if item_id in catalog.index]
            pins.extend((item, id_) for item in known[: rule.max_pins])
            continue
        for item in targets_of(rule, catalog).tolist():
            if rule.action == "BLOCK":
                blocked[item] = (*blocked.get(item, ()), id_)
            else:
                total, ids = boosts.get(item, (0.0, ()))
                boosts[item] = (total + (rule.boost_value or 0.0), (*ids, id_))
    injected = {catalog.index[i] for r in rules if r.target_type == "ITEM" for i in r.item_ids if i in catalog.index}
    return RuleEffects(blocked, [pin for pin in pins if pin[0] not in blocked], boosts, frozenset(injected))


def targets_of(rule: Rule, catalog: Catalog) -> IntArray:
    """Item indices a rule speaks of."""
    if rule.target_type == "ITEM":
        known = [catalog.index[item_id] for item_id in rule.item_ids if item_id in catalog.index]
        return np.array(known, np.int64)
    prefix = {"TAG": "", "BRAND": "brand:", "CATEGORY": "category:"}[rule.target_type]
    return np.flatnonzero(catalog.tag_mask([prefix + rule.target_key]))
