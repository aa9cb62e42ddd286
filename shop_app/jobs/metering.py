"""Writing what a process counted, a few seconds after it was counted, beside its work."""

import atexit
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle
from shop_app.jobs.shell import job
from shop_app.recsys import meter as counts

log = logging.getLogger(__name__)

WRITE_AFTER_S = 5.0
"""How old a count may be in memory: what a killed process loses, and how far behind the console is."""


def keep_counts(meter: counts.Meter, in_context: Callable[[], AbstractContextManager[Any]]) -> None:
    """From now on this process writes its counts `WRITE_AFTER_S` after the first of them, and when it ends."""

    def write() -> None:
        with in_context():
            write_counts()

    def arm() -> None:
        timer = threading.Timer(WRITE_AFTER_S, write)
        timer.daemon = True
        timer.start()

    meter.arm = arm
    atexit.register(write)


def write_counts() -> int:
    """Add what this process counted to the tables; returns the number of rows. Trouble keeps the counts for later."""
    meter = handle("meter")
    taken = meter.take()
    if not taken:
        return 0
    try:
        with unit_of_work(db.session):
            return counts.write(taken)
    except SQLAlchemyError as error:
        log.info("counts_not_written", extra={"rows": len(taken), "reason": type(error).__name__})
        meter.put_back(taken)
        return 0


@job
def tidy() -> dict[str, Any]:
    """Old counts by the hour instead of by the minute."""
    with unit_of_work(db.session):
        return {"minutes": counts.tidy(handle("clock").now())}
