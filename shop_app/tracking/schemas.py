"""What a browser may tell us, one event at a time. Anything else is refused with a code and a path.

The schema is the rule. Twenty events a beacon through it would be the larger part of the intake's cost, so an event of
the shape our own tracker sends is taken by `_quick`, which accepts a part of what the schema accepts and leaves the
rest, and every refusal, to the schema.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from shop_app.core.events import EventKind
from shop_app.tracking.services import BrowserEvent

MAX_BODY_BYTES = 64 * 1024
"""The limit browsers put on a beacon."""
MAX_EVENTS = 500
MAX_EPOCH_MS = 4_102_444_800_000
"""The year 2100: a clock beyond it is nonsense."""
TYPES = {"view": EventKind.VIEW, "click": EventKind.CLICK}
"""The only kinds a browser may send: adds and purchases are told by the server itself (RS-022, RS-023)."""
NAME = r"^[a-z][a-z0-9_]{0,39}\Z"
ID = r"^[A-Za-z0-9_-]{8,64}\Z"
ITEM_ID = r"^[A-Za-z0-9._~-]{1,100}\Z"
REQUEST_ID = r"^[A-Za-z0-9_./:-]{0,80}\Z"
MAX_RANK = 1000
MAX_HREF, MAX_TEXT, MAX_REFERRER = 500, 200, 2000
QUICK_FIELDS = frozenset(
    ("id", "type", "kind", "item_id", "surface", "widget", "rank", "request_id", "recommended", "created_at", "href",
     "text", "referrer")
)  # fmt: skip
"""What an event without an experiment carries; one with other fields goes to the schema."""
_is_name, _is_id, _is_item_id, _is_request_id = (re.compile(p).match for p in (NAME, ID, ITEM_ID, REQUEST_ID))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one event is not taken: a machine word and the field at fault."""

    event_id: str | None
    code: str
    path: str


class BrowserEventSchema(Schema):
    """One event as the tracker sends it. Unknown fields are dropped: an old page must not lose its events."""

    class Meta:  # noqa: D106  (marshmallow's options)
        unknown = EXCLUDE

    id = fields.String(required=True, validate=validate.Regexp(ID))
    type = fields.String(required=True, validate=validate.OneOf(TYPES))
    kind = fields.String(load_default="", validate=validate.OneOf(["", "impression"]))
    item_id = fields.String(required=True, validate=validate.Regexp(ITEM_ID))
    surface = fields.String(required=True, validate=validate.Regexp(NAME))
    widget = fields.String(load_default=None, allow_none=True, validate=validate.Regexp(NAME))
    rank = fields.Integer(load_default=None, allow_none=True, strict=True, validate=validate.Range(1, MAX_RANK))
    request_id = fields.String(load_default=None, allow_none=True, validate=validate.Regexp(REQUEST_ID))
    recommended = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    created_at = fields.Integer(required=True, strict=True, validate=validate.Range(0, MAX_EPOCH_MS))
    href = fields.String(load_default="", validate=validate.Length(max=MAX_HREF))
    text = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))
    referrer = fields.String(load_default="", validate=validate.Length(max=MAX_REFERRER))
    experiment = fields.String(load_default="", validate=validate.Regexp(r"^[a-z0-9_.-]{0,60}\Z"))
    ab_bucket = fields.String(load_default="", validate=validate.Regexp(r"^[A-Za-z0-9_.-]{0,60}\Z"))

    @validates_schema(skip_on_field_errors=True)
    def _placed(self, data: Mapping[str, Any], **_: Any) -> None:
        """Only a page's own view stands outside a widget; what stands in one has a rank."""
        is_page_view = data["type"] == "view" and not data["kind"]
        if not is_page_view and not data["widget"]:
            raise ValidationError("missing_widget", "widget")
        if data["widget"] and data["rank"] is None:
            raise ValidationError("missing_rank", "rank")


_SCHEMA = BrowserEventSchema()


def judge(raw: Any) -> BrowserEvent | Refusal:
    """Decide about one event alone."""
    if not isinstance(raw, dict):
        return Refusal(None, "not_an_object", "")
    return _quick(raw) or _by_schema(raw)


def _quick(raw: Mapping[str, Any]) -> BrowserEvent | None:
    """The event, when it is of the usual shape and valid beyond doubt; else nothing, and the schema decides."""
    try:
        event_id, item_id, surface, kind = raw["id"], raw["item_id"], raw["surface"], TYPES[raw["type"]]
        created_ms = raw["created_at"]
        mark, recommended = raw.get("kind", ""), raw.get("recommended", False)
        widget, rank, request_id = raw.get("widget"), raw.get("rank"), raw.get("request_id")
        href, text, referrer = raw.get("href", ""), raw.get("text", ""), raw.get("referrer", "")
        is_valid = (
            raw.keys() <= QUICK_FIELDS
            and mark in ("", "impression")
            and type(created_ms) is int
            and 0 <= created_ms <= MAX_EPOCH_MS
            and type(recommended) is bool
            and len(href) <= MAX_HREF
            and len(text) <= MAX_TEXT
            and len(referrer) <= MAX_REFERRER
            and type(href) is type(text) is type(referrer) is str
            and (request_id is None or _is_request_id(request_id))
            and (_is_placed(widget, rank) if widget else widget is rank is None and kind is EventKind.VIEW and not mark)
            and _is_id(event_id)
            and _is_item_id(item_id)
            and _is_name(surface)
        )
    except (KeyError, TypeError):  # a field is missing or of another type
        return None
    if not is_valid:
        return None
    return BrowserEvent(
        event_id=event_id,
        kind=kind,
        item_id=item_id,
        surface=surface,
        widget=widget,
        rank=rank,
        request_id=request_id or None,
        created_ms=created_ms,
        is_impression=mark == "impression",
        is_recommended=recommended and bool(request_id),
        href=href,
        text=text,
        referrer=referrer,
    )


def _is_placed(widget: Any, rank: Any) -> bool:
    return bool(type(rank) is int and 1 <= rank <= MAX_RANK and _is_name(widget))


def _by_schema(raw: dict[str, Any]) -> BrowserEvent | Refusal:
    try:
        data: dict[str, Any] = _SCHEMA.load(raw)
    except ValidationError as error:
        path = next(iter(error.messages), "")
        given = raw.get("id")
        code = "missing_field" if path not in raw else "invalid_field"
        return Refusal(given if isinstance(given, str) else None, code, path)
    return BrowserEvent(
        event_id=data["id"],
        kind=TYPES[data["type"]],
        item_id=data["item_id"],
        surface=data["surface"],
        widget=data["widget"],
        rank=data["rank"],
        request_id=data["request_id"] or None,
        created_ms=data["created_at"],
        is_impression=data["kind"] == "impression",
        is_recommended=data["recommended"] and bool(data["request_id"]),
        href=data["href"],
        text=data["text"],
        referrer=data["referrer"],
        experiment=data["experiment"],
        ab_bucket=data["ab_bucket"],
    )
