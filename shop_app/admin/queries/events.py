"""Events and how far their delivery got; one answer followed from its impressions to the order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from shop_app.admin.paging import PAGE_SIZE
from shop_app.catalog.models import Product
from shop_app.core.errors import NotFound
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.outbox.models import ChangedEntity
from shop_app.tracking.models import TrackedEvent

TEXT_FILTERS = {
    "surface": TrackedEvent.surface,
    "widget": TrackedEvent.widget,
    "delivery": TrackedEvent.delivery,
    "request_id": TrackedEvent.request_id,
    "order": TrackedEvent.order_number,
    "item": TrackedEvent.item_id,
    "shopper": TrackedEvent.shopper_key,
    "session": TrackedEvent.session_id,
}


@dataclass(frozen=True, slots=True)
class EventPage:
    """Newest first. `older` continues below the last row and is None at the end."""

    rows: list[TrackedEvent]
    older: int | None


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How many events are where, how long the oldest has waited, and how many entities wait for their sync."""

    pending: int
    sent_today: int
    dead: int
    oldest_wait: timedelta | None
    items_waiting: int
    users_waiting: int


@dataclass(frozen=True, slots=True)
class AnswerItem:
    """One place of a list that was shown, and what came of it."""

    rank: int
    item_id: str
    title: str
    events: tuple[TrackedEvent, ...]
    lines: tuple[OrderLine, ...]


def events(wanted: Mapping[str, str], before_id: int | None) -> EventPage:
    """One page of the events that fit every filter of `wanted` (see `TEXT_FILTERS`, and `type`)."""
    query = select(TrackedEvent)
    for name, column in TEXT_FILTERS.items():
        if wanted.get(name):
            query = query.where(column == wanted[name].strip())
    if wanted.get("type", "").isdigit():
        query = query.where(TrackedEvent.type == int(wanted["type"]))
    if wanted.get("people") == "real":
        query = query.where(TrackedEvent.is_bot.is_(False), TrackedEvent.is_qa.is_(False))
    return _page(query, before_id)


def event(event_id: int) -> TrackedEvent:
    """One event.

    Raises:
        NotFound: there is none.

    """
    found = db.session.get(TrackedEvent, event_id)
    if found is None:
        raise NotFound("There is no such event.")
    return found


def answer_items(request_id: str) -> list[AnswerItem]:
    """Everything that happened to the list `request_id`, by rank.

    Raises:
        NotFound: no event and no order line mentions it.

    """
    told = db.session.scalars(
        select(TrackedEvent).where(TrackedEvent.request_id == request_id).order_by(TrackedEvent.id)
    ).all()
    lines = db.session.scalars(select(OrderLine).join(Order).where(OrderLine.request_id == request_id)).all()
    if not told and not lines:
        raise NotFound("Nothing in the shop mentions this answer.")
    places = {(e.item_id or "") for e in told if e.item_id} | {line.item_id for line in lines}
    titles = dict(db.session.execute(select(Product.sku, Product.title).where(Product.sku.in_(places))).all())
    found = [
        AnswerItem(
            rank=_first_rank(item, told, lines),
            item_id=item,
            title=titles.get(item, item),
            events=tuple(e for e in told if e.item_id == item),
            lines=tuple(line for line in lines if line.item_id == item),
        )
        for item in places
    ]
    return sorted(found, key=lambda place: (place.rank, place.item_id))


def _first_rank(item: str, told: Sequence[TrackedEvent], lines: Sequence[OrderLine]) -> int:
    ranks = [(e.item_id, e.rank) for e in told] + [(line.item_id, line.rank) for line in lines]
    return min((rank for where, rank in ranks if where == item and rank), default=0)


def delivery_state(now: datetime) -> DeliveryState:
    """Where everything on its way to Recsys is. Nothing here reads the whole log."""
    by_kind = db.session.execute(select(ChangedEntity.kind, func.count()).group_by(ChangedEntity.kind))
    waiting = {kind: number for kind, number in by_kind}  # noqa: C416 - typed, unlike dict() of rows
    oldest = db.session.scalar(select(func.min(TrackedEvent.received_at)).where(TrackedEvent.delivery == "pending"))
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return DeliveryState(
        pending=_count(TrackedEvent.delivery == "pending"),
        sent_today=_count(TrackedEvent.occurred_at >= today, TrackedEvent.delivery == "sent"),
        dead=_count(TrackedEvent.delivery == "dead"),
        oldest_wait=now - oldest if oldest else None,
        items_waiting=waiting.get("item", 0),
        users_waiting=waiting.get("user", 0),
    )


def _count(*conditions: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count()).select_from(TrackedEvent).where(*conditions)) or 0


@dataclass(frozen=True, slots=True)
class DeadReason:
    """Why events were refused, under which version of their schema (0: it was not kept then), how many, and when the
    first and the last of them were received.
    """

    code: str
    path: str
    schema: int
    count: int
    first_at: datetime
    last_at: datetime


def dead_reasons() -> list[DeadReason]:
    """The commonest first."""
    number = func.count()
    reason = (TrackedEvent.error_code, TrackedEvent.error_path, TrackedEvent.error_schema)
    rows = db.session.execute(
        select(
            *reason,
            number,
            func.min(TrackedEvent.received_at),
            func.max(TrackedEvent.received_at),
        )
        .where(TrackedEvent.delivery == "dead")
        .group_by(*reason)
        .order_by(number.desc(), *reason)
    )
    return [
        DeadReason(code or "unknown", path or "", schema or 0, count, first, last)
        for code, path, schema, count, first, last in rows
    ]


def _page(query: Select[Any], before_id: int | None) -> EventPage:
    if before_id is not None:
        query = query.where(TrackedEvent.id < before_id)
    rows = list(db.session.scalars(query.order_by(TrackedEvent.id.desc()).limit(PAGE_SIZE + 1)))
    more = len(rows) > PAGE_SIZE
    shown = rows[:PAGE_SIZE]
    return EventPage(shown, shown[-1].id if more else None)
