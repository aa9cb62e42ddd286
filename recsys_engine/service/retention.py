"""Stored lists are kept for a time; then they go, and with them what only replaying them needed."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from sqlalchemy import Connection

from recsys_engine.store.database import head
from recsys_engine.store.decisions import delete_decisions_before, least_log_seq
from recsys_engine.store.earlier import delete_earlier_until
from recsys_engine.store.ingest import to_us

log = logging.getLogger(__name__)

DECISION_DAYS = 90
"""A season back: what the audit shows and counterfactual readings speak of."""
BATCH = 500
"""Rows of a kind deleted in one transaction, some milliseconds."""
PAUSE_S = 3600.0
Opened = Callable[[], AbstractContextManager[tuple[Connection, int]]]


class Retention:
    """Deletes one tenant's old decisions; every process of the engine does, and more than one is harmless.

    ``keep_days`` 0 keeps everything.
    """

    def __init__(self, writing: Opened, keep_days: float, pause_s: float = PAUSE_S) -> None:
        self._writing = writing
        self._pause_s = pause_s
        self._keep = timedelta(days=keep_days)
        self._next_look_s = 0.0
        self._head_then: int | None = None

    def apply(self, now: datetime) -> int:
        """Delete a batch of what is overdue; looks again at once while there is more, else in an hour.

        What items and users were goes when it is older than the oldest stored list and than the log at the look before:
        a list that was being made then is stored by now.
        """
        if not self._keep or time.monotonic() < self._next_look_s:
            return 0
        with self._writing() as (connection, tenant):
            gone = delete_decisions_before(connection, tenant, to_us(now - self._keep), BATCH)
            if self._head_then is not None:
                oldest = least_log_seq(connection, tenant)
                needed_from = self._head_then if oldest is None else min(oldest, self._head_then)
                gone += delete_earlier_until(connection, tenant, needed_from, BATCH)
            seq, _ = head(connection, tenant)
        if gone:
            log.info("engine_decisions_pruned", extra={"rows": gone})
        if gone < BATCH:
            self._head_then = seq
            self._next_look_s = time.monotonic() + self._pause_s
        return gone
