"""Do order lines, purchase events and Recsys agree? (RS-053) As set differences over a window of time."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, select, update
from sqlalchemy.orm import selectinload
from sqlalchemy.sql import ColumnElement

from recsys_engine.contract import DeleteFilter, Event, PageQuery
from shop_app.core.events import EventKind
from shop_app.core.ids import new_anonymous_key
from shop_app.core.shopper import Consent, Shopper
from shop_app.extensions import db
from shop_app.orders.models import ERASED_EMAIL, Order, OrderLine
from shop_app.orders.payloads import order_events
from shop_app.recsys.gateway import RecsysGateway
from shop_app.tracking.models import TrackedEvent
from shop_app.tracking.services import record_business_events

log = logging.getLogger(__name__)

SETTLED_AFTER = timedelta(minutes=1)
"""Younger orders may still be on their way."""
PAGE = 1000
CHUNK = 500


@dataclass(slots=True)
class Drift:
    """What does not agree. Ids are `source_event_id`s.

    `untold`: an order's event is not in the log. `unarrived`: in the log as sent, not at Recsys. `unfounded`: at Recsys
    or in the log without such an order line. `different`: quantity, price or item is not the order line's, in the log
    or at Recsys; `told_wrong` holds what Recsys was told of those.
    """

    orders: int = 0
    untold: list[str] = field(default_factory=list)
    unarrived: list[str] = field(default_factory=list)
    unfounded: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    told_wrong: list[Event] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.untold or self.unarrived or self.unfounded or self.different)


@dataclass(frozen=True, slots=True)
class _Fact:
    """What an event says about an order line."""

    item_id: str
    quantity: float
    unit_price_minor: int | None


def find_drift(gateway: RecsysGateway, *, since: datetime, now: datetime) -> Drift:
    """Compare the orders placed from `since` until a minute ago. Reads only. Imported and erased orders are left out.

    Raises:
        RecsysUnavailable: Recsys could not be asked.

    """
    until = now - SETTLED_AFTER
    orders = _orders(since, until)
    lines = {name: fact for order in orders for name, fact in _line_facts(order)}
    logged = {row.source_event_id: row for row in _logged(since, until)}
    arrived = {event.source_event_id or "": event for event in _arrived(gateway, since, until)}
    drift = Drift(orders=len(orders))
    drift.untold = sorted(set(lines) - set(logged))
    sent = {name for name, row in logged.items() if row.delivery == "sent"}
    drift.unarrived = sorted((set(lines) & sent) - set(arrived))
    extra = (set(logged) | set(arrived)) - set(lines)
    drift.unfounded = sorted(extra - _of_imported_orders(extra))
    drift.different = sorted(
        name
        for name, fact in lines.items()
        if (name in logged and _of_row(logged[name]) != fact) or (name in arrived and _of_event(arrived[name]) != fact)
    )
    drift.told_wrong = [
        arrived[name] for name in drift.different if name in arrived and _of_event(arrived[name]) != lines[name]
    ]
    return drift


def take_back(gateway: RecsysGateway, drift: Drift) -> int:
    """Take away at Recsys what it was told wrong, event by event; the next repair tells it anew. No transaction open.

    Recsys names an event by person, item, kind and moment, which another line of the same order may share: `repair`
    sends whatever that named again. Returns how many events went.

    Raises:
        RecsysUnavailable: Recsys could not be asked; what went already is found missing in the next cycle.

    """
    gone = 0
    for event in drift.told_wrong:
        which = DeleteFilter(
            user_id=event.user_id,
            item_id=event.item_id,
            event_type=event.type,
            created_after=event.ts,
            created_before=event.ts,
        )
        gone += gateway.delete_events(which).deleted_count
    return gone


def repair(drift: Drift, now: datetime) -> int:
    """Tell again what was not told, did not arrive or was told wrong, under the same ids, as the order lines say it;
    returns how many. Caller's transaction, after `take_back`. What has no order is left for a person.
    """
    _mend_log(drift.different)
    for ids in _parts(drift.unarrived):
        _send_again(TrackedEvent.source_event_id.in_(ids), now)
    for event in drift.told_wrong:
        _send_again(_as_taken_back(event), now)
    for ids in _parts(drift.different):
        is_told_wrong = {event.source_event_id for event in drift.told_wrong}
        _send_again(TrackedEvent.source_event_id.in_([name for name in ids if name in is_told_wrong]), now)
    told = tell_missing(drift.untold)
    return told + len(drift.unarrived) + len(drift.different)


def _as_taken_back(event: Event) -> ColumnElement[bool]:
    """The log's rows that `take_back` named at Recsys."""
    return and_(
        TrackedEvent.shopper_key == event.user_id,
        TrackedEvent.item_id == event.item_id,
        TrackedEvent.type == event.type,
        TrackedEvent.occurred_at == event.ts,
    )


