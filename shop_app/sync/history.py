"""Past events into the shop's tables and to Recsys, in bulk: baskets become orders, everything keeps its time.

A batch goes to Recsys first and into the tables after: the recommender knows repeated ids, so a batch that failed
half-way can be sent again. When Recsys is away, rows wait for the worker like any other event.
"""

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select, update

from recsys_engine.contract import Event, EventsResult
from shop_app.accounts.models import User
from shop_app.accounts.passwords import UNUSABLE
from shop_app.accounts.services import loyalty_tier
from shop_app.catalog.importing.fields import SKU_UNSAFE
from shop_app.catalog.importing.rows import EventRow, RowError
from shop_app.catalog.models import Product, ProductSales, Variant
from shop_app.core.events import EventKind
from shop_app.core.ids import ANONYMOUS_PREFIX, MEMBER_PREFIX
from shop_app.core.shopper import Consent
from shop_app.extensions import Base, db, insert_into
from shop_app.orders.models import Order, OrderLine
from shop_app.outbox.services import mark_changed
from shop_app.plain_sql import insert_rows
from shop_app.recsys.gateway import RecsysGateway, RecsysUnavailable, TakesHistory
from shop_app.sync.payloads import event_payload
from shop_app.tracking.consent import record_consent
from shop_app.tracking.models import TrackedEvent

log = logging.getLogger(__name__)

BATCH = 10_000
"""Events a transaction: seconds of the write lock, and less of a page's writes repeated than with small ones."""
SENT_AT_ONCE = 1000
"""Events a call: the contract's limit."""
MOST_AT_ONCE = 50_000
"""Events a call where history is taken in bulk."""
IN_CLAUSE = 500
GUEST = re.compile(r"g[a-z]?\d+")
"""How a file names people who did not sign in."""
SURFACES = {int(EventKind.VIEW): "pdp", int(EventKind.ADD): "pdp"}


@dataclass(slots=True)
class HistoryTally:
    """What an import of past events did; `orders` and `events` are new ones."""

    orders: int = 0
    events: int = 0
    repeated: int = 0
    waiting: int = 0
    errors: list[RowError] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{self.events} events and {self.orders} orders added, {self.repeated} known before"
        return f"{text}, {len(self.errors)} left out" + (f", {self.waiting} wait for Recsys" if self.waiting else "")


@dataclass(frozen=True, slots=True)
class _Sold:
    sku: str
    product_id: int
    variant_id: int
    title: str
    currency: str
    price_minor: int


