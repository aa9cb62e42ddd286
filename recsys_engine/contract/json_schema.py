"""JSON Schema (2020-12) from a marshmallow schema, for the fields this contract uses."""

import json
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields, validate

from recsys_engine.contract.entities import EVENT_SCHEMA_VERSION
from recsys_engine.contract.schemas import EventSchema, ItemSchema, UserSchema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(schema: type[Schema]) -> dict[str, Any]:
    """The object schema of a body."""
    loaded = schema()
    found: dict[str, Any] = {
        "type": "object",
        "properties": {field.data_key or name: _field(field) for name, field in loaded.fields.items()},
    }
    required = sorted(field.data_key or name for name, field in loaded.fields.items() if field.required)
    if required:
        found["required"] = required
    if schema.__doc__:
        found["description"] = " ".join(schema.__doc__.split())
    return found


def _field(field: Any) -> dict[str, Any]:
    found = _type(field)
    for validator in field.validators:
        found.update(_validator(field, validator))
    found.update({key: value for key, value in field.metadata.items() if key != "max"})
    if "max" in field.metadata:
        found["maxItems"] = field.metadata["max"]
    if field.allow_none and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


def _type(field: Any) -> dict[str, Any]:
    if isinstance(field, fields.Nested):
        return json_schema(type(field.schema))
    if isinstance(field, fields.List):
        return {"type": "array", "items": _field(field.inner)}
    if isinstance(field, fields.Dict):
        return {"type": "object"}
    names = ((fields.Boolean, "boolean"), (fields.Integer, "integer"), (fields.Float, "number"))
    return {"type": next((name for kind, name in names if isinstance(field, kind)), "string")}


def _validator(field: Any, validator: Any) -> dict[str, Any]:
    if isinstance(validator, validate.Length):
        suffix = "Items" if isinstance(field, fields.List) else "Length"
        low = validator.equal if validator.equal is not None else validator.min
        high = validator.equal if validator.equal is not None else validator.max
        return {f"{end}{suffix}": n for end, n in (("min", low), ("max", high)) if n is not None}
    if isinstance(validator, validate.Range):
        return {name: n for name, n in (("minimum", validator.min), ("maximum", validator.max)) if n is not None}
    return {}


def contract_files() -> dict[str, str]:
    """File name → text of the JSON Schemas kept under ``docs/contracts``."""
    kinds: dict[str, type[Schema]] = {"item": ItemSchema, "user": UserSchema, "event": EventSchema}
    versions: dict[str, dict[str, Any]] = {"event": {"$id": f"urn:recsys:event:{EVENT_SCHEMA_VERSION}"}}
    return {
        f"{name}.schema.json": json.dumps(
            {"$schema": DIALECT, **versions.get(name, {}), "title": name, **json_schema(schema)},
            indent=2,
            ensure_ascii=False,
        )
        + "\n"
        for name, schema in kinds.items()
    }


def write_contract_files(folder: Path) -> None:
    """Write the JSON Schemas into a folder."""
    for name, text in contract_files().items():
        (folder / name).write_text(text, encoding="utf-8")
