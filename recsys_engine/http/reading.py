"""The body of a call: JSON as the contract reads it, refused by name."""

import json
from typing import Any

from recsys_engine.contract.checks import depth, is_encodable
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.limits import MAX_JSON_DEPTH


def json_object(raw: bytes) -> dict[str, Any]:
    """The object a body starts with; bytes after it are ignored. Raises ``invalid_json`` and ``invalid_json_type``."""
    if not raw.strip():
        raise ContractError("invalid_json", "the body is empty")
    try:
        value, _ = _DECODER.raw_decode(raw.decode("utf-8").lstrip())
    except (ValueError, RecursionError) as error:
        raise ContractError("invalid_json", "the body is not JSON") from error
    if not isinstance(value, dict):
        raise ContractError("invalid_json_type", "the body must be an object", {"field": "", "expected": "object"})
    if raw.count(b"[") + raw.count(b"{") > MAX_JSON_DEPTH and depth(value) > MAX_JSON_DEPTH:
        raise ContractError("invalid_json", f"the body nests deeper than {MAX_JSON_DEPTH}", {"max": MAX_JSON_DEPTH})
    if (b"\\ud" in raw or b"\\uD" in raw or b"\\u0000" in raw) and not _is_storable(value):
        raise ContractError("invalid_json", "the body holds text that cannot be stored")
    return value


def _is_storable(value: Any) -> bool:
    return is_encodable(json.dumps(value, ensure_ascii=False)) and "\\u0000" not in json.dumps(value)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _whole_number(digits: str) -> int:
    if len(digits) > 400:
        raise ValueError("a number with too many digits")
    return int(digits)


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_int=_whole_number)
