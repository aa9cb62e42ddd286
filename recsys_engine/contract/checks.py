"""Value checks that hold on both sides of the boundary, whatever the transport."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from recsys_engine.contract.entities import UNSET, Event, EventTypeConfig, Item, Unset, User
from recsys_engine.contract.errors import ContractError
from recsys_engine.contract.limits import (
    EARLIEST_EVENT_YEAR,
    EMBEDDING_DIM,
    MAX_ABS_VALUE,
    MAX_EVENT_TYPE,
    MAX_FUTURE_SKEW_S,
    MAX_ID_CHARS,
    MAX_JSON_DEPTH,
    MAX_K,
    MAX_META_BYTES,
    MAX_PRICE,
    MAX_TAGS,
    MAX_TEXT_CHARS,
)
from recsys_engine.contract.requests import NO_OVERRIDES, Overrides, RecommendRequest

_EARLIEST = datetime(EARLIEST_EVENT_YEAR, 1, 1, tzinfo=UTC)
_FUTURE_SKEW = timedelta(seconds=MAX_FUTURE_SKEW_S)
_TEXT_FIELDS = ("brand", "category", "description", "image_url", "metadata_version")
_EXPLAIN_LEVELS = frozenset({"tags", "numeric", "full"})

# Field of Overrides -> inclusive range.
OVERRIDE_RANGES: Mapping[str, tuple[float, float]] = {
    "popularity_halflife_days": (0.01, 3650),
    "covis_window_days": (0.01, 3650),
    "popularity_fanout": (1, 10_000),
    "mmr_lambda": (0, 1),
    "brand_cap": (0, 200),
    "category_cap": (0, 200),
    "purchased_window_days": (0, 3650),
    "profile_window_days": (0.01, 3650),
    "profile_boost": (0, 100),
    "profile_top_n": (0, 1000),
    "profile_starter_blend_weight": (0, 1),
    "blend_alpha": (0, 1000),
    "blend_beta": (0, 1000),
    "blend_gamma": (0, 1000),
    "exploration_rate": (0, 1),
}


class Problem(NamedTuple):
    """What is wrong with one value: error code, message, and the field."""

    code: str
    message: str
    path: str


def is_valid_id(value: object) -> bool:
    """1–200 visible characters, no blanks: what every identifier must be."""
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable() and " " not in value


def event_problem(event: Event, now: datetime) -> Problem | None:
    """The first thing wrong with an event, or None. Timestamps are judged against ``now``."""
    if not is_valid_id(event.user_id):
        return Problem("invalid_user_id", f"user_id must be 1-{MAX_ID_CHARS} visible characters", "user_id")
    if event.item_id and not is_valid_id(event.item_id):
        return Problem("invalid_item_id", f"item_id must be 1-{MAX_ID_CHARS} visible characters", "item_id")
    if not isinstance(event.type, int) or isinstance(event.type, bool) or not 0 <= event.type <= MAX_EVENT_TYPE:
        return Problem("invalid_type", f"type must be an integer 0-{MAX_EVENT_TYPE}", "type")
    if not _is_number(event.value) or abs(event.value) > MAX_ABS_VALUE:
        return Problem("invalid_value", f"value must be a number within ±{MAX_ABS_VALUE:g}", "value")
    if event.source_event_id is not None and not is_valid_id(event.source_event_id):
        return Problem(
            "invalid_source_event_id", f"source_event_id must be 1-{MAX_ID_CHARS} visible characters", "source_event_id"
        )
    return _time_problem(event.ts, now)


def _time_problem(ts: datetime | None, now: datetime) -> Problem | None:
    if ts is None:
        return None
    if ts.tzinfo is None:
        return Problem("invalid_timestamp", "ts must carry a time zone", "ts")
    if ts > now + _FUTURE_SKEW:
        return Problem("invalid_timestamp", f"ts is more than {MAX_FUTURE_SKEW_S} s in the future", "ts")
    if ts < _EARLIEST:
        return Problem("invalid_timestamp", f"ts lies before {EARLIEST_EVENT_YEAR}", "ts")
    return None


def meta_text(meta: Mapping[str, Any]) -> str:
    """Meta as compact JSON with sorted keys.

    Raises:
        ContractError: ``invalid_meta`` when it is too large, too deep or not JSON.

    """
    return _json_text(meta, "invalid_meta", "meta")


def check_item(item: Item, index: int) -> None:
    """Raise ``ContractError`` naming the first bad field of an item; ``index`` is its place in the batch."""
    if not is_valid_id(item.item_id):
        raise _item_error("invalid_item_id", f"item_id must be 1-{MAX_ID_CHARS} visible characters", "item_id", index)
    if item.available is not UNSET and not isinstance(item.available, bool):
        raise _item_error("invalid_json_type", "available must be true or false", "available", index)
    if item.price is not UNSET and item.price is not None and not _is_within(item.price, 0, MAX_PRICE):
        raise _item_error("invalid_price", f"price must lie within 0-{MAX_PRICE:g}", "price", index)
    for name in _TEXT_FIELDS:
        _check_text(getattr(item, name), name, index)
    for name in ("tags", "category_path"):
        _check_words(getattr(item, name), name, index)
    if item.props and not isinstance(item.props, Unset):
        _json_text(item.props, "invalid_props", "props", index)
    if item.embedding and not isinstance(item.embedding, Unset):
        _check_embedding(item.embedding, index)


def check_user(user: User, index: int) -> None:
    """Raise ``ContractError`` naming the first bad field of a user."""
    if not is_valid_id(user.user_id):
        raise _item_error("invalid_user_id", f"user_id must be 1-{MAX_ID_CHARS} visible characters", "user_id", index)
    if user.traits and not isinstance(user.traits, Unset):
        _json_text(user.traits, "invalid_traits", "traits", index)


def check_event_type(config: EventTypeConfig) -> None:
    """Raise ``ContractError`` (422) for a weight or half-life that is not positive."""
    if config.type < 0 or not _is_number(config.weight) or config.weight <= 0:
        raise ContractError("invalid_weight", "type must be >= 0 and weight > 0", {"type": config.type})
    if config.half_life_days is not None and not _is_within(config.half_life_days, 1e-3, 36_500):
        raise ContractError("invalid_half_life", "half_life_days must be > 0", {"type": config.type})


def check_request(request: RecommendRequest) -> None:
    """Raise ``ContractError`` naming the first field of a request that is out of range."""
    if not isinstance(request.k, int) or not 1 <= request.k <= MAX_K:
        raise ContractError("invalid_k", f"k must be 1-{MAX_K}", {"field": "k", "min": 1, "max": MAX_K})
    if request.user_id and not is_valid_id(request.user_id):
        raise ContractError("invalid_user_id", "user_id is not a valid identifier", {"field": "user_id"})
    if request.explain_level not in _EXPLAIN_LEVELS:
        raise ContractError(
            "invalid_explain_level", "explain_level must be tags, numeric or full", {"field": "explain_level"}
        )
    _check_overrides(request.overrides)
    _check_blend(request)
    _check_price_range(request)


def _check_overrides(overrides: Overrides) -> None:
    if overrides is NO_OVERRIDES:
        return
    for field in fields(overrides):
        value = getattr(overrides, field.name)
        bounds = OVERRIDE_RANGES.get(field.name)
        if value is None or bounds is None or _is_within(value, *bounds):
            continue
        details = {"field": f"overrides.{field.name}", "min": bounds[0], "max": bounds[1]}
        raise ContractError("invalid_override", f"overrides.{field.name} is out of range", details)


def _check_blend(request: RecommendRequest) -> None:
    if request.blend is None:
        return
    for name in ("pop", "cooc", "als"):
        if not _is_within(getattr(request.blend, name), -1000, 1000):
            raise ContractError("invalid_blend", f"blend.{name} is out of range", {"field": f"blend.{name}"})


def _check_price_range(request: RecommendRequest) -> None:
    ends = request.constraints.price_between
    if ends is None:
        return
    for end in ends:
        if end is not None and not _is_within(end, -MAX_PRICE, MAX_PRICE):
            raise ContractError(
                "invalid_price_between", "price_between must hold numbers", {"field": "constraints.price_between"}
            )


def _check_text(value: object, name: str, index: int) -> None:
    if not value:
        return
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS or not is_encodable(value):
        raise _item_error("invalid_text", f"{name} must be text of at most {MAX_TEXT_CHARS} characters", name, index)


def _check_words(words: Sequence[str] | None, name: str, index: int) -> None:
    if not words:
        return
    if len(words) > MAX_TAGS:
        raise _item_error("too_many_tags", f"{name} may hold at most {MAX_TAGS} entries", name, index)
    for word in words:
        if not isinstance(word, str) or not 0 < len(word) <= MAX_ID_CHARS or not is_encodable(word):
            raise _item_error("invalid_tag", f"{name} must hold texts of 1-{MAX_ID_CHARS} characters", name, index)


def _check_embedding(embedding: Sequence[float], index: int) -> None:
    if len(embedding) != EMBEDDING_DIM:
        details = {"index": index, "got": len(embedding), "expected": EMBEDDING_DIM}
        raise ContractError("embedding_dim_mismatch", f"embedding must hold {EMBEDDING_DIM} numbers", details)
    if not all(_is_number(value) for value in embedding):
        raise _item_error("invalid_embedding", "embedding must hold finite numbers", "embedding", index)


def is_encodable(text: str) -> bool:
    """False for text with unpaired surrogates or NUL, which databases cannot store."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def depth(value: Any, limit: int = MAX_JSON_DEPTH) -> int:
    """How deep the objects and lists of parsed JSON nest, counting stops just past ``limit``."""
    level, layer = 0, [value]
    while layer and level <= limit:
        inner = [x for x in layer if isinstance(x, (dict, list))]
        layer = [y for x in inner for y in (x.values() if isinstance(x, dict) else x)]
        level += bool(inner)
    return level


