"""Events as a browser sends them and as the shop tells them."""

import itertools
from datetime import datetime
from typing import Any

from shop_app.core.events import EventKind
from shop_app.core.shopper import Consent, Shopper
from shop_app.tracking.services import BusinessEvent, record_business_events

_numbers = itertools.count(1)
AGREED = Consent(analytics=True, personalisation=True, is_decided=True)


def a_browser_event(**overrides: Any) -> dict[str, Any]:
    """An impression of a recommended card, created one second before the epoch it is sent at."""
    return {
        "id": f"event-{next(_numbers):08}",
        "type": "view",
        "kind": "impression",
        "item_id": "MUG-1",
        "surface": "home",
        "widget": "top_picks",
        "rank": 3,
        "request_id": "req-1",
        "recommended": True,
        "created_at": 1_000_000,
        **overrides,
    }


def a_shopper(**overrides: Any) -> Shopper:
    """Somebody anonymous who agreed to everything."""
    return Shopper(**{"key": "a_one", "session_id": "s_one", "consent": AGREED, **overrides})


def tell_purchases(count: int, now: datetime, prefix: str = "order:1") -> list[str]:
    """Record purchase lines of one order; returns their ids. The caller's transaction."""
    ids = [f"{prefix}:{position}" for position in range(1, count + 1)]
    events = [BusinessEvent(kind=EventKind.PURCHASE, source_event_id=i, item_id="MUG-1", value=2.0) for i in ids]
    record_business_events(events, a_shopper(), now)
    return ids
