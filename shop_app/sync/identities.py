"""Telling Recsys that an anonymous person turned out to be a member (RS-014)."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, select, update

from shop_app.accounts.models import IdentityMerge
from shop_app.extensions import db, rows_changed
from shop_app.recsys.gateway import RecsysGateway, RecsysRejected
from shop_app.tracking.consent import personalised
from shop_app.tracking.models import TrackedEvent

log = logging.getLogger(__name__)


def carry_merges(gateway: RecsysGateway, now: datetime, *, limit: int = 50) -> int:
    """Move what Recsys holds under anonymous keys to their members; returns how many events are sent again.

    Recsys forgets the anonymous key, and the member's events of before the merge are told again under the same ids and
    their own times: those it knows are repeats. A merge waits while a batch that may still name the anonymous key is
    under way. The caller's transaction; run twice it does nothing more.

    Raises:
        RecsysUnavailable: nothing was changed; try again.

    """
    waiting = select(IdentityMerge).where(IdentityMerge.carried_at.is_(None), ~_is_under_way(now))
    again = 0
    for merge in db.session.scalars(waiting.order_by(IdentityMerge.id).limit(limit)).all():
        if merge.member_key in personalised([merge.member_key]):
            _forget(gateway, merge.anonymous_key)
            again += _send_again(merge, now)
        merge.carried_at = now
    return again


def _is_under_way(now: datetime) -> ColumnElement[bool]:
    return exists().where(
        TrackedEvent.shopper_key == IdentityMerge.member_key,
        TrackedEvent.delivery == "pending",
        TrackedEvent.lease_until > now,
    )


def _forget(gateway: RecsysGateway, anonymous_key: str) -> None:
    try:
        gateway.forget_users([anonymous_key])
    except RecsysRejected as error:  # a server that cannot forget keeps two persons
        log.warning("merge_not_carried", extra={"code": error.code})


def _send_again(merge: IdentityMerge, now: datetime) -> int:
    theirs = update(TrackedEvent).where(
        TrackedEvent.shopper_key == merge.member_key,
        TrackedEvent.delivery == "sent",
        TrackedEvent.received_at <= merge.merged_at + timedelta(seconds=1),
    )
    return rows_changed(theirs.values(delivery="pending", next_attempt_at=now))
