"""Handing out and erasing what is held about a person."""

import logging
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from recsys_engine.contract import Event, PageQuery
from recsys_engine.contract.limits import MAX_PAGE
from shop_app.accounts.models import IdentityMerge, User
from shop_app.analytics.alerts import Finding
from shop_app.core.errors import NotFound
from shop_app.extensions import db, insert_into
from shop_app.orders.models import ERASED_EMAIL, Order
from shop_app.privacy import retention
from shop_app.privacy.models import Erasure
from shop_app.privacy.registry import HOLDINGS, Person
from shop_app.recsys.gateway import RecsysError, RecsysGateway
from shop_app.tracking.delivery import key_hash
from shop_app.tracking.models import Tombstone

log = logging.getLogger(__name__)

SECOND_ROUND_AFTER = timedelta(minutes=2)
"""No batch leased before the erasure can still be under way."""
RETRY_AFTER = timedelta(minutes=1)
LATEST = timedelta(minutes=15)
"""An erasure that waits longer needs a person to look why."""


def person_of(key: str) -> Person:
    """The person behind a member's or a visitor's key, with every browser merged into them."""
    user_id = db.session.scalar(select(User.id).where(User.key == key))
    merged = db.session.scalars(select(IdentityMerge.anonymous_key).where(IdentityMerge.member_key == key))
    return Person((key, *merged), user_id)


def person_of_order(number: str) -> Person:
    """Who bought: for a guest who asks with the order's number, all that the browser they bought in left here.

    Raises:
        NotFound: no such order, or its person is erased already.

    """
    order = db.session.scalars(select(Order).where(Order.number == number.strip().upper())).one_or_none()
    if order is None or order.email == ERASED_EMAIL:
        raise NotFound("There is no such order, or its person is erased.")
    return person_of(order.shopper_key)


def export(person: Person, gateway: RecsysGateway) -> dict[str, Any]:
    """Everything held about `person`: by table of the shop, and `at_recsys` what the recommender has.

    When Recsys does not answer, `at_recsys` says so instead; the shop's part is whole all the same.
    """
    held: dict[str, Any] = {holding.name: holding.export(person) for holding in HOLDINGS}
    try:
        held["at_recsys"] = _held_at_recsys(person, gateway)
    except RecsysError as error:
        log.warning("export_without_recsys", extra={"reason": type(error).__name__})
        held["at_recsys"] = "The recommender did not answer. Please ask again later for this part."
    return held


def _held_at_recsys(person: Person, gateway: RecsysGateway) -> dict[str, Any]:
    users = [row.user for key in person.keys for row in gateway.list_users(PageQuery(user_id=key)).rows]
    events = [event for key in person.keys for event in _events_at_recsys(gateway, key)]
    return {"users": [asdict(user) for user in users], "events": [asdict(event) for event in events]}


def _events_at_recsys(gateway: RecsysGateway, key: str) -> Iterator[Event]:
    query: PageQuery | None = PageQuery(limit=MAX_PAGE, user_id=key)
    while query is not None:
        page = gateway.list_events(query)
        yield from page.rows
        query = replace(query, cursor=page.next_cursor, offset=page.next_offset or 0) if page.has_more else None


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


def privacy_findings(now: datetime) -> list[Finding]:
    """An erasure that Recsys has not carried out for long, and rows that should be gone for a day and are not."""
    findings = []
    late = select(func.count(Erasure.id)).where(Erasure.done_at.is_(None), Erasure.asked_at < now - LATEST)
    if waiting := db.session.scalar(late):
        advice = "Recsys has not forgotten people who asked for it. See the delivery page: does it answer?"
        findings.append(
            Finding("privacy", "erasures", "high", f"{waiting} erasures wait for Recsys", advice, {"waiting": waiting})
        )
    kept = {name: rows for name, rows in retention.overdue(now - timedelta(days=1)).items() if rows}
    if kept:
        advice = "Rows are older than they may be. Do the worker and cron run?"
        title = f"{sum(kept.values())} rows are kept too long"
        findings.append(Finding("privacy", "retention", "high", title, advice, kept))
    return findings
