"""Types of answers as JSON Schema: what may be left out, what may be null, what is closed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NotRequired, TypedDict

import pytest

from recsys_engine.contract.answer_schema import answer_schema
from recsys_engine.contract.answers import Json
from recsys_engine.contract.control import Policy


@dataclass
class Part:
    part_id: str
    made_at: datetime | None = None
    sizes: tuple[int, ...] = ()


class Whole(TypedDict):
    """Has ``parts``."""

    parts: list[Annotated[Json, Part]]
    note: NotRequired[str]
    price: float | None
    inner: "Whole"
    free: dict[str, Any]


def test_a_dataclass_leaves_out_what_is_none_and_is_closed():
    components = {}

    assert answer_schema(Annotated[Json, Part], components) == {"$ref": "#/components/schemas/Part"}
    assert components["Part"] == {
        "type": "object",
        "properties": {
            "part_id": {"type": "string"},
            "made_at": {"type": "string", "format": "date-time"},
            "sizes": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["part_id", "sizes"],
        "additionalProperties": False,
    }


def test_a_typed_dict_says_null_and_may_hold_itself():
    components = {}

    answer_schema(Whole, components)

    assert set(components) == {"Whole", "Part"}
    assert components["Whole"] == {
        "type": "object",
        "description": "Has parts.",
        "properties": {
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
            "note": {"type": "string"},
            "price": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "inner": {"$ref": "#/components/schemas/Whole"},
            "free": {"type": "object", "additionalProperties": True},
        },
        "required": ["free", "inner", "parts", "price"],
        "additionalProperties": False,
    }


def test_knobs_stand_beside_the_names_with_their_ranges():
    components = {}

    answer_schema(Policy, components)

    assert "knobs" not in components["Policy"]["properties"]
    assert components["Policy"]["properties"]["mmr_lambda"] == {"type": "number", "minimum": 0, "maximum": 1}
    assert "mmr_lambda" not in components["Policy"]["required"]


def test_a_type_without_a_json_form_is_refused():
    with pytest.raises(TypeError, match="no JSON form"):
        answer_schema(bytes, {})
