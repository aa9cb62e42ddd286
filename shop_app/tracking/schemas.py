"""What a browser may tell us, one event at a time. Anything else is refused with a code and a path."""

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
NAME = r"^[a-z][a-z0-9_]{0,39}$"


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

    id = fields.String(required=True, validate=validate.Regexp(r"^[A-Za-z0-9_-]{8,64}$"))
    type = fields.String(required=True, validate=validate.OneOf(TYPES))
    kind = fields.String(load_default="", validate=validate.OneOf(["", "impression"]))
    item_id = fields.String(required=True, validate=validate.Regexp(r"^[A-Za-z0-9._~-]{1,100}$"))
    surface = fields.String(required=True, validate=validate.Regexp(NAME))
    widget = fields.String(load_default=None, allow_none=True, validate=validate.Regexp(NAME))
    rank = fields.Integer(load_default=None, allow_none=True, strict=True, validate=validate.Range(1, 1000))
    request_id = fields.String(
        load_default=None, allow_none=True, validate=validate.Regexp(r"^[A-Za-z0-9_./:-]{0,80}$")
    )
    recommended = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    created_at = fields.Integer(required=True, strict=True, validate=validate.Range(0, MAX_EPOCH_MS))
    href = fields.String(load_default="", validate=validate.Length(max=500))
    text = fields.String(load_default="", validate=validate.Length(max=200))
    referrer = fields.String(load_default="", validate=validate.Length(max=2000))
    experiment = fields.String(load_default="", validate=validate.Regexp(r"^[a-z0-9_.-]{0,60}$"))
    ab_bucket = fields.String(load_default="", validate=validate.Regexp(r"^[A-Za-z0-9_.-]{0,60}$"))

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
