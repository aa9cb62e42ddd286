"""How far events got on their way out: leased, sent, postponed, dead, requeued."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import delete, func, select, update

from shop_app.extensions import db, rows_changed
from shop_app.tracking.models import Tombstone, TrackedEvent

FURTHEST_AHEAD = timedelta(minutes=10)
"""The longest pause is five minutes; a longer one that Recsys asks for is kept by the stream's circuit all the same."""
WITHOUT_SYNC = {"synchronize_session": False}
CARRIED = (
    TrackedEvent.id, TrackedEvent.source_event_id, TrackedEvent.type, TrackedEvent.shopper_key, TrackedEvent.session_id,
    TrackedEvent.item_id, TrackedEvent.value, TrackedEvent.occurred_at, TrackedEvent.surface, TrackedEvent.widget,
    TrackedEvent.rank, TrackedEvent.request_id, TrackedEvent.recommended, TrackedEvent.order_number, TrackedEvent.meta,
    TrackedEvent.is_bot, TrackedEvent.is_qa,
)  # fmt: skip
"""What a worker needs of an event to tell Recsys."""


def lease_events(*, limit: int, now: datetime, lease: timedelta, token: str) -> list[TrackedEvent]:
    """Take up to `limit` due events, oldest first. Nobody else gets them before `now + lease`.

    A lease is `next_attempt_at` moved into the future: one that lapses makes the event due again by itself. What comes
    back are plain rows with the names of `CARRIED`: as objects of the session they cost as much as all the rest.
    """
    due = (
        select(TrackedEvent.id)
        .where(TrackedEvent.delivery == "pending", TrackedEvent.next_attempt_at <= now)
        .order_by(TrackedEvent.next_attempt_at, TrackedEvent.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    until = now + lease
    taken = db.session.execute(
        update(TrackedEvent)
        .where(TrackedEvent.id.in_(select(due.c.id)))
        .values(next_attempt_at=until, lease_until=until, lease_token=token, attempts=TrackedEvent.attempts + 1)
        .returning(*CARRIED),
        execution_options=WITHOUT_SYNC,
    )
    return cast("list[TrackedEvent]", sorted(taken, key=lambda row: row.id))


def batches_under_way(*, since: datetime, lease: timedelta) -> int:
    """Batches that somebody leased for `lease` after `since` and has not settled."""
    leased = select(func.count(TrackedEvent.lease_token.distinct())).where(
        TrackedEvent.delivery == "pending",
        TrackedEvent.next_attempt_at > since + lease,
        TrackedEvent.lease_until > since + lease,
    )
    return db.session.scalar(leased) or 0


def drop_forgotten(rows: Sequence[TrackedEvent]) -> list[TrackedEvent]:
    """`rows` without those of people who asked to be forgotten; these are deleted instead of sent."""
    hashes = {row.shopper_key: key_hash(row.shopper_key) for row in rows}
    known = select(Tombstone.key_hash).where(Tombstone.key_hash.in_(hashes.values()))
    forgotten = set(db.session.scalars(known))
    gone = [row.id for row in rows if hashes[row.shopper_key] in forgotten]
    if gone:
        db.session.execute(delete(TrackedEvent).where(TrackedEvent.id.in_(gone)), execution_options=WITHOUT_SYNC)
    return [row for row in rows if hashes[row.shopper_key] not in forgotten]


def key_hash(shopper_key: str) -> str:
    """What a tombstone keeps of a key. Keys are random, so their hash gives nothing away."""
    return hashlib.sha256(shopper_key.encode()).hexdigest()


def mark_sent(event_ids: Sequence[int], now: datetime) -> None:
    """Recsys has them. True whoever holds the lease by now."""
    _update(event_ids, delivery="sent", sent_at=now, lease_until=None, last_error=None)


def postpone_events(event_ids: Sequence[int], *, token: str, until: datetime, error: str) -> None:
    """Not delivered: give the lease back, try again at `until`."""
    _update(event_ids, token=token, next_attempt_at=until, lease_until=None, last_error=error[:500])


def mark_dead(event_id: int, *, token: str, code: str, path: str, error: str, schema: int) -> None:
    """Recsys will never take this one as it is, sent in this version of the schema: it waits for a person."""
    _update(
        [event_id], token=token, delivery="dead", lease_until=None,
        error_code=code[:60], error_path=path[:200], last_error=error[:500], error_schema=schema,
    )  # fmt: skip


def make_all_due(now: datetime) -> None:
    """Forget waiting times and leases of everything pending; for a drain that must not wait."""
    db.session.execute(
        update(TrackedEvent)
        .where(TrackedEvent.delivery == "pending", TrackedEvent.next_attempt_at > now)
        .values(next_attempt_at=now, lease_until=None),
        execution_options=WITHOUT_SYNC,
    )


def wake_far_ahead(now: datetime) -> int:
    """Make due what waits for a time that no pause of ours reaches: it was written by a clock that has gone back."""
    far = update(TrackedEvent).where(
        TrackedEvent.delivery == "pending", TrackedEvent.next_attempt_at > now + FURTHEST_AHEAD
    )
    return rows_changed(far.values(next_attempt_at=now, lease_until=None).execution_options(**WITHOUT_SYNC))


def delivery_counts() -> dict[str, int]:
    """Events by delivery state."""
    rows = db.session.execute(select(TrackedEvent.delivery, func.count()).group_by(TrackedEvent.delivery))
    return {state: count for state, count in rows}  # noqa: C416  (rows are not pairs to mypy)


def oldest_pending() -> datetime | None:
    """When the event that waits longest was received; None when nothing waits."""
    return db.session.scalar(select(func.min(TrackedEvent.received_at)).where(TrackedEvent.delivery == "pending"))


def _update(event_ids: Sequence[int], *, token: str | None = None, **values: object) -> None:
    """Change pending events; with `token`, only those still under that lease."""
    if not event_ids:
        return
    which = [TrackedEvent.id.in_(event_ids), TrackedEvent.delivery == "pending"]
    if token is not None:
        which.append(TrackedEvent.lease_token == token)
    db.session.execute(update(TrackedEvent).where(*which).values(**values), execution_options=WITHOUT_SYNC)