class HistoryWriter:
    """Stores batches of whole baskets. `members` are people who exist already, by the file's name for them."""

    def __init__(self, gateway: RecsysGateway | None, now: datetime, members: Mapping[str, User] | None = None) -> None:
        self.tally = HistoryTally()
        self._gateway = gateway
        self._now = now
        self._sold = _everything_sold()
        self._sold_as: dict[str, _Sold] = {}
        self._keys: dict[str, tuple[str, None]] = {}
        self._users: dict[str, tuple[str, int]] = {name: (user.key, user.id) for name, user in (members or {}).items()}
        self._seen: dict[int, datetime] = {}

    def store(self, batch: Sequence[EventRow]) -> None:
        """Write a batch; the caller opens the transaction. What was stored before is recognised and left alone."""
        rows = [row for row in batch if self._is_known(row)]
        self._add_members(rows)
        bought, repeated = self._add_orders(rows)
        looked = [self._browsing(row, place) for place, row in _numbered(rows)]
        known = _known_ids([event["source_event_id"] for event in looked])
        fresh = [event for event in looked if event["source_event_id"] not in known] + bought
        self._deliver(fresh)
        _insert(TrackedEvent, fresh)
        self.tally.events += len(fresh)
        self.tally.repeated += len(known) + repeated

    def finish(self) -> None:
        """Set what depends on a whole life: last visit, loyalty tier, the mark for Recsys."""
        ids = sorted(self._seen)
        for start in range(0, len(ids), IN_CLAUSE):
            part = ids[start : start + IN_CLAUSE]
            sums = select(Order.user_id, func.sum(Order.total_minor)).where(Order.user_id.in_(part))
            spent = {user_id: total for user_id, total in db.session.execute(sums.group_by(Order.user_id))}  # noqa: C416 - rows do not type as pairs
            values = [{"of": i, "seen": self._seen[i], "tier": loyalty_tier(int(spent.get(i) or 0))} for i in part]
            statement = update(cast("Table", User.__table__)).where(User.id == bindparam("of"))
            db.session.connection().execute(
                statement.values(last_seen_at=bindparam("seen"), loyalty_tier=bindparam("tier")), values
            )
            mark_changed("user", part, self._now)

    def _is_known(self, row: EventRow) -> bool:
        if row.item in self._sold_as:
            return True
        sold = self._sold.get(_sku(row.item))
        if sold is not None:
            self._sold_as[row.item] = sold
            return True
        self.tally.errors.append(RowError(row.line, "item", f"there is no product {row.item}"))
        return False

    def _add_members(self, rows: Iterable[EventRow]) -> None:
        """An account nobody can sign in to for each person of the history; guests get none and stay anonymous."""
        first, last = _first_and_last(rows)
        new = [name for name in first if name not in self._users and not GUEST.fullmatch(name)]
        for start in range(0, len(new), IN_CLAUSE):
            part = new[start : start + IN_CLAUSE]
            statement = insert_into(User).on_conflict_do_nothing(index_elements=["key"])
            db.session.execute(statement, [_member(name, first[name]) for name in part])
            keys = {_key(name): name for name in part}
            for key, user_id in db.session.execute(select(User.key, User.id).where(User.key.in_(keys))):
                self._users[keys[key]] = (key, user_id)
                record_consent(key, Consent(analytics=True, personalisation=True), first[keys[key]])
        for name in last.keys() & self._users.keys():
            user_id = self._users[name][1]
            self._seen[user_id] = max(last[name], self._seen.get(user_id, last[name]))

    def _add_orders(self, rows: Iterable[EventRow]) -> tuple[list[dict[str, Any]], int]:
        """Orders that are new, with their lines; returns their purchase events, and how many lines were known."""
        baskets: dict[str, list[EventRow]] = defaultdict(list)
        for row in rows:
            if row.type == EventKind.PURCHASE:
                baskets[_order_number(row.basket or f"{row.shopper}-{row.at.isoformat()}")].append(row)
        known = set(_in_parts(select(Order.number), Order.number, list(baskets)))
        fresh = {number: lines for number, lines in baskets.items() if number not in known}
        _insert(Order, [self._order(number, lines) for number, lines in fresh.items()])
        ids = _order_ids(list(fresh))
        _insert(OrderLine, [line for number, lines in fresh.items() for line in self._lines(ids[number], lines)])
        self._count_sales(row for lines in fresh.values() for row in lines)
        self.tally.orders += len(fresh)
        events = [self._purchase(number, place, row) for number, place, row in _placed(fresh)]
        return events, sum(len(baskets[number]) for number in known)

    def _order(self, number: str, lines: Sequence[EventRow]) -> dict[str, Any]:
        first = lines[0]
        key, user_id = self._shopper(first.shopper)
        total = sum(round(row.value) * self._price(row) for row in lines)
        return {
            "number": number,
            "idempotency_key": f"history:{number}",
            "shopper_key": key,
            "user_id": user_id,
            "email": "",
            "address": {},
            "delivery_method": "standard",
            "currency": self._sold_as[first.item].currency,
            "subtotal_minor": total,
            "delivery_minor": 0,
            "total_minor": total,
            "status": "shipped",
            "placed_at": max(row.at for row in lines),
            "access_token": _digest("token", number)[:32],
            "is_imported": True,
        }

    def _lines(self, order_id: int, rows: Sequence[EventRow]) -> list[dict[str, Any]]:
        found = []
        for position, row in enumerate(rows, start=1):
            sold = self._sold_as[row.item]
            found.append(
                {
                    "order_id": order_id,
                    "position": position,
                    "product_id": sold.product_id,
                    "variant_id": sold.variant_id,
                    "item_id": sold.sku,
                    "sku": sold.sku,
                    "title": sold.title,
                    "quantity": max(1, round(row.value)),
                    "unit_price_minor": self._price(row),
                    "currency": sold.currency,
                    "recommended": False,
                }
            )
        return found

    def _count_sales(self, rows: Iterable[EventRow]) -> None:
        units: dict[tuple[int, Any], int] = defaultdict(int)
        for row in rows:
            units[self._sold_as[row.item].product_id, row.at.date()] += max(1, round(row.value))
        values = [(product_id, day, count) for (product_id, day), count in sorted(units.items())]
        more = "ON CONFLICT (product_id, day) DO UPDATE SET units = product_sales.units + excluded.units"
        insert_rows(ProductSales, ("product_id", "day", "units"), values, more)

    def _purchase(self, number: str, position: int, row: EventRow) -> dict[str, Any]:
        sold = self._sold_as[row.item]
        meta = {"order_id": number, "unit_price": self._price(row), "currency": sold.currency, "sku": sold.sku}
        return self._event(row, f"order:{number}:line:{position}", meta, number)

    def _browsing(self, row: EventRow, place: int) -> dict[str, Any]:
        return self._event(
            row, f"history:{_digest(row.shopper, row.item, row.type, row.at.isoformat(), place)[:40]}", {}, None
        )

    def _event(self, row: EventRow, source_id: str, meta: dict[str, Any], order_number: str | None) -> dict[str, Any]:
        return {
            "source_event_id": source_id,
            "type": row.type,
            "shopper_key": self._shopper(row.shopper)[0],
            "session_id": row.basket[:40] or None,
            "item_id": self._sold_as[row.item].sku,
            "value": row.value,
            "occurred_at": row.at,
            "received_at": row.at,
            "surface": SURFACES.get(row.type),
            "recommended": False,
            "order_number": order_number,
            "meta": meta,
            "is_bot": False,
            "is_qa": False,
            "delivery": "pending",
            "next_attempt_at": self._now,
            "attempts": 0,
            "sent_at": None,
            "error_code": None,
            "last_error": None,
        }

    def _deliver(self, events: Sequence[dict[str, Any]]) -> None:
        """Send, and note in the rows what became of them."""
        size = MOST_AT_ONCE if isinstance(self._gateway, TakesHistory) else SENT_AT_ONCE
        for start in range(0, len(events), size):
            part = events[start : start + size]
            try:
                sent = self._send([_payload(values) for values in part])
            except RecsysUnavailable as error:
                log.warning("history_waits", extra={"events": len(part), "reason": str(error)})
                sent = None
            if sent is None:
                self.tally.waiting += len(part)
                continue
            for values in part:
                values.update(delivery="sent", sent_at=self._now, attempts=1)
            for bad in sent.rejected:
                part[bad.index].update(delivery="dead", sent_at=None, error_code=bad.code, last_error=bad.message)

    def _send(self, events: list[Event]) -> EventsResult | None:
        if isinstance(self._gateway, TakesHistory):
            return self._gateway.append_history(events)
        return self._gateway.send_events(events) if self._gateway else None

    def _shopper(self, name: str) -> tuple[str, int | None]:
        known = self._users.get(name) or self._keys.get(name)
        if known is None:
            known = self._keys[name] = (_key(name), None)
        return known

    def _price(self, row: EventRow) -> int:
        return row.price_minor or self._sold_as[row.item].price_minor


