"""From a contract request to what the pipeline wants: settings by precedence, a query, limits in index form."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from recsys_engine.contract.requests import Constraints, RecommendRequest
from recsys_engine.domain import NO_ITEM, FloatArray, History, IntArray, Limits, Query, Settings
from recsys_engine.signals.state import LiveState

HISTORY_EVENTS = 1000
ANCHORS = 20
HISTORY_SHARE = 0.25
"""Weight of the shopper's history beside a product in view or a cart."""
_FADE = 0.85
"""Each older item of a history or session counts this much of the next newer one."""
_FADED = tuple(_FADE**place for place in range(ANCHORS))
_FADED_SUMS = tuple(sum(_FADED[:count]) for count in range(ANCHORS + 1))

_NOTHING: IntArray = np.empty(0, np.int64)
BLEND_FEATURES = ("recent_popularity", "co_visitation_raw", "embedding_similarity")
BLEND_FANOUT = 1000

# Contract knob -> settings field.
_KNOBS: Mapping[str, str] = MappingProxyType(
    {
        "popularity_halflife_days": "popularity_half_life_days",
        "half_life_days": "popularity_half_life_days",
        "covis_window_days": "covis_window_days",
        "co_vis_window_days": "covis_window_days",
        "min_brands": "min_brands",
        "profile_starter_blend_weight": "profile_starter_weight",
        "mmr_lambda": "mmr_lambda",
        "brand_cap": "brand_cap",
        "category_cap": "category_cap",
        "profile_window_days": "profile_window_days",
        "profile_boost": "profile_boost",
        "profile_top_n": "profile_top_n",
        "profile_top_n_tags": "profile_top_n",
        "profile_min_events_for_boost": "profile_min_events",
        "profile_cold_start_multiplier": "profile_cold_multiplier",
        "exploration_rate": "exploration_rate",
    }
)


def apply_knobs(settings: Settings, knobs: Mapping[str, Any]) -> Settings:
    """Settings with one layer of contract knobs on top; absent and None knobs change nothing."""
    given = {name: value for name, value in knobs.items() if value is not None}
    changes: dict[str, Any] = {field: given[knob] for knob, field in _KNOBS.items() if knob in given}
    for name in ("brand_cap", "category_cap", "min_brands", "profile_top_n", "profile_min_events"):
        if name in changes:
            changes[name] = int(changes[name])
    if "rule_exclude_events" in given or "purchased_window_days" in given:
        excludes = given.get("rule_exclude_events", settings.exclude_bought_days is not None)
        window = given.get("purchased_window_days", settings.exclude_bought_days or 30.0)
        changes["exclude_bought_days"] = float(window) if excludes else None
    if "popularity_fanout" in given:
        changes["generators"] = {**settings.generators, "recent_popularity": int(given["popularity_fanout"])}
    blend = [given.get(name) for name in ("blend_alpha", "blend_beta", "blend_gamma")]
    if any(weight is not None for weight in blend):
        changes.update(_blend_changes([float(weight or 0.0) for weight in blend]))
    return replace(settings, **changes) if changes else settings


def apply_blend(settings: Settings, pop: float, cooc: float, als: float) -> Settings:
    """The request's own blend: exactly these three weights. Negatives count as 0; all zero means popularity."""
    weights = [max(weight, 0.0) for weight in (pop, cooc, als)]
    if not any(weights):
        weights = [1.0, 0.0, 0.0]
    return replace(settings, **_blend_changes(weights), is_plain_blend=True)


def _blend_changes(weights: list[float]) -> dict[str, Any]:
    return {
        "weights": dict(zip(BLEND_FEATURES, weights, strict=True)),
        "generators": dict.fromkeys(BLEND_FEATURES, BLEND_FANOUT),
    }


def build_query(state: LiveState, request: RecommendRequest, settings: Settings, now_s: float) -> Query:
    """Look everything up by index once."""
    shelf = state.catalog.shelf()
    context = request.context
    history = state.histories.history(request.user_id, HISTORY_EVENTS)
    view = state.catalog.index.get(context.item_id or "", NO_ITEM)
    cart = _known(state, context.cart_item_ids)
    session = _known(state, context.session_item_ids[::-1])[::-1]  # of an item seen twice the later place counts
    anchors, weights = _anchors(view, cart, session, _within_reach(history, settings.covis_window_days, now_s))
    return Query(
        shelf, now_s, context.surface, request.user_id, history, view, cart, session, anchors, weights, settings
    )


def _within_reach(history: History, window_days: float | None, now_s: float) -> History:
    """The events that may speak as anchors: all, or those of the last ``covis_window_days``."""
    if window_days is None or not history.size:
        return history
    keep = history.ts_s >= now_s - window_days * 86400
    return History(
        history.items[keep], history.ts_s[keep], history.types[keep], history.values[keep], history.baskets[keep]
    )


def _known(state: LiveState, ids: tuple[str, ...]) -> IntArray:
    if not ids:
        return _NOTHING
    index = state.catalog.index
    found = [index[item_id] for item_id in dict.fromkeys(ids) if item_id in index]
    return np.array(found, np.int64)


def _anchors(view: int, cart: IntArray, session: IntArray, history: History) -> tuple[IntArray, FloatArray]:
    """Distinct anchors with weights summing to 1: the product in view, else the cart, then what came before."""
    main = [view] if view != NO_ITEM else cart.tolist()[-ANCHORS:]
    before = [*reversed(session.tolist()), *reversed(history.items[-4 * ANCHORS :].tolist())]
    past = [item for item in dict.fromkeys(before) if item not in main][: ANCHORS - len(main)]
    return np.array([*main, *past], np.int64), _anchor_weights(len(main), len(past))


@lru_cache(maxsize=(ANCHORS + 1) ** 2)
def _anchor_weights(main: int, past: int) -> FloatArray:
    """The weights of so many main anchors and so many from the past, most important first; they never vary."""
    share, total = HISTORY_SHARE if main else 1.0, _FADED_SUMS[past]
    weights = [1.0 / max(main, 1)] * main + [share * faded / total for faded in _FADED[:past]]
    whole = sum(weights)
    found = np.array([weight / whole for weight in weights])
    found.setflags(write=False)
    return found


def build_limits(state: LiveState, query: Query, constraints: Constraints) -> Limits:
    """Constraints, the cart, the product in view and, if set, what was bought lately."""
    excluded = [_known(state, constraints.exclude_item_ids), query.cart]
    if query.view_item != NO_ITEM:
        excluded.append(np.array([query.view_item]))
    if query.settings.exclude_bought_days is not None:
        excluded.append(_bought_lately(query))
    low, high = constraints.price_between or (None, None)
    return Limits(
        excluded=np.concatenate(excluded),
        include_mask=state.catalog.tag_mask(constraints.include_tags_any) if constraints.include_tags_any else None,
        exclude_mask=state.catalog.tag_mask(constraints.exclude_tags_any) if constraints.exclude_tags_any else None,
        price_min=low,
        price_max=high,
        has_price_range=constraints.price_between is not None,
        created_after_s=constraints.created_after.timestamp() if constraints.created_after else None,
    )


def _bought_lately(query: Query) -> IntArray:
    days = query.settings.exclude_bought_days or 0.0
    history = query.history
    recent = history.ts_s >= query.now_s - days * 86400
    return history.items[recent & np.isin(history.types, query.settings.exclude_event_types)]
