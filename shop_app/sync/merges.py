"""Telling Recsys that somebody anonymous turned out to be a member (RS-014)."""

import logging
from datetime import datetime

from sqlalchemy import func, or_, select, update

from recsys_engine.contract import DeleteFilter
from shop_app.accounts.models import IdentityMerge
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysGateway, RecsysUnavailable
from shop_app.tracking.models import TrackedEvent

MOST_AT_ONCE = 50
log = logging.getLogger(__name__)


def push_merges(gateway: RecsysGateway, now: datetime) -> int:
    """Take what Recsys has under each merged anonymous key away, and let the same events go out again as the member's.

    The events wait as `merging` since the sign-in and keep their ids. A merge waits until no worker can still be
    sending one of them under the old key. Dying in between is harmless: the next run deletes nothing and goes on.
    Returns how many people were moved; stops at the first call that fails, to be tried again.
    """
    moved = 0
    for token, anonymous_key in _waiting(now):
        try:
            gateway.delete_events(DeleteFilter(user_id=anonymous_key))
        except RecsysUnavailable as error:
            log.warning("merge_postponed", extra={"lease_token": token, "error": str(error)[:200]})
            break
        with unit_of_work(db.session):
            _release(token, now)
        moved += 1
    return moved


def _waiting(now: datetime) -> list[tuple[str, str]]:
    """Lease token and anonymous key of merges that may go now, oldest first."""
    in_flight_until = func.max(TrackedEvent.lease_until)
    tokens = db.session.scalars(
        select(TrackedEvent.lease_token)
        .where(TrackedEvent.delivery == "merging")
        .group_by(TrackedEvent.lease_token)
        .having(or_(in_flight_until.is_(None), in_flight_until <= now))
        .limit(MOST_AT_ONCE)
    ).all()
    ids = {int(token.removeprefix("merge:")): token for token in tokens if token}
    rows = db.session.scalars(select(IdentityMerge).where(IdentityMerge.id.in_(ids)).order_by(IdentityMerge.id))
    found = [(ids[row.id], row.anonymous_key) for row in rows]
    db.session.rollback()  # no transaction stays open while Recsys is called
    return found


def _release(token: str, now: datetime) -> None:
    merging = update(TrackedEvent).where(TrackedEvent.lease_token == token, TrackedEvent.delivery == "merging")
    db.session.execute(merging.values(delivery="pending", next_attempt_at=now, lease_token=None, lease_until=None))