def _everything_sold() -> dict[str, _Sold]:
    query = select(
        Product.sku, Product.id, func.min(Variant.id), Product.title, Product.currency, Product.price_minor
    ).join(Variant, Variant.product_id == Product.id)
    rows = db.session.execute(query.group_by(Product.id))
    return {row[0]: _Sold(*row) for row in rows}


def _first_and_last(rows: Iterable[EventRow]) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """When each person was first and last seen."""
    first: dict[str, datetime] = {}
    last: dict[str, datetime] = {}
    for row in rows:
        if last.get(row.shopper) is not row.at:
            first[row.shopper] = min(first.get(row.shopper, row.at), row.at)
            last[row.shopper] = max(last.get(row.shopper, row.at), row.at)
    return first, last


def _payload(values: dict[str, Any]) -> Event:
    blank = {"widget": None, "rank": None, "request_id": None}
    return event_payload(cast("TrackedEvent", SimpleNamespace(**blank, **values)))


def _numbered(rows: Iterable[EventRow]) -> Iterable[tuple[int, EventRow]]:
    """Everything but purchases, with a count that tells two equal looks of one moment apart."""
    seen: dict[tuple[str, str, int, datetime], int] = defaultdict(int)
    for row in rows:
        if row.type != EventKind.PURCHASE:
            fact = (row.shopper, row.item, row.type, row.at)
            yield seen[fact], row
            seen[fact] += 1


def _insert(model: type[Base], rows: list[dict[str, Any]]) -> None:
    if rows:
        insert_rows(model, tuple(rows[0]), [tuple(row.values()) for row in rows])


def _order_ids(numbers: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(numbers), IN_CLAUSE):
        part = numbers[start : start + IN_CLAUSE]
        found.update(
            (number, order_id)
            for number, order_id in db.session.execute(select(Order.number, Order.id).where(Order.number.in_(part)))
        )
    return found


def _placed(baskets: Mapping[str, Sequence[EventRow]]) -> Iterable[tuple[str, int, EventRow]]:
    for basket, rows in baskets.items():
        for position, row in enumerate(rows, start=1):
            yield basket, position, row


def _known_ids(ids: list[str]) -> set[str]:
    return set(_in_parts(select(TrackedEvent.source_event_id), TrackedEvent.source_event_id, ids))


def _in_parts(query: Any, column: Any, values: list[str]) -> Iterable[str]:
    for start in range(0, len(values), IN_CLAUSE):
        yield from db.session.scalars(query.where(column.in_(values[start : start + IN_CLAUSE])))


def _member(name: str, at: datetime) -> dict[str, Any]:
    return {
        "key": _key(name),
        "email": f"{_digest('email', name)[:20]}@customers.invalid",
        "name": "",
        "password_hash": UNUSABLE,
        "role": "shopper",
        "locale": "en-GB",
        "country": "GB",
        "device": "desktop",
        "newsletter": False,
        "loyalty_tier": "none",
        "created_at": at,
        "last_seen_at": at,
        "session_epoch": 1,
    }


def _key(name: str) -> str:
    """Always the same opaque key for one name of a file."""
    prefix = ANONYMOUS_PREFIX if GUEST.fullmatch(name) else MEMBER_PREFIX
    return f"{prefix}h{_digest('key', name)[:19]}"


def _order_number(basket: str) -> str:
    return f"H-{_digest('order', basket)[:12].upper()}"


def _sku(item: str) -> str:
    return item if item.isalnum() else SKU_UNSAFE.sub("-", item)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
