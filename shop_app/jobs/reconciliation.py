"""Comparing orders with what was told about them."""

from datetime import timedelta
from typing import Any

from shop_app.analytics.alerts import Finding, settle
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle
from shop_app.jobs.shell import job
from shop_app.sync.reconciliation import Drift, find_drift, repair

WINDOW = timedelta(hours=24)
ADVICE = "Compare the orders with their events in the console. Recsys keeps the first telling of an id."


@job
def reconcile() -> dict[str, Any]:
    """Find drift of the last day, mend what can be mended, and keep one alert open while something else is wrong."""
    now = handle("clock").now()
    drift = find_drift(handle("recsys"), since=now - WINDOW, now=now)
    with unit_of_work(db.session):
        repaired = repair(drift, now)
        settle(_findings(drift), ("drift",), now)
    return {"orders": drift.orders, "repaired": repaired, "for_a_person": len(drift.different) + len(drift.unfounded)}


def _findings(drift: Drift) -> list[Finding]:
    """What no repair can mend."""
    kinds = (
        ("different", drift.different, "differ from their orders"),
        ("unfounded", drift.unfounded, "have no order"),
    )
    return [
        Finding("drift", kind, "ticket", f"{len(ids)} purchase events {what}", ADVICE, {"events": ids[:50]})
        for kind, ids, what in kinds
        if ids
    ]
