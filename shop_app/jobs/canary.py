"""Measuring how soon a list follows an event."""

import time
from typing import Any

from shop_app.analytics import canary
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle
from shop_app.jobs.shell import carrier, job
from shop_app.sync.services import drain


@job
def probe() -> dict[str, Any]:
    """Send an event, deliver what waits, look whether the list changed, and write down how long it took."""
    gateway, clock = handle("recsys"), handle("clock")
    sent = canary.a_probe(gateway)
    if sent is None:
        return {"outcome": "nothing to look at"}
    started = time.monotonic()
    with unit_of_work(db.session):
        canary.send(sent, clock.now())
    drain(carrier())
    outcome = canary.watch_list(gateway, sent)
    took_s = time.monotonic() - started
    with unit_of_work(db.session):
        canary.note(sent, outcome, took_s, clock.now())
        canary.forget_old(gateway, clock.now())
    return {"outcome": outcome, "lag_ms": round(took_s * 1000)}
