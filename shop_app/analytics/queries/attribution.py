"""Who gets the credit for an order line, and the proof that the credits add up to the orders.

Rule: of the shopper's recommended clicks on the same item in the 7 days before the order, the last one counts; the
click that the basket line itself remembers is among them. Up to 24 hours it is the main credit (`click_24h`), later
`click_7d`. Without one, a recommended card of the item seen in the 24 hours before gives `view`, which is never added
to clicks. Everything else is organic. A line has exactly one credit.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from shop_app.accounts.models import IdentityMerge
from shop_app.analytics.models import OrderLineCredit
from shop_app.analytics.queries.cells import arm_of, counted
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.tracking.models import TrackedEvent

MAIN_WINDOW = timedelta(hours=24)
LONG_WINDOW = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Touch:
    """A recommended card clicked or seen."""

    at: datetime
    surface: str
    widget: str
    rank: int
    request_id: str
    device: str = ""


def uncredited_lines(limit: int) -> Sequence[OrderLine]:
    """Order lines without a verdict, oldest first, their orders loaded. Imported orders came before any widget."""
    query = (
        select(OrderLine)
        .join(Order)
        .outerjoin(OrderLineCredit, OrderLineCredit.order_line_id == OrderLine.id)
        .where(OrderLineCredit.order_line_id.is_(None), Order.is_imported.is_(False))
        .order_by(OrderLine.id)
        .limit(limit)
        .options(joinedload(OrderLine.order))
    )
    return db.session.scalars(query).all()


def touches(lines: Sequence[OrderLine]) -> dict[int, tuple[list[Touch], list[Touch]]]:
    """Order line id → its recommended clicks (7 days) and views (24 hours) before the order, in no order."""
    people = _keys_of([line.order.shopper_key for line in lines])
    events = _recommended_events(lines, {key for keys in people.values() for key in keys})
    by_place: dict[tuple[str, str], list[TrackedEvent]] = {}
    for event in events:
        by_place.setdefault((event.shopper_key, event.item_id or ""), []).append(event)
    found = {}
    for line in lines:
        own = [e for key in people[line.order.shopper_key] for e in by_place.get((key, line.item_id), [])]
        found[line.id] = (_clicks(line, own), _views(line, own))
    return found


def arms_of(request_ids: Collection[str]) -> dict[str, str]:
    """Answer → the arm its cards were shown under; empty without an experiment, absent when no card was seen."""
    arm = func.max(arm_of(TrackedEvent.meta))
    query = select(TrackedEvent.request_id, arm).where(
        TrackedEvent.request_id.in_(request_ids), TrackedEvent.type == int(EventKind.VIEW)
    )
    rows = db.session.execute(query.group_by(TrackedEvent.request_id))
    return {request_id: found for request_id, found in rows if request_id}


def _keys_of(member_keys: Sequence[str]) -> dict[str, list[str]]:
    """Every key a person was known by: what they did before signing in counts."""
    keys = {key: [key] for key in member_keys}
    merged = select(IdentityMerge.member_key, IdentityMerge.anonymous_key).where(IdentityMerge.member_key.in_(keys))
    for member, anonymous in db.session.execute(merged):
        keys[member].append(anonymous)
    return keys


def _recommended_events(lines: Sequence[OrderLine], keys: set[str]) -> Sequence[TrackedEvent]:
    if not lines:
        return []
    placed = [line.order.placed_at for line in lines]
    query = select(TrackedEvent).where(
        counted(),
        TrackedEvent.shopper_key.in_(keys),
        TrackedEvent.item_id.in_({line.item_id for line in lines}),
        TrackedEvent.type.in_([int(EventKind.VIEW), int(EventKind.CLICK)]),
        TrackedEvent.recommended.is_(True),
        TrackedEvent.widget.is_not(None),
        TrackedEvent.occurred_at >= min(placed) - LONG_WINDOW,
        TrackedEvent.occurred_at <= max(placed),
    )
    return db.session.scalars(query).all()


def _clicks(line: OrderLine, events: Sequence[TrackedEvent]) -> list[Touch]:
    found = [_touch(e) for e in _within(line, events, EventKind.CLICK, LONG_WINDOW)]
    placed = line.order.placed_at
    if line.recommended and line.clicked_at and placed - LONG_WINDOW <= line.clicked_at <= placed:
        found.append(
            Touch(line.clicked_at, line.surface or "", line.widget or "", line.rank or 0, line.request_id or "")
        )
    return found


def _views(line: OrderLine, events: Sequence[TrackedEvent]) -> list[Touch]:
    return [_touch(event) for event in _within(line, events, EventKind.VIEW, MAIN_WINDOW)]


def _within(line: OrderLine, events: Sequence[TrackedEvent], kind: EventKind, window: timedelta) -> list[TrackedEvent]:
    placed = line.order.placed_at
    return [e for e in events if e.type == int(kind) and placed - window <= e.occurred_at <= placed]


def _touch(event: TrackedEvent) -> Touch:
    return Touch(
        event.occurred_at,
        event.surface or "",
        event.widget or "",
        event.rank or 0,
        event.request_id or "",
        event.device,
    )
