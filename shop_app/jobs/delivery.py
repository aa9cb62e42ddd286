"""Carrying changes and events to Recsys."""

import contextlib
from typing import Any

from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle
from shop_app.jobs.shell import carrier, job
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.sync.identities import carry_merges
from shop_app.sync.services import drain


@job
def deliver() -> dict[str, Any]:
    """Send everything that is due: merged identities, items, users, events."""
    with contextlib.suppress(RecsysUnavailable), unit_of_work(db.session):
        carry_merges(handle("recsys"), handle("clock").now())
    return {name: pushed.delivered for name, pushed in drain(carrier()).items()}
