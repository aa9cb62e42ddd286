"""Comparing orders with what was told about them."""

from datetime import timedelta
from typing import Any

from shop_app.analytics.alerts import Finding, settle
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle
from shop_app.jobs.shell import job
from shop_app.sync.reconciliation import Drift, find_drift, repair, take_back
from shop_app.tracking.delivery import wake_far_ahead

WINDOW = timedelta(hours=24)
MENDED = "They have been told again as the orders say; this closes itself. Find out who changed them."
UNFOUNDED = "Compare the orders with their events in the console: no order line says what these say."


@job
def reconcile() -> dict[str, Any]:
    """Find drift of the last day, mend what can be mended, and keep one alert open while something else is wrong. Wake
    events that wait for a time some clock once thought was now.
    """
    now = handle("clock").now()
    drift = find_drift(handle("recsys"), since=now - WINDOW, now=now)
    db.session.rollback()  # nothing is held while Recsys is called
    take_back(handle("recsys"), drift)
    with unit_of_work(db.session):
        repaired = repair(drift, now)
        woken = wake_far_ahead(now)
        settle(_findings(drift), ("drift",), now)
    return {"orders": drift.orders, "repaired": repaired, "woken": woken, "for_a_person": len(drift.unfounded)}


def _findings(drift: Drift) -> list[Finding]:
    """What a person must know: amounts that drifted, mended or not, and purchases nobody made."""
    kinds = (
        ("different", drift.different, "differ from their orders", MENDED),
        ("unfounded", drift.unfounded, "have no order", UNFOUNDED),
    )
    return [
        Finding("drift", kind, "ticket", f"{len(ids)} purchase events {what}", advice, {"events": ids[:50]})
        for kind, ids, what, advice in kinds
        if ids
    ]
