"""Back-pressure: when too many events wait for Recsys, browsers keep their impressions for a while."""

from sqlalchemy import func, select

from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent

FULL = 100_000
"""Waiting events, about three minutes of the busiest traffic the shop is built for."""
LOOK_EVERY_S = 1.0


class Pressure:
    """Looks at the log once a second at most; between two looks the last answer stands."""

    def __init__(self, full: int = FULL) -> None:
        self.full = full
        self._is_high = False
        self._looked_at = float("-inf")

    def is_high(self, now_s: float) -> bool:
        """Whether more than `full` events wait. `now_s` is any clock that only goes forward."""
        if now_s - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now_s
            waiting = select(TrackedEvent.id).where(TrackedEvent.delivery == "pending").limit(self.full + 1).subquery()
            self._is_high = (db.session.scalar(select(func.count()).select_from(waiting)) or 0) > self.full
        return self._is_high
