"""The state of each stream: a circuit that opens on trouble, and a batch size that feels its way."""

import logging
import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shop_app.extensions import db, insert_into
from shop_app.site_settings.delivery import delivery_settings
from shop_app.sync.models import SinkState
from shop_app.sync.sending import Outcome, pause_after

log = logging.getLogger(__name__)

SinkName = Literal["events", "items", "users"]


@dataclass(frozen=True, slots=True)
class BatchBounds:
    """Smallest, first and largest batch of a stream, by how much it grows after a success, and calls at a time."""

    smallest: int
    first: int
    largest: int
    step: int
    at_once: int = 1


SINKS: tuple[SinkName, ...] = ("items", "users", "events")
SMALLEST_ENTITIES = 5
STEPS: dict[SinkName, int] = {"events": 20, "items": 10, "users": 10}
FIRST: dict[SinkName, int] = {"events": 200, "items": 100, "users": 100}


def bounds(name: SinkName) -> BatchBounds:
    """Between which an admin lets this stream feel its way. Only events are sent by several at a time: an item or a
    member has one newest version.
    """
    chosen = delivery_settings()
    smallest, largest, at_once = {
        "events": (chosen.events_smallest, chosen.events_largest, chosen.events_at_once),
        "items": (SMALLEST_ENTITIES, chosen.items_largest, 1),
        "users": (SMALLEST_ENTITIES, chosen.users_largest, 1),
    }[name]
    smallest = min(smallest, largest)
    return BatchBounds(smallest, min(max(FIRST[name], smallest), largest), largest, STEPS[name], at_once)


def sink(name: SinkName) -> SinkState:
    """The stream's row, locked until the caller's transaction ends; made when it is missing."""
    known = db.session.get(SinkState, name, with_for_update=True, populate_existing=True)
    if known:
        return known
    fresh = insert_into(SinkState).values(name=name, batch_size=bounds(name).first, failures=0, at_once=1)
    db.session.execute(fresh.on_conflict_do_nothing(index_elements=["name"]))
    return db.session.get_one(SinkState, name, with_for_update=True)


def is_open(state: SinkState, now: datetime) -> bool:
    """Whether the circuit is open: nothing is sent until `open_until`; then one batch tries.

    A failure that lies ahead was noted by a clock that has gone back since: its pause means nothing.
    """
    if _lies_ahead(state.last_failure_at, now):
        return False
    return state.open_until is not None and now < state.open_until


def room(state: SinkState) -> tuple[int, int]:
    """How many rows a batch may have now, and how many batches may be under way, within what an admin allows."""
    allowed = bounds(state.name)  # type: ignore[arg-type]  # the column holds sink names only
    return min(max(state.batch_size, allowed.smallest), allowed.largest), min(state.at_once, allowed.at_once)


def note_outcome(state: SinkState, outcome: Outcome[Any], now: datetime, rng: random.Random) -> None:
    """Success closes the circuit and adds: a step to the batch, one to what may be under way at a time. Trouble opens
    it and halves both (additive increase, multiplicative decrease; Chiu and Jain 1989).
    """
    allowed = bounds(state.name)  # type: ignore[arg-type]  # the column holds sink names only
    if not outcome.trouble:
        state.failures, state.open_until, state.last_error, state.last_success_at = 0, None, None, now
        state.last_failure_at = None if _lies_ahead(state.last_failure_at, now) else state.last_failure_at
        state.batch_size = min(state.batch_size + allowed.step, allowed.largest)
        state.at_once = min(state.at_once + 1, allowed.at_once)
        return
    state.failures += 1
    state.open_until = now + pause_after(state.failures, rng, outcome.retry_after)
    state.batch_size = max(min(state.batch_size, allowed.largest) // 2, allowed.smallest)
    state.at_once = max(min(state.at_once, allowed.at_once) // 2, 1)
    state.last_error, state.last_failure_at = outcome.trouble[:500], now
    log.warning("sink_unavailable", extra={"sink": state.name, "failures": state.failures, "left": len(outcome.left)})


def _lies_ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now