_COMPACT = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False)
"""Made once: `json.dumps` with options builds one a call, and events come in thousands."""


def _json_text(value: Mapping[str, Any], code: str, name: str, index: int | None = None) -> str:
    details = {"field": name} if index is None else {"field": name, "index": index}
    if not isinstance(value, Mapping):
        raise ContractError(code, f"{name} must be an object", details)
    try:
        text = _COMPACT.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ContractError(code, f"{name} must be plain JSON", details) from error
    if len(text) > MAX_META_BYTES or "\\ud" in text or "\\u0000" in text:
        _check_rare_text(value, text, code, name, details)
    return text


def _check_rare_text(value: Any, text: str, code: str, name: str, details: Mapping[str, Any]) -> None:
    if len(text) > MAX_META_BYTES:
        raise ContractError(code, f"{name} may hold at most {MAX_META_BYTES} bytes", {**details, "max": MAX_META_BYTES})
    if not is_encodable(json.dumps(value, ensure_ascii=False)) or "\\u0000" in text:
        raise ContractError(code, f"{name} holds text that cannot be stored", details)


def _item_error(code: str, message: str, name: str, index: int) -> ContractError:
    return ContractError(code, message, {"index": index, "field": name})


def _is_number(value: object) -> bool:
    """A finite number; whole numbers too large for a float are not."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_within(value: object, low: float, high: float) -> bool:
    return _is_number(value) and low <= value <= high  # type: ignore[operator]  # a number by the first test
