"""What the console itself writes: marks for a full re-sync, dead letters sent again, event weights, roles."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.engine import CursorResult

from recsys_engine.contract import EventTypeConfig
from shop_app.accounts.models import User
from shop_app.admin.queries.people import person
from shop_app.catalog.models import Product
from shop_app.core.errors import Conflict
from shop_app.extensions import db
from shop_app.outbox.services import mark_changed
from shop_app.recsys.gateway import RecsysGateway
from shop_app.site_settings.services import audit
from shop_app.tracking.models import TrackedEvent


def resync_all(what: Sequence[str], actor: str, now: datetime) -> dict[str, int]:
    """Mark every item and/or member as changed; the outbox sends them in batches. Returns how many of each."""
    marked: dict[str, int] = {}
    if "items" in what:
        marked["items"] = mark_changed("item", db.session.scalars(select(Product.id)), now)
    if "users" in what:
        marked["users"] = mark_changed("user", db.session.scalars(select(User.id)), now)
    audit(actor=actor, action="sync.resync", subject="recsys", after=dict(marked), now=now)
    return marked


def requeue_dead_events(event_ids: Sequence[int] | None, actor: str, now: datetime) -> int:
    """Put refused events back into the queue as if new: these, or all of them for None. Returns how many."""
    query = update(TrackedEvent).where(TrackedEvent.delivery == "dead")
    if event_ids is not None:
        query = query.where(TrackedEvent.id.in_(event_ids))
    fresh = {"delivery": "pending", "attempts": 0, "next_attempt_at": now, "lease_until": None, "lease_token": None}
    result = db.session.execute(query.values(**fresh).execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    audit(actor=actor, action="events.requeue", subject="dead letters", after={"events": result.rowcount}, now=now)
    return int(result.rowcount)


def change_event_types(
    gateway: RecsysGateway,
    types: Sequence[EventTypeConfig],
    seen: Sequence[dict[str, Any]],
    actor: str,
    now: datetime,
) -> None:
    """Set weights and half-lives at the recommender and note it. `seen` is what the admin's page was filled with.

    Raises:
        Conflict: somebody changed them meanwhile.

    """
    before = described(gateway.event_types())
    if before != list(seen):
        raise Conflict("Somebody changed the event weights meanwhile.")
    gateway.put_event_types(types)
    audit(
        actor=actor,
        action="engine.event_types",
        subject="event types",
        before={"types": before},
        after={"types": described(types)},
        now=now,
    )


def described(types: Sequence[EventTypeConfig]) -> list[dict[str, Any]]:
    """Event types as plain data, without where they came from."""
    return [{name: value for name, value in asdict(one).items() if name in _SHOWN} for one in types]


_SHOWN = ("type", "weight", "half_life_days")


def change_role(user_id: int, role: str, actor: str, now: datetime) -> User:
    """Give a member another role and sign them out everywhere. The role is already checked by the form.

    Raises:
        NotFound: there is no such member.
        Conflict: it is the actor's own; nobody locks themselves out or promotes themselves.

    """
    user = person(user_id)
    if user.key == actor:
        raise Conflict("Nobody changes their own role.")
    before, user.role = user.role, role
    user.session_epoch += 1
    audit(
        actor=actor,
        action="people.role",
        subject=user.key,
        before={"role": before},
        after={"role": role},
        now=now,
    )
    return user
