"""The state of each stream: a circuit that opens on trouble, and a batch size that feels its way."""

import logging
import random
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from shop_app.extensions import db, insert_into
from shop_app.sync.models import SinkState
from shop_app.sync.sending import Outcome, pause_after

log = logging.getLogger(__name__)

SinkName = Literal["events", "items", "users"]


@dataclass(frozen=True, slots=True)
class BatchBounds:
    """Smallest, first and largest batch of a stream, and by how much it grows after a success."""

    smallest: int
    first: int
    largest: int
    step: int


BOUNDS: dict[SinkName, BatchBounds] = {
    "events": BatchBounds(smallest=10, first=200, largest=500, step=20),
    "items": BatchBounds(smallest=5, first=100, largest=200, step=10),
    "users": BatchBounds(smallest=5, first=100, largest=200, step=10),
}
"""Below the contract's limits (events 1000, items 500, users 1000 a call)."""


def sink(name: SinkName) -> SinkState:
    """The stream's row, made when it is missing."""
    known = db.session.get(SinkState, name)
    if known:
        return known
    fresh = insert_into(SinkState).values(name=name, batch_size=BOUNDS[name].first, failures=0)
    db.session.execute(fresh.on_conflict_do_nothing(index_elements=["name"]))
    return db.session.get_one(SinkState, name)


def is_open(state: SinkState, now: datetime) -> bool:
    """Whether the circuit is open: nothing is sent until `open_until`; then one batch tries."""
    return state.open_until is not None and now < state.open_until


def note_outcome(state: SinkState, outcome: Outcome[Any], now: datetime, rng: random.Random) -> None:
    """Success closes the circuit and grows the batch a step; trouble opens it and halves the batch."""
    bounds = BOUNDS[state.name]  # type: ignore[index]  # the column holds sink names only
    if not outcome.trouble:
        state.failures, state.open_until, state.last_error, state.last_success_at = 0, None, None, now
        state.batch_size = min(state.batch_size + bounds.step, bounds.largest)
        return
    state.failures += 1
    state.open_until = now + pause_after(state.failures, rng, outcome.retry_after)
    state.batch_size = max(state.batch_size // 2, bounds.smallest)
    state.last_error, state.last_failure_at = outcome.trouble[:500], now
    log.warning("sink_unavailable", extra={"sink": state.name, "failures": state.failures, "left": len(outcome.left)})
