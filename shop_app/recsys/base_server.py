"""What the base server needs to be told differently, so that its known traps do no harm.

- It replaces whole items and users and takes a missing ``available`` for false: partial updates are rejected here.
- It ignores ``exclude_tags_any``: such a request is rejected here, since its answer would show what must not be shown.
- It reads ``null`` in a price range as 0, so open ends are spelled out.
- It recommends what is in the cart, so the cart and the product in view become explicit exclusions.
- It accepts whole numbers only for some overrides.
- It sends no request id; the caller mints one.
"""

from dataclasses import replace
from typing import Any

from recsys_engine.contract import UNSET, Item, RecommendRequest, User, encoding
from shop_app.recsys.gateway import RecsysRejected

_REPLACED_WHOLE = ("available", "tags", "props", "category_path")
_WHOLE_NUMBERS = (
    "popularity_halflife_days",
    "covis_window_days",
    "popularity_fanout",
    "brand_cap",
    "category_cap",
    "purchased_window_days",
    "profile_window_days",
    "profile_top_n",
)


def whole_item(item: Item) -> Item:
    """The item, if it carries everything this server would otherwise reset."""
    missing = [name for name in _REPLACED_WHOLE if getattr(item, name) is UNSET]
    if missing:
        raise RecsysRejected("partial_update_unsupported", "this server replaces items whole", {"missing": missing})
    return item


def whole_user(user: User) -> User:
    """The user, if it carries its traits."""
    if user.traits is UNSET:
        raise RecsysRejected("partial_update_unsupported", "this server replaces users whole", {"missing": ["traits"]})
    return user


def understood(request: RecommendRequest) -> RecommendRequest:
    """The same request in terms this server understands."""
    constraints = request.constraints
    if constraints.exclude_tags_any:
        details = {"field": "constraints.exclude_tags_any"}
        raise RecsysRejected("unsupported", "this server cannot exclude tags", details)
    for name in _WHOLE_NUMBERS:
        value = getattr(request.overrides, name)
        if value is not None and value != int(value):
            raise RecsysRejected("unsupported", f"this server takes whole numbers for {name}", {"field": name})
    shown = [*request.context.cart_item_ids, *filter(None, [request.context.item_id])]
    excluded = tuple(dict.fromkeys([*constraints.exclude_item_ids, *shown]))
    return replace(request, constraints=replace(constraints, exclude_item_ids=excluded))


def request_json(request: RecommendRequest) -> dict[str, Any]:
    """The body, with whole numbers whole and open price ends spelled out."""
    body = encoding.request_json(request)
    overrides = body.get("overrides", {})
    overrides.update({name: int(overrides[name]) for name in _WHOLE_NUMBERS if name in overrides})
    between = body.get("constraints", {}).get("price_between")
    if between is not None:
        low, high = between
        body["constraints"]["price_between"] = [low or 0] if high is None else [low or 0, high]
    return body
