"""Carrying events, items and users to Recsys. The tables are the truth; this may run twice, at once, or half.

Each push opens its own two transactions, because a call to another server must not happen inside one: the first
leases rows, the second writes down what became of them.
"""

import logging
import random
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from recsys_engine.contract import EVENT_SCHEMA_VERSION, Event
from shop_app.accounts.models import User as Member
from shop_app.catalog.models import Product
from shop_app.core.clock import Clock
from shop_app.core.ids import new_token
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.outbox.services import (
    Kind,
    LeasedChange,
    lease_changes,
    make_changes_due,
    postpone_changes,
    settle_changes,
)
from shop_app.recsys.gateway import RecsysGateway
from shop_app.sync.merges import push_merges
from shop_app.sync.payloads import event_payload, item_payload, user_payload
from shop_app.sync.sending import Outcome, Refused, send_in_parts
from shop_app.sync.sinks import SINKS, SinkName, bounds, is_open, note_outcome, room, sink
from shop_app.tracking.consent import personalised
from shop_app.tracking.delivery import (
    batches_under_way,
    drop_forgotten,
    lease_events,
    make_all_due,
    mark_dead,
    mark_sent,
    postpone_events,
)

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
"""A killed worker's rows are free again after it. A batch that outlives it is sent twice; Recsys knows repeats."""
UNDER_WAY = timedelta(seconds=5)
"""A batch leased longer ago counts no more: its worker may be dead, and must not stand in the others' way."""
REFUSED_ENTITY_PAUSE = timedelta(hours=1)
"""A refused item or user is tried again when it changes, or after this."""
REFUSED_FOR_ITS_TIME = "invalid_timestamp"
CLOCK_PATIENCE = timedelta(hours=1)
CLOCK_PAUSE = timedelta(minutes=1)
"""An event that just happened and is refused for its time is good, and a clock is wrong: it is tried for so long."""
DRAIN_LIMIT = timedelta(seconds=50)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What one push did. `is_idle`: nothing was due, or the circuit is open."""

    delivered: int = 0
    refused: int = 0
    left: int = 0
    calls: int = 0

    @property
    def is_idle(self) -> bool:
        return self.delivered + self.refused == 0

    def __add__(self, other: "Pushed") -> "Pushed":
        return Pushed(
            self.delivered + other.delivered, self.refused + other.refused, self.left + other.left,
            self.calls + other.calls,
        )  # fmt: skip


Opened = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Carrier:
    """What a push needs from outside: the recommender, the time, chance, and the shop's own address.

    `in_context` opens a database session of its own. With it a drain sends several batches of events at a time: worth
    it where another server is waited for, not where the engine takes the same process's time.
    """

    gateway: RecsysGateway
    clock: Clock
    rng: random.Random
    site_url: str = ""
    in_context: Opened | None = None


@dataclass(frozen=True, slots=True)
class _Leased:
    row_id: int
    payload: Event


@dataclass(frozen=True, slots=True)
class _Stream:
    """A kind of entity: how its current payloads are read and how they are sent."""

    kind: Kind
    name: SinkName
    payloads: Callable[[Sequence[int]], dict[int, Any]]
    send: Callable[[list[Any]], object]


def push_events(carrier: Carrier, *, limit: int | None = None) -> Pushed:
    """Send one batch of due events. Refused ones become dead letters; when Recsys is away the batch waits."""
    token, now = new_token(), carrier.clock.now()
    with unit_of_work(db.session):
        size = _batch_size("events", now, limit)
        rows = lease_events(limit=size, now=now, lease=LEASE, token=token) if size else []
        leased = [_Leased(row.id, event_payload(row)) for row in drop_forgotten(rows)]
    if not leased:
        return Pushed()
    outcome = send_in_parts(leased, lambda part: _send_events(carrier.gateway, part))
    with unit_of_work(db.session):
        _settle_events(outcome, token, carrier)
    return _report("events_pushed", outcome)


def push_items(carrier: Carrier, *, limit: int | None = None) -> Pushed:
    """Send one batch of changed products as they are now."""

    def payloads(ids: Sequence[int]) -> dict[int, Any]:
        query = select(Product).where(Product.id.in_(ids))
        rows = db.session.scalars(query.options(joinedload(Product.brand), joinedload(Product.category)))
        return {row.id: item_payload(row, carrier.site_url) for row in rows}

    return _push_changes(_Stream("item", "items", payloads, carrier.gateway.upsert_items), carrier, limit)


def push_users(carrier: Carrier, *, limit: int | None = None) -> Pushed:
    """Send one batch of changed members who agreed to be known there; nothing about the others leaves."""

    def payloads(ids: Sequence[int]) -> dict[int, Any]:
        rows = db.session.scalars(select(Member).where(Member.id.in_(ids))).all()
        agreed = personalised([row.key for row in rows])
        return {row.id: user_payload(row) for row in rows if row.key in agreed}

    return _push_changes(_Stream("user", "users", payloads, carrier.gateway.upsert_users), carrier, limit)


def drain(carrier: Carrier, *, ignore_waiting: bool = False, limit: timedelta = DRAIN_LIMIT) -> dict[str, Pushed]:
    """Push until nothing is due: items, then users, then the events that speak of them. Bounded in time.

    `ignore_waiting` takes postponed and leased rows too; only for when no other worker runs.
    """
    if ignore_waiting:
        with unit_of_work(db.session):
            _forget_waiting(carrier.clock.now())
    push_merges(carrier.gateway, carrier.clock.now())
    deadline = carrier.clock.now() + limit
    totals: dict[str, Pushed] = {}
    for name, push in (("items", push_items), ("users", push_users)):
        totals[name] = _one_by_one(push, carrier, deadline)
    if carrier.in_context is None:
        totals["events"] = _one_by_one(push_events, carrier, deadline)
    else:
        totals["events"] = _side_by_side(push_events, carrier, deadline, carrier.in_context)
    return totals


def _one_by_one(push: Callable[[Carrier], Pushed], carrier: Carrier, deadline: datetime) -> Pushed:
    total = Pushed()
    while carrier.clock.now() < deadline:
        pushed = push(carrier)
        total += pushed
        if pushed.is_idle:
            break
    return total


def _side_by_side(
    push: Callable[[Carrier], Pushed], carrier: Carrier, deadline: datetime, in_context: Opened
) -> Pushed:
    """Each batch that went through makes room for itself and one more; one that found nothing, or no room, ends.

    How many are under way is for `sinks.room` to say, over all workers: it adds one and halves on trouble.
    """

    def one() -> Pushed:
        with in_context():
            return push(carrier)

    most, total = bounds("events").at_once, Pushed()
    db.session.rollback()  # nothing is held while others work
    with ThreadPoolExecutor(most, thread_name_prefix="push") as pool:
        running = {pool.submit(one)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for pushed in (future.result() for future in done):
                total += pushed
                if not pushed.is_idle and carrier.clock.now() < deadline:
                    running |= {pool.submit(one) for _ in range(min(2, most - len(running)))}
    return total


def _batch_size(name: SinkName, now: datetime, limit: int | None) -> int:
    """How many to take now; 0 while the circuit is open, or while as many batches as may be are under way."""
    state = sink(name)
    size, at_once = room(state)
    if is_open(state, now):
        return 0
    if name == "events" and batches_under_way(since=now - UNDER_WAY, lease=LEASE) >= at_once:
        return 0
    return min(size, limit or size)


def _send_events(gateway: RecsysGateway, part: Sequence[_Leased]) -> list[Refused]:
    result = gateway.send_events([entry.payload for entry in part])
    return [Refused(bad.index, bad.code, bad.message, bad.path or "") for bad in result.rejected]


def _settle_events(outcome: Outcome[_Leased], token: str, carrier: Carrier) -> None:
    now = carrier.clock.now()
    state = sink("events")
    note_outcome(state, outcome, now, carrier.rng)
    mark_sent([entry.row_id for entry in outcome.delivered], now)
    for entry, why in outcome.refused:
        error = f"{why.code} {why.path}: {why.message}"
        if why.code == REFUSED_FOR_ITS_TIME and entry.payload.ts and entry.payload.ts > now - CLOCK_PATIENCE:
            postpone_events([entry.row_id], token=token, until=now + CLOCK_PAUSE, error=error)
        else:
            told = {"code": why.code, "path": why.path, "error": why.message}
            mark_dead(entry.row_id, token=token, schema=EVENT_SCHEMA_VERSION, **told)
    left = [entry.row_id for entry in outcome.left]
    postpone_events(left, token=token, until=state.open_until or now, error=outcome.trouble)


def _push_changes(stream: _Stream, carrier: Carrier, limit: int | None) -> Pushed:
    """Lease, read the current rows, send, settle. An entity without a payload has nothing to say and is settled."""
    now = carrier.clock.now()
    with unit_of_work(db.session):
        size = _batch_size(stream.name, now, limit)
        changes = lease_changes(stream.kind, limit=size, now=now, lease=LEASE) if size else []
    if not changes:
        return Pushed()
    current = stream.payloads([change.entity_id for change in changes])
    db.session.rollback()  # ends the read, so that nothing is held during the call
    sendable = [change for change in changes if change.entity_id in current]

    def send_part(part: Sequence[LeasedChange]) -> list[Refused]:
        stream.send([current[change.entity_id] for change in part])
        return []

    outcome = send_in_parts(sendable, send_part)
    silent = [change for change in changes if change.entity_id not in current]
    with unit_of_work(db.session):
        _settle_changes(stream, outcome, silent, carrier)
    return _report(f"{stream.name}_pushed", outcome)


def _settle_changes(
    stream: _Stream, outcome: Outcome[LeasedChange], silent: list[LeasedChange], carrier: Carrier
) -> None:
    now, kind = carrier.clock.now(), stream.kind
    state = sink(stream.name)
    note_outcome(state, outcome, now, carrier.rng)
    settle_changes(kind, [*outcome.delivered, *silent], now)
    postpone_changes(kind, outcome.left, until=state.open_until or now, error=outcome.trouble)
    for change, why in outcome.refused:
        log.error("entity_refused", extra={"kind": kind, "entity_id": change.entity_id, "code": why.code})
        until = now + REFUSED_ENTITY_PAUSE
        postpone_changes(kind, [change], until=until, error=f"{why.code} {why.path}: {why.message}")


def _forget_waiting(now: datetime) -> None:
    make_all_due(now)
    make_changes_due(now)
    for name in SINKS:
        sink(name).open_until = None


def _report(event: str, outcome: Outcome[Any]) -> Pushed:
    pushed = Pushed(len(outcome.delivered), len(outcome.refused), len(outcome.left), outcome.calls)
    log.info(event, extra={"delivered": pushed.delivered, "refused": pushed.refused, "left": pushed.left})
    return pushed
