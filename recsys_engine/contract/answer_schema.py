"""JSON Schema (2020-12) from the types of ``answers``: each named object once, under ``#/components/schemas``."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from recsys_engine.contract.answers import knob_schemas

Schema = dict[str, Any]
_PLAIN: Mapping[Any, Schema] = {
    Any: {},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time"},
    NoneType: {"type": "null"},
}


def answer_schema(hint: Any, components: dict[str, Schema]) -> Schema:
    """The schema of a type; the objects it names are added to ``components``.

    Raises:
        TypeError: for a type that has no JSON form here.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(hint, components)
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if is_typeddict(hint) or is_dataclass(hint):
        return _named(hint, components)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in {Union, UnionType}:
        return _one_of(arguments, components)
    if origin in {list, tuple, Sequence}:
        return {"type": "array", "items": answer_schema(arguments[0], components)}
    if origin in {dict, Mapping}:
        return {"type": "object", "additionalProperties": answer_schema(arguments[1], components) or True}
    raise TypeError(f"{hint} has no JSON form")


def _one_of(hints: Sequence[Any], components: dict[str, Schema]) -> Schema:
    found = [answer_schema(one, components) for one in hints]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _annotated(hint: Any, components: dict[str, Schema]) -> Schema:
    """``Annotated[Json, X]`` is the JSON of X; a mapping beside a type adds to the type's schema."""
    inner, note = get_args(hint)
    if isinstance(note, Mapping):
        return {**answer_schema(inner, components), **note}
    return answer_schema(note, components)


def _named(kind: Any, components: dict[str, Schema]) -> Schema:
    if kind.__name__ not in components:
        components[kind.__name__] = {}  # holds the place, should the object hold itself
        found = _typed_dict(kind, components) if is_typeddict(kind) else _dataclass(kind, components)
        if kind.__doc__ and not kind.__doc__.startswith(("dict(", f"{kind.__name__}(")):
            found["description"] = " ".join(kind.__doc__.replace("``", "").split())
        components[kind.__name__] = found
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _typed_dict(kind: Any, components: dict[str, Schema]) -> Schema:
    hints = get_type_hints(kind, include_extras=True)
    properties = {name: answer_schema(_without_not_required(hint), components) for name, hint in hints.items()}
    return _closed(properties, kind.__required_keys__)


def _without_not_required(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _dataclass(kind: Any, components: dict[str, Schema]) -> Schema:
    """As ``control_json`` writes it: None stays away, knobs stand beside the names."""
    hints = get_type_hints(kind)
    properties: dict[str, Schema] = {}
    required = set()
    for name in (field.name for field in fields(kind)):
        if name == "knobs":
            properties.update(knob_schemas())
            continue
        given = [one for one in _alternatives(hints[name]) if one is not NoneType]
        properties[name] = _one_of(given, components)
        if len(given) == len(_alternatives(hints[name])):
            required.add(name)
    return _closed(properties, required)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)


def _closed(properties: dict[str, Schema], required: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(required),
        "additionalProperties": False,
    }
