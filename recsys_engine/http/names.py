"""Field names in any letter case, as the base API takes them: ``User_ID`` is ``user_id``."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from marshmallow import Schema, fields

Names = tuple[Mapping[str, str], Mapping[str, tuple[type[Schema], bool]]]
"""Case-folded name → name, and for each field that holds objects of a schema: which, and whether in a list."""


def with_known_names(body: Mapping[str, Any], schema: type[Schema]) -> Mapping[str, Any]:
    """The body with its field names spelled as the schema spells them, through nested objects and lists of objects.

    Free objects (``props``, ``traits``, ``meta``, ``context``) keep their keys. A name written exactly wins over one in
    another case. Costs next to nothing when every name is spelled right already.
    """
    spelling, nested = _names(schema)
    if not body.keys() <= spelling.keys():
        body = {
            **{spelling.get(given.casefold(), given): value for given, value in body.items()},
            **_exact(body, spelling),
        }
    changed: dict[str, Any] = {}
    for name, (inner, is_list) in nested.items():
        value = body.get(name)
        if is_list and isinstance(value, list):
            changed[name] = [with_known_names(one, inner) if isinstance(one, Mapping) else one for one in value]
        elif not is_list and isinstance(value, Mapping):
            changed[name] = with_known_names(value, inner)
    return {**body, **changed} if changed else body


def _exact(body: Mapping[str, Any], spelling: Mapping[str, str]) -> dict[str, Any]:
    return {given: value for given, value in body.items() if spelling.get(given.casefold()) == given}


@cache
def _names(schema: type[Schema]) -> Names:
    named = {field.data_key or name: field for name, field in schema().fields.items()}
    nested: dict[str, tuple[type[Schema], bool]] = {}
    for name, field in named.items():
        inner = field.inner if isinstance(field, fields.List) else field
        if isinstance(inner, fields.Nested):
            nested[name] = (type(inner.schema), inner is not field)
    return {name.casefold(): name for name in named}, nested
