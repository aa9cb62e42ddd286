"""JSON → control dataclasses: stored documents on the server, answers on the client."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

from recsys_engine.contract.control import Segment, SegmentRule
from recsys_engine.contract.control_schemas import KNOB_RANGES

Control = TypeVar("Control")
_MOMENTS = frozenset({"valid_from", "valid_until", "created_at", "updated_at", "expires_at", "cancelled_at", "ts"})
_LISTS = frozenset({"item_ids", "final_items"})


def control_from(kind: type[Control], body: Mapping[str, Any]) -> Control:
    """A control dataclass from its JSON form (the inverse of ``control_json``)."""
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # every kind here is a dataclass
        name = field.name.rstrip("_")
        if field.name == "knobs":
            values["knobs"] = {knob: body[knob] for knob in KNOB_RANGES if knob in body}
        elif body.get(name) is not None:
            values[field.name] = _value(name, body[name])
    return kind(**values)


def _value(name: str, value: Any) -> Any:
    if name in _MOMENTS:
        return datetime.fromisoformat(value)
    return tuple(value) if name in _LISTS else value


def segment_from(body: Mapping[str, Any]) -> Segment:
    """A segment with its rules."""
    plain = control_from(Segment, {name: value for name, value in body.items() if name != "rules"})
    rules = tuple(control_from(SegmentRule, rule) for rule in body.get("rules") or ())
    return Segment(
        plain.segment_id, plain.name, plain.profile_id, plain.priority, plain.active, rules, plain.description
    )
