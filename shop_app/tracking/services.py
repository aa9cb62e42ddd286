"""Writing events down, in the transaction of what they tell about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shop_app.core.attribution import Attribution
from shop_app.core.events import EventKind
from shop_app.core.ids import new_anonymous_key
from shop_app.core.shopper import Shopper
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessEvent:
    """An add, a purchase line or an order summary, told by the server itself.

    `source_event_id` is derived from the row it tells about, so that telling twice changes nothing.
    """

    kind: EventKind
    source_event_id: str
    item_id: str | None
    value: float = 1.0
    attribution: Attribution | None = None
    order_number: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def record_business_events(events: Sequence[BusinessEvent], shopper: Shopper, now: datetime) -> None:
    """Add `events` to the log, inside the caller's transaction.

    Without consent to personalisation the person is replaced by a key made for this call alone: what was bought
    together is still learned, who bought it is not.
    """
    key = shopper.key if shopper.consent.personalisation else new_anonymous_key()
    session_id = shopper.session_id if shopper.consent.personalisation else None
    db.session.add_all(_row(event, key, session_id, shopper, now) for event in events)


def _row(event: BusinessEvent, key: str, session_id: str | None, shopper: Shopper, now: datetime) -> TrackedEvent:
    place = event.attribution
    return TrackedEvent(
        source_event_id=event.source_event_id,
        type=int(event.kind),
        shopper_key=key,
        session_id=session_id,
        item_id=event.item_id,
        value=event.value,
        occurred_at=now,
        received_at=now,
        surface=place.surface if place else None,
        widget=place.widget if place else None,
        rank=place.rank if place else None,
        request_id=place.request_id or None if place else None,
        recommended=bool(place and place.is_recommended),
        order_number=event.order_number,
        meta=dict(event.meta),
        device=shopper.device,
        is_bot=shopper.is_bot,
        is_qa=shopper.is_qa,
        next_attempt_at=now,
    )
