"""What the base server needs to be told differently, so that its known traps do no harm.

- It replaces whole items and users and takes a missing ``available`` for false: partial updates are rejected here.
- It cannot clear a text with ``null``; an empty text does. A price, once set, cannot be cleared at all.
- It ignores ``exclude_tags_any``: such a request is rejected here, since its answer would show what must not be shown.
- It reads ``null`` in a price range as 0, so open ends are spelled out.
- It recommends what is in the cart, so the cart and the product in view become explicit exclusions.
- It accepts whole numbers only for some overrides.
- It sends no request id; the caller mints one and sends it along, so that its audit knows the list by the same name.
- It takes numbers left out of a policy or a profile for 0: such a one is rejected here.
- Its configuration belongs to all its tenants at once, and a part of it would set the rest to 0: never sent from here.
- Its bandit tells neither a decision nor a propensity, so nothing could be rewarded or evaluated: not used.
- It says 500 to some mistakes of the caller: on those routes a 500 is final.
"""

from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from recsys_engine.contract import UNSET, Item, RecommendRequest, User, encoding
from recsys_engine.contract.control import Policy, SegmentProfile
from shop_app.recsys.gateway import RecsysRejected

Knobbed = TypeVar("Knobbed", Policy, SegmentProfile)

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


_TEXTS = ("brand", "category", "description", "image_url", "metadata_version")
_KNOBS = (
    "blend_alpha",
    "blend_beta",
    "blend_gamma",
    "mmr_lambda",
    "brand_cap",
    "category_cap",
    "profile_boost",
    "rule_exclude_events",
    "half_life_days",
    "co_vis_window_days",
    "popularity_fanout",
)
_PROFILE_KNOBS = (*_KNOBS, "profile_window_days", "profile_top_n", "purchased_window_days")


def whole_item(item: Item) -> Item:
    """The item, if it carries everything this server would otherwise reset; cleared texts as empty ones."""
    missing = [name for name in _REPLACED_WHOLE if getattr(item, name) is UNSET]
    if missing:
        raise RecsysRejected("partial_update_unsupported", "this server replaces items whole", {"missing": missing})
    cleared: dict[str, Any] = {name: "" for name in _TEXTS if getattr(item, name) is None}
    return replace(item, **cleared)


def whole_user(user: User) -> User:
    """The user, if it carries its traits."""
    if user.traits is UNSET:
        raise RecsysRejected("partial_update_unsupported", "this server replaces users whole", {"missing": ["traits"]})
    return user


def whole_policy(policy: Policy) -> Policy:
    """The policy, if it names every number this server would otherwise take for 0."""
    return _with_every_knob(policy, _KNOBS)


def whole_profile(profile: SegmentProfile) -> SegmentProfile:
    """The profile, if it names every number this server would otherwise take for 0."""
    return _with_every_knob(profile, _PROFILE_KNOBS)


def _with_every_knob(one: Knobbed, names: tuple[str, ...]) -> Knobbed:
    missing = [name for name in names if name not in one.knobs]
    if missing:
        message = "this server takes numbers left out for 0"
        raise RecsysRejected("partial_update_unsupported", message, {"missing": missing})
    return one


def refuse(what: str) -> NoReturn:
    """Reject a verb this server does not have, or has in a way that does harm."""
    raise RecsysRejected("unsupported", f"this server {what}")


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
