"""Handing out and erasing what is held about a person."""

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from shop_app.accounts.models import IdentityMerge, User
from shop_app.extensions import db, insert_into
from shop_app.privacy.models import Erasure
from shop_app.privacy.registry import HOLDINGS, Person
from shop_app.recsys.gateway import RecsysError, RecsysGateway
from shop_app.tracking.delivery import key_hash
from shop_app.tracking.models import Tombstone

log = logging.getLogger(__name__)

SECOND_ROUND_AFTER = timedelta(minutes=2)
"""No batch leased before the erasure can still be under way."""
RETRY_AFTER = timedelta(minutes=1)


def person_of(key: str) -> Person:
    """The person behind a member's or a visitor's key, with every browser merged into them."""
    user_id = db.session.scalar(select(User.id).where(User.key == key))
    merged = db.session.scalars(select(IdentityMerge.anonymous_key).where(IdentityMerge.member_key == key))
    return Person((key, *merged), user_id)


def export(person: Person) -> dict[str, list[dict[str, Any]]]:
    """Everything the shop holds about `person`, by table."""
    return {holding.name: holding.export(person) for holding in HOLDINGS}


def erase(person: Person, now: datetime) -> dict[str, int]:
    """Erase `person` here at once and ask for it at Recsys; returns rows per table. The caller's transaction.

    Orders stay, with nobody in the person's place. Tombstones stop queues and replays from bringing the person back.
    """
    counts = {holding.name: holding.erase(person) for holding in HOLDINGS}
    graves = [{"key_hash": key_hash(key), "erased_at": now} for key in person.keys]
    db.session.execute(insert_into(Tombstone).on_conflict_do_nothing(index_elements=["key_hash"]), graves)
    db.session.add(Erasure(keys=list(person.keys), asked_at=now, due_at=now, rounds_left=2))
    log.info("person_erased", extra={"rows": sum(counts.values())})
    return counts


def erase_at_recsys(gateway: RecsysGateway, now: datetime, *, limit: int = 50) -> int:
    """Let Recsys forget who is due; returns how many erasures made a step. The caller's transaction."""
    due = select(Erasure).where(Erasure.done_at.is_(None), Erasure.due_at <= now).order_by(Erasure.id).limit(limit)
    stepped = 0
    for erasure in db.session.scalars(due.with_for_update(skip_locked=True)):
        try:
            gateway.forget_users(erasure.keys)
        except RecsysError as error:
            erasure.due_at, erasure.last_error = now + RETRY_AFTER, str(error)[:500]
            log.warning("erasure_waits", extra={"erasure": erasure.id, "reason": type(error).__name__})
            continue
        stepped += 1
        erasure.rounds_left, erasure.last_error = erasure.rounds_left - 1, None
        erasure.due_at = now + SECOND_ROUND_AFTER
        if erasure.rounds_left == 0:
            erasure.done_at, erasure.keys = now, []
    return stepped
