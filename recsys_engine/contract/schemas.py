"""Marshmallow schemas: the one description of every body; JSON Schema and OpenAPI are generated from them.

Unknown fields are ignored, as the base API does. Ranges that need more than one field are checked in ``checks``.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from recsys_engine.contract.limits import (
    DEFAULT_K,
    EMBEDDING_DIM,
    MAX_ABS_VALUE,
    MAX_CONSTRAINT_IDS,
    MAX_CONTEXT_ITEMS,
    MAX_EVENT_TYPE,
    MAX_EVENTS_PER_CALL,
    MAX_ID_CHARS,
    MAX_ITEMS_PER_CALL,
    MAX_K,
    MAX_PRICE,
    MAX_RERANK_ITEMS,
    MAX_TAGS,
    MAX_TEXT_CHARS,
    MAX_USERS_PER_CALL,
)

ID_LENGTH = validate.Length(1, MAX_ID_CHARS)


class StrictFloat(fields.Float):
    """A finite JSON number; texts and booleans are refused."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.make_error("invalid", input=value)
        try:
            return super()._deserialize(value, attr, data, **kwargs)
        except OverflowError as error:
            raise self.make_error("invalid", input=value) from error


class StrictBool(fields.Boolean):
    """JSON true or false only."""

    truthy = {True}  # noqa: RUF012 - marshmallow's own class attribute
    falsy = {False}  # noqa: RUF012 - see above

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


def identifier(**kwargs: Any) -> fields.String:
    """1–200 visible characters."""
    return fields.String(validate=ID_LENGTH, **kwargs)


def text(**kwargs: Any) -> fields.String:
    """Free text."""
    return fields.String(validate=validate.Length(max=MAX_TEXT_CHARS), allow_none=True, **kwargs)


def words(most: int, **kwargs: Any) -> fields.List[str]:
    """A list of short texts."""
    return fields.List(fields.String(validate=ID_LENGTH), validate=validate.Length(max=most), **kwargs)


def json_object(**kwargs: Any) -> fields.Dict:
    """Any JSON object."""
    return fields.Dict(keys=fields.String(), allow_none=True, **kwargs)


class BaseSchema(Schema):
    """Ignores unknown fields."""

    class Meta:  # noqa: D106 - marshmallow's options
        unknown = EXCLUDE


class ItemSchema(BaseSchema):
    """A product. A field left out keeps its stored value; null clears it; on insert ``available`` defaults to true."""

    item_id = identifier(required=True, metadata={"description": "stable id, the shop's SKU"})
    available = StrictBool(metadata={"description": "may be recommended; false when out of stock or archived"})
    price = StrictFloat(
        allow_none=True,
        validate=validate.Range(0, MAX_PRICE),
        metadata={"description": "major units of the namespace's currency"},
    )
    tags = words(
        MAX_TAGS,
        allow_none=True,
        metadata={"description": "brand:x, category:x, cat:x and free facets such as color:black"},
    )
    props = json_object(
        metadata={
            "description": "title, url, image_url, stock, parent_id (groups variants), currency, popularity_hint …"
        }
    )
    embedding = fields.List(
        StrictFloat(),
        allow_none=True,
        validate=validate.Length(equal=EMBEDDING_DIM),
        metadata={"description": "sentence embedding; normalised by the engine"},
    )
    brand = text()
    category = text()
    category_path = words(MAX_TAGS, allow_none=True, metadata={"description": "from the root down"})
    description = text()
    image_url = text()
    metadata_version = text()


class UserSchema(BaseSchema):
    """A shopper. Traits hold no personal data."""

    user_id = identifier(required=True, metadata={"description": "opaque key: u_… member, a_… anonymous"})
    traits = json_object(
        metadata={"description": "locale, device, country, loyalty_tier, segment … never e-mail or phone"}
    )


class EventSchema(BaseSchema):
    """One thing a shopper did."""

    user_id = identifier(required=True)
    item_id = fields.String(
        validate=validate.Length(max=MAX_ID_CHARS),
        allow_none=True,
        metadata={"description": "absent or empty for order-level events"},
    )
    type = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(0, MAX_EVENT_TYPE),
        metadata={"description": "0 view, 1 click, 2 add, 3 purchase, 4 custom"},
    )
    value = StrictFloat(
        load_default=1.0,
        allow_none=True,
        validate=validate.Range(-MAX_ABS_VALUE, MAX_ABS_VALUE),
        metadata={"description": "quantity"},
    )
    ts = fields.String(
        allow_none=True,
        metadata={"format": "date-time", "description": "RFC 3339 with zone; absent = now; at most 5 min ahead"},
    )
    meta = json_object(
        metadata={
            "description": "surface, widget, recommended, request_id, rank, session_id, referrer, href, text, cart_id, "
            "unit_price (minor units), currency, order_id, kind, total, items, experiment, ab_bucket"
        }
    )
    source_event_id = identifier(allow_none=True, metadata={"description": "a repeat of it changes nothing"})


class NamespacedSchema(BaseSchema):
    """Carries the namespace of the call."""

    namespace = fields.String(validate=validate.Length(max=MAX_ID_CHARS), allow_none=True)


