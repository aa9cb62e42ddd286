"""Sending the whole event log again, with its own times and ids: for a Recsys that is new or lost days (RS-066)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from recsys_engine.contract import PageQuery
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.sync.models import Replay
from shop_app.sync.payloads import event_payload
from shop_app.sync.sending import Refused, send_in_parts
from shop_app.sync.services import Carrier
from shop_app.tracking.delivery import drop_forgotten
from shop_app.tracking.models import TrackedEvent

BATCH = 500


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What a replay would do: events in the log, of these already at Recsys, and where an earlier run stopped."""

    logged: int
    arrived: int
    resumes_after_id: int

    @property
    def missing(self) -> int:
        return max(self.logged - self.arrived, 0)


def plan(carrier: Carrier, name: str = "all") -> ReplayPlan:
    """A dry run: counts on both sides, nothing sent. Dead letters do not count: Recsys will not take them."""
    logged = db.session.scalar(select(func.count()).where(TrackedEvent.delivery != "dead")) or 0
    known = db.session.get(Replay, name)
    resumes = known.last_event_id if known and known.finished_at is None else 0
    return ReplayPlan(logged, carrier.gateway.list_events(PageQuery(limit=1)).total, resumes)


def replay(
    carrier: Carrier,
    *,
    name: str = "all",
    per_s: float = 2000,
    progress: Callable[[int], object] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Replay:
    """Send every event of the log in the order it was written, at most `per_s` a second.

    A checkpoint is stored with every batch: killed and started again, it goes on there. Recsys knows repeats by their
    id, so a second run changes nothing. When Recsys is away the run stops; start it again.

    Raises:
        RuntimeError: Recsys went away; the checkpoint is kept.

    """
    with unit_of_work(db.session):
        state = _begin(name, carrier.clock.now())
        last_id = state.last_event_id
    while True:
        with unit_of_work(db.session):
            query = select(TrackedEvent).where(TrackedEvent.id > last_id, TrackedEvent.delivery != "dead")
            rows = db.session.scalars(query.order_by(TrackedEvent.id).limit(BATCH)).all()
            seen = len(rows)
            next_id = rows[-1].id if rows else last_id
            events = [event_payload(row) for row in drop_forgotten(rows)]
        outcome = send_in_parts(events, lambda part: _send(carrier, part))
        with unit_of_work(db.session):
            state = db.session.get_one(Replay, name)
            if outcome.trouble:
                raise RuntimeError(f"Recsys is away ({outcome.trouble}); run again to go on after event {last_id}")
            state.last_event_id, state.updated_at = next_id, carrier.clock.now()
            state.sent += len(outcome.delivered)
            state.refused += len(outcome.refused)
            if seen < BATCH:
                state.finished_at = carrier.clock.now()
        last_id = next_id
        progress(seen)
        if seen < BATCH:
            return db.session.get_one(Replay, name)
        sleep(seen / per_s)


def _begin(name: str, now: datetime) -> Replay:
    state = db.session.get(Replay, name)
    if state is None or state.finished_at is not None:
        state = state or Replay(name=name)
        state.last_event_id = state.sent = state.refused = 0
        state.started_at, state.updated_at, state.finished_at = now, now, None
        db.session.add(state)
    return state


def _send(carrier: Carrier, part: object) -> list[Refused]:
    result = carrier.gateway.send_events(part)  # type: ignore[arg-type]  # the parts of a list of events
    return [Refused(bad.index, bad.code, bad.message, bad.path or "") for bad in result.rejected]