def _send_again(which: ColumnElement[bool], now: datetime) -> None:
    again = update(TrackedEvent).where(which, TrackedEvent.delivery == "sent")
    db.session.execute(
        again.values(delivery="pending", next_attempt_at=now, lease_until=None),
        execution_options={"synchronize_session": False},
    )


def _mend_log(event_ids: Sequence[str]) -> None:
    """Let the log say of these purchases what their order lines say."""
    for ids in _parts(sorted(event_ids)):
        orders = select(Order).where(Order.number.in_({name.split(":")[1] for name in ids}))
        facts = {
            name: fact
            for order in db.session.scalars(orders.options(selectinload(Order.lines)))
            for name, fact in _line_facts(order)
        }
        for row in db.session.scalars(select(TrackedEvent).where(TrackedEvent.source_event_id.in_(ids))):
            fact = facts[row.source_event_id]
            row.item_id, row.value = fact.item_id, fact.quantity
            row.meta = {**row.meta, "unit_price": fact.unit_price_minor}


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def tell_missing(event_ids: Sequence[str]) -> int:
    """Record again the events of order lines that are not in the log, dated as the order; returns how many."""
    wanted = set(event_ids)
    numbers = sorted({event_id.split(":")[1] for event_id in wanted})
    told = 0
    for start in range(0, len(numbers), CHUNK):
        query = select(Order).where(Order.number.in_(numbers[start : start + CHUNK])).options(selectinload(Order.lines))
        for order in db.session.scalars(query):
            missing = [event for event in order_events(order, "") if event.source_event_id in wanted]
            record_business_events(missing, _teller(order), order.placed_at)
            told += len(missing)
    return told


def _teller(order: Order) -> Shopper:
    """Whoever the order's other events name; nobody in particular when there are none."""
    other = select(TrackedEvent).where(TrackedEvent.order_number == order.number).limit(1)
    row = db.session.scalars(other).first()
    key = row.shopper_key if row else new_anonymous_key()
    agreed = Consent(analytics=True, personalisation=True, is_decided=True)
    return Shopper(key=key, session_id=(row.session_id if row else None) or "", consent=agreed, device="")


def _orders(since: datetime, until: datetime) -> Sequence[Order]:
    query = select(Order).where(Order.placed_at >= since, Order.placed_at < until, Order.email != ERASED_EMAIL)
    query = query.where(Order.is_imported.is_(False))
    return db.session.scalars(query.options(selectinload(Order.lines))).all()


def _of_imported_orders(event_ids: set[str]) -> set[str]:
    """Those that tell of another system's past orders: their lines keep times of their own."""
    numbers = {event_id: event_id.split(":")[1] for event_id in event_ids if event_id.count(":") > 1}
    wanted = sorted(set(numbers.values()))
    imported: set[str] = set()
    for start in range(0, len(wanted), CHUNK):
        known = select(Order.number).where(Order.number.in_(wanted[start : start + CHUNK]), Order.is_imported)
        imported |= set(db.session.scalars(known))
    return {event_id for event_id, number in numbers.items() if number in imported}


def _line_facts(order: Order) -> Iterator[tuple[str, _Fact]]:
    for line in order.lines:
        yield line_event_id(order.number, line), _Fact(line.item_id, float(line.quantity), line.unit_price_minor)


def line_event_id(number: str, line: OrderLine) -> str:
    """The id of the purchase event of one order line."""
    return f"order:{number}:line:{line.position}"


def _logged(since: datetime, until: datetime) -> Sequence[TrackedEvent]:
    query = select(TrackedEvent).where(
        TrackedEvent.type == int(EventKind.PURCHASE),
        TrackedEvent.occurred_at >= since,
        TrackedEvent.occurred_at < until,
    )
    return db.session.scalars(query).all()


def _arrived(gateway: RecsysGateway, since: datetime, until: datetime) -> Iterator[Event]:
    """Purchases at Recsys in the window, page by page."""
    offset, cursor = 0, None
    while True:
        query = PageQuery(
            limit=PAGE, offset=offset, cursor=cursor, event_type=int(EventKind.PURCHASE), created_after=since,
            created_before=until,
        )  # fmt: skip
        page = gateway.list_events(query)
        yield from (event for event in page.rows if event.ts is None or since <= event.ts < until)
        if not page.has_more:
            return
        offset, cursor = page.next_offset or 0, page.next_cursor


def _of_row(row: TrackedEvent) -> _Fact:
    return _Fact(row.item_id or "", row.value, row.meta.get("unit_price"))


def _of_event(event: Event) -> _Fact:
    return _Fact(event.item_id, event.value, event.meta.get("unit_price"))