class ItemsBodySchema(NamespacedSchema):
    items = fields.List(fields.Nested(ItemSchema), allow_none=True, metadata={"max": MAX_ITEMS_PER_CALL})


class UsersBodySchema(NamespacedSchema):
    users = fields.List(fields.Nested(UserSchema), allow_none=True, metadata={"max": MAX_USERS_PER_CALL})


class EventsBodySchema(NamespacedSchema):
    events = fields.List(fields.Nested(EventSchema), allow_none=True, metadata={"max": MAX_EVENTS_PER_CALL})


class ConstraintsSchema(BaseSchema):
    include_tags_any = words(MAX_TAGS, allow_none=True)
    exclude_tags_any = words(MAX_TAGS, allow_none=True)
    exclude_item_ids = words(MAX_CONSTRAINT_IDS, allow_none=True)
    price_between = fields.List(
        StrictFloat(allow_none=True),
        allow_none=True,
        validate=validate.Length(1, 2),
        metadata={"description": "[min], [min, max], [min, null] or [null, max], inclusive"},
    )
    created_after = fields.String(allow_none=True, metadata={"format": "date-time"})


class BlendSchema(BaseSchema):
    pop = StrictFloat(load_default=0.0)
    cooc = StrictFloat(load_default=0.0)
    als = StrictFloat(load_default=0.0)


class OverridesSchema(BaseSchema):
    popularity_halflife_days = StrictFloat(allow_none=True)
    covis_window_days = StrictFloat(allow_none=True)
    popularity_fanout = StrictFloat(allow_none=True)
    mmr_lambda = StrictFloat(allow_none=True)
    brand_cap = StrictFloat(allow_none=True)
    category_cap = StrictFloat(allow_none=True)
    rule_exclude_events = StrictBool(allow_none=True)
    purchased_window_days = StrictFloat(allow_none=True)
    profile_window_days = StrictFloat(allow_none=True)
    profile_boost = StrictFloat(allow_none=True)
    profile_top_n = StrictFloat(allow_none=True)
    profile_starter_blend_weight = StrictFloat(allow_none=True)
    blend_alpha = StrictFloat(allow_none=True)
    blend_beta = StrictFloat(allow_none=True)
    blend_gamma = StrictFloat(allow_none=True)
    exploration_rate = StrictFloat(allow_none=True)


class RecommendSchema(NamespacedSchema):
    """A request for a list."""

    user_id = fields.String(validate=validate.Length(max=MAX_ID_CHARS), allow_none=True)
    k = fields.Integer(strict=True, allow_none=True, metadata={"minimum": 1, "maximum": MAX_K, "default": DEFAULT_K})
    surface = fields.String(validate=validate.Length(max=MAX_ID_CHARS), allow_none=True)
    context = json_object(
        metadata={
            "description": "surface, item_id (in view), cart_item_ids[], session_item_ids[], session_id; "
            f"at most {MAX_CONTEXT_ITEMS} ids a list; every key reaches segment rules as ctx.*"
        }
    )
    constraints = fields.Nested(ConstraintsSchema, allow_none=True)
    blend = fields.Nested(BlendSchema, allow_none=True)
    overrides = fields.Nested(OverridesSchema, allow_none=True)
    include_reasons = StrictBool(allow_none=True)
    explain_level = fields.String(allow_none=True, metadata={"enum": ["tags", "numeric", "full"]})


class RerankItemSchema(BaseSchema):
    item_id = fields.String(required=True)
    score = StrictFloat(allow_none=True)


class RerankSchema(RecommendSchema):
    """A request to order given items."""

    items = fields.List(fields.Nested(RerankItemSchema), required=True, metadata={"max": MAX_RERANK_ITEMS})


class EventTypeSchema(BaseSchema):
    type = fields.Integer(required=True, strict=True)
    name = fields.String(allow_none=True, validate=validate.Length(max=MAX_ID_CHARS))
    weight = StrictFloat(required=True)
    half_life_days = StrictFloat(allow_none=True)
    is_active = StrictBool(allow_none=True)


class EventTypesBodySchema(NamespacedSchema):
    types = fields.List(fields.Nested(EventTypeSchema), required=True, validate=validate.Length(max=100))


class DeleteSchema(NamespacedSchema):
    user_id = fields.String(allow_none=True)
    item_id = fields.String(allow_none=True)
    event_type = fields.Integer(strict=True, allow_none=True)
    created_after = fields.String(allow_none=True, metadata={"format": "date-time"})
    created_before = fields.String(allow_none=True, metadata={"format": "date-time"})
    confirm_all = StrictBool(load_default=False)


class ForgetSchema(NamespacedSchema):
    user_ids = fields.List(fields.String(), required=True, validate=validate.Length(1, MAX_USERS_PER_CALL))


def first_problem(error: ValidationError) -> tuple[str, str]:
    """``(path, message)`` of the first thing a schema found wrong."""
    node: Any = error.messages
    path: list[str] = []
    while isinstance(node, Mapping) and node:
        key, node = next(iter(node.items()))
        if key != "_schema":
            path.append(str(key))
    message = node[0] if isinstance(node, list) and node else "invalid"
    return ".".join(path), str(message)
