"""Reading a merchandising rule, and what it would do to a list that stands."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from recsys_engine.contract.control import Rule
from shop_app.admin.override_forms import read_moment
from shop_app.core.errors import InvalidInput
from shop_app.site_settings.defaults import SLOTS

ACTIONS = {"BLOCK": "Never show", "PIN": "Show first", "BOOST": "Show higher or lower"}
TARGETS = {"ITEM": "these SKUs", "BRAND": "a brand", "CATEGORY": "a category", "TAG": "a tag"}
MAX_ITEMS = 50
MAX_NAME_CHARS = 80
_BOOST = re.compile(r"-?\d(\.\d{1,3})?")
_PRIORITY = re.compile(r"-?\d{1,4}")


def parse_rule(form: Mapping[str, str]) -> Rule:
    """A rule as typed.

    Raises:
        InvalidInput: names every field at fault.

    """
    problems: dict[str, list[str]] = {}
    action, target = form.get("action", ""), form.get("target_type", "")
    keys = [key.strip() for key in re.split(r"[,\s]+", form.get("targets", "")) if key.strip()]
    boost = form.get("boost_value", "").strip()
    name = " ".join(form.get("name", "").split())
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        problems["name"] = [f"Between 1 and {MAX_NAME_CHARS} characters."]
    if form.get("surface") not in SLOTS:
        problems["surface"] = ["There is no such slot."]
    if action not in ACTIONS or target not in TARGETS or (action == "PIN" and target != "ITEM"):
        problems["action"] = ["Choose what to do with what. Only SKUs can be shown first."]
    if not 1 <= len(keys) <= (MAX_ITEMS if target == "ITEM" else 1):
        problems["targets"] = [f"Up to {MAX_ITEMS} SKUs, or one brand, category or tag."]
    if action == "BOOST" and not (_BOOST.fullmatch(boost) and -0.99 <= float(boost) <= 5 and float(boost)):
        problems["boost_value"] = ["From -0.99 (nearly hidden) to 5, such as 0.3 for 30 % more score."]
    if not _PRIORITY.fullmatch(form.get("priority", "0").strip()):
        problems["priority"] = ["A whole number."]
    valid_from, valid_until = _window(form, problems)
    if problems:
        raise InvalidInput(problems)
    return Rule(
        surface=form["surface"],
        name=name,
        action=action,
        target_type=target,
        target_key="" if target == "ITEM" else keys[0],
        item_ids=tuple(keys) if target == "ITEM" else (),
        boost_value=float(boost) if action == "BOOST" else None,
        priority=int(form.get("priority", "0")),
        segment_id=form.get("segment_id") or None,
        valid_from=valid_from,
        valid_until=valid_until,
    )


def _window(form: Mapping[str, str], problems: dict[str, list[str]]) -> tuple[datetime | None, datetime | None]:
    start = read_moment(form.get("valid_from", ""), "valid_from", problems)
    end = read_moment(form.get("valid_until", ""), "valid_until", problems)
    if start and end and end <= start:
        problems["valid_until"] = ["After the start."]
    return start, end


def state_of(rule: Rule, now: datetime) -> str:
    """on, off, waiting for its start, or over."""
    if not rule.enabled:
        return "off"
    if rule.valid_from and now < rule.valid_from:
        return "waiting"
    return "over" if rule.valid_until and rule.valid_until <= now else "on"


def rivals(rule: Rule, known: Sequence[Rule]) -> list[Rule]:
    """Switched-on rules that want something else with the same targets where this one applies."""
    return [
        other
        for other in known
        if other.enabled
        and other.action != rule.action
        and (other.target_type, other.target_key.lower()) == (rule.target_type, rule.target_key.lower())
        and (rule.target_type != "ITEM" or set(rule.item_ids) & set(other.item_ids))
        and other.surface in {rule.surface, "*"}
        and (other.segment_id == rule.segment_id or None in {other.segment_id, rule.segment_id})
    ]


def after_rule(rule: Rule, ranked: Sequence[tuple[str, float]], traits: Mapping[str, frozenset[str]]) -> list[str]:
    """The order of `ranked` (item id, score) under one more rule; `traits` are each item's tags, brand: and category:.

    As if nothing else changed: variety and caps are not applied again.
    """
    if rule.action == "PIN":
        return [*rule.item_ids, *(item for item, _ in ranked if item not in rule.item_ids)]
    if rule.action == "BLOCK":
        return [item for item, _ in ranked if not _is_meant(rule, item, traits)]
    factor = 1 + (rule.boost_value or 0)
    scores = {item: score * factor if _is_meant(rule, item, traits) else score for item, score in ranked}
    return sorted(scores, key=lambda item: -scores[item])


def _is_meant(rule: Rule, item: str, traits: Mapping[str, frozenset[str]]) -> bool:
    if rule.target_type == "ITEM":
        return item in rule.item_ids
    key = rule.target_key.lower()
    prefix = {"BRAND": "brand:", "CATEGORY": "category:"}.get(rule.target_type, "")
    return (key if key.startswith(prefix) else prefix + key) in traits.get(item, frozenset())
