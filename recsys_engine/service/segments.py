"""Which segment a shopper falls into.

An expression is an object with exactly one operator: ``any``/``all`` [expressions], ``not`` expression,
``eq|neq|gt|gte|lt|lte`` [path, literal], ``in`` [path, [literals]], ``contains`` [path, text or member],
``exists`` path, ``gte_days_since`` [path, days]. Paths are dotted: ``user.id``, ``user.traits.*``, ``ctx.*``,
``request.*``. A missing path makes a comparison false (so ``neq`` true). ``eq`` on texts is case-sensitive, ``in`` and
list ``contains`` are not. More than one operator in one object is refused when it is written.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any

from recsys_engine.contract.control import Segment, SegmentMatch
from recsys_engine.contract.errors import ContractError

_ORDERINGS: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
_PAIRS = frozenset({*_ORDERINGS, "eq", "neq", "in", "contains", "gte_days_since"})
_GROUPS = frozenset({"any", "all"})
MAX_RULE_DEPTH = 8
Facts = Mapping[str, Any]


def check_rule(rule: Any, depth: int = 0) -> None:
    """Raise ``invalid_rule`` for an expression this module would not understand."""
    if not isinstance(rule, Mapping) or len(rule) != 1 or depth > MAX_RULE_DEPTH:
        raise ContractError("invalid_rule", "a rule is an object with exactly one operator", {"field": "rule"})
    ((operator, value),) = rule.items()
    if operator in _GROUPS and isinstance(value, list):
        for inner in value:
            check_rule(inner, depth + 1)
    elif operator == "not":
        check_rule(value, depth + 1)
    elif operator == "exists":
        _check_path(value)
    elif operator in _PAIRS and isinstance(value, list) and len(value) == 2:
        _check_path(value[0])
    else:
        raise ContractError("invalid_rule", f"operator {str(operator)[:50]} is unknown or misused", {"field": "rule"})


def _check_path(path: Any) -> None:
    if not isinstance(path, str) or path.split(".")[0] not in {"user", "ctx", "request"}:
        raise ContractError("invalid_rule", "a path starts with user., ctx. or request.", {"field": "rule"})


def match_segment(segments: Sequence[Segment], facts: Facts, now: datetime) -> SegmentMatch:
    """The first active segment that matches, by priority and then id; else the active one named ``default``."""
    active = sorted((s for s in segments if s.active), key=lambda segment: (-segment.priority, segment.segment_id))
    for segment in active:
        if segment.name == "default":
            continue
        if not segment.rules:
            return SegmentMatch(True, segment.segment_id, segment.profile_id)
        for rule in segment.rules:
            if rule.enabled and holds(rule.rule, facts, now):
                return SegmentMatch(True, segment.segment_id, segment.profile_id, rule.rule_id)
    for segment in active:
        if segment.name == "default":
            return SegmentMatch(True, segment.segment_id, segment.profile_id)
    return SegmentMatch(False)


def holds(rule: Mapping[str, Any], facts: Facts, now: datetime) -> bool:
    """Is an expression true of the facts? Values of the wrong kind make it false."""
    ((operator, value),) = rule.items()
    if operator == "any":
        return any(holds(inner, facts, now) for inner in value)
    if operator == "all":
        return all(holds(inner, facts, now) for inner in value)
    if operator == "not":
        return not holds(value, facts, now)
    if operator == "exists":
        return _at(facts, value) is not None
    return _compare(operator, _at(facts, value[0]), value[1], now)


def _compare(operator: str, found: Any, wanted: Any, now: datetime) -> bool:
    if operator == "neq":
        return bool(found != wanted)
    if found is None:
        return False
    if operator == "eq":
        return bool(found == wanted)
    if operator == "in":
        return isinstance(wanted, list) and _folded(found) in [_folded(one) for one in wanted]
    if operator == "contains":
        return _contains(found, wanted)
    if operator == "gte_days_since":
        return _days_since(found, now) >= wanted if isinstance(wanted, (int, float)) else False
    try:
        return _ORDERINGS[operator](found, wanted)
    except TypeError:
        return False


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted.casefold() in found.casefold()
    return isinstance(found, list) and _folded(wanted) in [_folded(one) for one in found]


def _days_since(found: Any, now: datetime) -> float:
    try:
        moment = datetime.fromisoformat(found)
    except (TypeError, ValueError):
        return float("-inf")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (now - moment).total_seconds() / 86400


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _at(facts: Facts, path: str) -> Any:
    value: Any = facts
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value
