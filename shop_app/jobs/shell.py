"""What every job has around it: the app's handles, one log line, a clean database session."""

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from shop_app.extensions import context_opener, db, handle
from shop_app.sync.services import Carrier

log = logging.getLogger(__name__)


def job(work: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    """Run `work`, log its counts and time, and leave no session behind. Failures are logged once and end the job."""

    @functools.wraps(work)
    def run() -> dict[str, Any]:
        started = time.perf_counter()
        try:
            counts = work()
        except Exception:
            log.exception("job_failed", extra={"job": work.__name__})
            raise
        finally:
            db.session.remove()
        took_ms = round((time.perf_counter() - started) * 1000)
        log.info("job_done", extra={"job": work.__name__, "took_ms": took_ms, **counts})
        return counts

    return run


def carrier() -> Carrier:
    """What pushes need, from the composition root."""
    settings = handle("settings")
    return Carrier(
        handle("recsys"),
        handle("clock"),
        random.Random(),
        settings.public_url.rstrip("/"),
        context_opener() if settings.recsys_base_url else None,
    )
