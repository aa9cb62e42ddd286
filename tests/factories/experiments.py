"""Experiments and the events of shoppers who meet them."""

from datetime import datetime
from itertools import count
from typing import Any

from shop_app.core.events import EventKind
from shop_app.experiments.services import ExperimentPlan, Variant
from shop_app.tracking.models import TrackedEvent

_numbers = count(1)


def a_plan(**changes: Any) -> ExperimentPlan:
    """More cards in "similar products", judged by click rate."""
    values: dict[str, Any] = {
        "key": "more-cards",
        "hypothesis": "Twelve cards are clicked more often than eight.",
        "decision_rule": "Ship when the split is clean, guardrails hold and the interval of the click rate excludes 0.",
        "slot": "pdp.similar",
        "variants": (Variant("control", 0.5), Variant("twelve", 0.5, {"k": 12})),
        "primary_metric": "ctr",
        "planned_units": 2000,
    }
    return ExperimentPlan(**(values | changes))


def a_tracked_event(kind: EventKind, shopper_key: str, at: datetime, **changes: Any) -> TrackedEvent:
    """An event on the slot of `a_plan`."""
    values: dict[str, Any] = {
        "source_event_id": f"test-{next(_numbers)}",
        "type": int(kind),
        "shopper_key": shopper_key,
        "session_id": "s_1",
        "item_id": "sku-1",
        "occurred_at": at,
        "received_at": at,
        "surface": "pdp",
        "widget": "similar",
        "recommended": True,
        "device": "phone",
        "next_attempt_at": at,
        "meta": {},
    }
    return TrackedEvent(**(values | changes))
