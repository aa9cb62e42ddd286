"""Reading a segment: who belongs to it, and which ranking profile it gets."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recsys_engine.contract.control import Segment, SegmentProfile, SegmentRule
from shop_app.admin.knob_forms import read_knobs
from shop_app.core.errors import InvalidInput

PATHS = {
    "user.traits.loyalty_tier": "Loyalty tier",
    "user.traits.country": "Country",
    "user.traits.locale": "Language",
    "user.traits.device": "Device",
    "user.traits.newsletter": "Newsletter (true or false)",
    "user.traits.preferred_categories": "Preferred departments",
    "user.traits.member_since": "Member since (day)",
    "user.traits.last_seen": "Last seen (day)",
    "user.id": "Shopper key",
    "request.surface": "Slot",
    "ctx.category": "Department in view",
}
OPERATORS = {
    "eq": "is",
    "neq": "is not",
    "in": "is one of (commas)",
    "contains": "contains",
    "gte": "is at least",
    "lte": "is at most",
    "gte_days_since": "is at least this many days ago",
    "exists": "is known",
}
ROWS = 4
"""Conditions the form offers; more, or nested ones, are written as JSON."""
MAX_NAME_CHARS = 80
MAX_PRIORITY = 10_000
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PRIORITY = re.compile(r"-?\d{1,5}")
_PLAIN = re.compile(r"-?\d{1,9}(\.\d{1,6})?")

Problems = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of the form, as texts."""

    path: str = ""
    operator: str = "eq"
    value: str = ""


def parse_segment(form: Mapping[str, str]) -> Segment:
    """A segment as typed.

    Raises:
        InvalidInput: names every field at fault.

    """
    problems: Problems = {}
    priority = form.get("priority", "0").strip() or "0"
    if not _PRIORITY.fullmatch(priority) or abs(int(priority)) > MAX_PRIORITY:
        problems["priority"] = [f"A whole number up to {MAX_PRIORITY:,}."]
    if not form.get("profile_id"):
        problems["profile_id"] = ["Choose the profile its members are ranked with."]
    rules = _rules(form, problems)
    segment_id, name = _identity(form, "segment_id", problems)
    if problems:
        raise InvalidInput(problems)
    return Segment(segment_id, name, form["profile_id"], int(priority), form.get("active") == "on", rules)


def parse_profile(form: Mapping[str, str], kept: Mapping[str, Any] | None = None) -> SegmentProfile:
    """A profile with its knobs as typed; of `kept`, what the form does not show.

    Raises:
        InvalidInput: names every field at fault.

    """
    knobs, problems = read_knobs(form, kept)
    profile_id, description = _identity(form, "profile_id", problems)
    if problems:
        raise InvalidInput(problems)
    return SegmentProfile(profile_id, knobs, description)


def conditions_of(segment: Segment) -> tuple[list[Condition], str, str]:
    """(rows, all or any, JSON): a segment as the form shows it. JSON is filled when rows cannot say it."""
    if not segment.rules:
        return [], "all", ""
    if len(segment.rules) == 1:
        ((operator, value),) = segment.rules[0].rule.items()
        found = [_row(one) for one in value] if operator in {"all", "any"} else [_row(segment.rules[0].rule)]
        rows = [row for row in found if row is not None]
        if len(rows) == len(found) <= ROWS:
            return rows, operator if operator == "any" else "all", ""
    return [], "all", json.dumps([dict(rule.rule) for rule in segment.rules], indent=1)


def in_words(segment: Segment) -> str:
    """Who belongs to it, as a sentence."""
    rows, joined, text = conditions_of(segment)
    if text:
        return f"{len(segment.rules)} rules of its own"
    if not rows:
        return "everybody"
    return (" and " if joined == "all" else " or ").join(map(_said, rows))


def _said(row: Condition) -> str:
    what = _plain(PATHS.get(row.path, row.path)).lower()
    if row.operator == "gte_days_since":
        return f"{what} at least {row.value} days ago"
    return f"{what} {_plain(OPERATORS[row.operator])} {row.value}".strip()


def _plain(label: str) -> str:
    """Without what stands in brackets."""
    return label.partition(" (")[0]


def _identity(form: Mapping[str, str], field: str, problems: Problems) -> tuple[str, str]:
    key, name = form.get(field, "").strip(), " ".join(form.get("name", "").split())
    if not _ID.fullmatch(key):
        problems[field] = ["Small letters, digits, - and _ only, 40 at most."]
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        problems["name"] = [f"Between 1 and {MAX_NAME_CHARS} characters."]
    return key, name


def _rules(form: Mapping[str, str], problems: Problems) -> tuple[SegmentRule, ...]:
    if text := form.get("json", "").strip():
        return _from_json(text, problems)
    rows = [
        Condition(form[f"path_{n}"], form.get(f"operator_{n}", "eq"), form.get(f"value_{n}", "").strip())
        for n in range(ROWS)
        if form.get(f"path_{n}")
    ]
    wrong = [n for n, row in enumerate(rows) if row.operator not in OPERATORS or row.path not in PATHS]
    empty = [n for n, row in enumerate(rows) if not row.value and row.operator != "exists"]
    if wrong or empty:
        problems["value_0"] = ["Every condition needs a value."]
        return ()
    inner = [_expression(row) for row in rows]
    if not inner:
        return ()
    return (SegmentRule({"any" if form.get("joined") == "any" else "all": inner}),)


def _from_json(text: str, problems: Problems) -> tuple[SegmentRule, ...]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        problems["json"] = ['A list of rules such as [{"eq": ["user.traits.country", "GB"]}].']
        return ()
    return tuple(SegmentRule(one) for one in found)


def _expression(row: Condition) -> dict[str, Any]:
    if row.operator == "exists":
        return {"exists": row.path}
    if row.operator == "in":
        return {"in": [row.path, [_literal(one.strip()) for one in row.value.split(",") if one.strip()]]}
    return {row.operator: [row.path, _literal(row.value)]}


def _literal(text: str) -> str | float | int | bool:
    """Numbers and true/false as such, everything else as text."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if _PLAIN.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _row(rule: Mapping[str, Any]) -> Condition | None:
    ((operator, value),) = rule.items()
    if operator == "exists" and value in PATHS:
        return Condition(value, "exists")
    if operator not in OPERATORS or not isinstance(value, Sequence) or isinstance(value, str) or value[0] not in PATHS:
        return None
    literal = value[1]
    text = ", ".join(map(_text, literal)) if isinstance(literal, list) else _text(literal)
    return Condition(value[0], operator, text)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
