"""What was told, what is in the log, what is at Recsys: counted from the rows themselves, not from anybody's report."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from scripts.faults.stand import Stand
from shop_app.core.events import EventKind
from shop_app.core.shopper import Consent, Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent
from shop_app.tracking.services import BROWSER_PREFIX, BusinessEvent, record_business_events

BEYOND_ANY_VALUE = 2e6
"""Recsys takes values within ±1e6."""


@dataclass(slots=True)
class Books:
    """Ids by what became of them. `told`: acknowledged to a browser."""

    told: int = 0
    logged: int = 0
    at_recsys: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unfounded: list[str] = field(default_factory=list)
    wrongly_dead: list[str] = field(default_factory=list)
    poison_alive: list[str] = field(default_factory=list)
    unsent: int = 0

    @property
    def is_clean(self) -> bool:
        found = (self.lost, self.doubled, self.unfounded, self.wrongly_dead, self.poison_alive)
        return not any(found) and not self.unsent and self.told > 0


def tell_poison(app: Flask, first: int, count: int) -> list[str]:
    """Write events to the log that Recsys will never take; returns their ids."""
    ids = [f"poison:{number:06}" for number in range(first, first + count)]
    agreed = Consent(analytics=True, personalisation=True, is_decided=True)
    somebody = Shopper(key="a_poison", session_id="s_poison", consent=agreed)
    with app.app_context(), unit_of_work(db.session):
        now = app.extensions["clock"].now()
        for event_id in ids:
            event = BusinessEvent(
                kind=EventKind.VIEW, source_event_id=event_id, item_id="FAULT-1", value=BEYOND_ANY_VALUE
            )
            record_business_events([event], somebody, now)
    return ids


def waiting(app: Flask) -> int:
    """Events that are still on their way."""
    with app.app_context():
        query = select(func.count()).where(TrackedEvent.delivery.not_in(("sent", "dead")))
        count = db.session.scalar(query) or 0
        db.session.rollback()
    return count


def balance(app: Flask, stand: Stand, told: dict[int, int], poison: list[str]) -> Books:
    """Compare every id. `told`: how many each farm had answered for."""
    with app.app_context():
        rows = db.session.execute(select(TrackedEvent.source_event_id, TrackedEvent.delivery)).all()
        db.session.rollback()
    logged = {event_id for event_id, _ in rows}
    dead = {event_id for event_id, state in rows if state == "dead"}
    arrived: set[str] = set()
    doubled = []
    for event_id, count in _at_recsys(stand):
        arrived.add(event_id)
        if count > 1:
            doubled.append(event_id)
    due = {f"{BROWSER_PREFIX}f{farm}-{n:09}" for farm, count in told.items() for n in range(count)}
    return Books(
        told=len(due),
        logged=len(logged),
        at_recsys=len(arrived),
        lost=sorted((due | logged) - set(poison) - arrived),
        doubled=doubled,
        unfounded=sorted(arrived - logged),
        wrongly_dead=sorted(dead - set(poison)),
        poison_alive=sorted(set(poison) - dead),
        unsent=sum(state not in ("sent", "dead") for _, state in rows),
    )


def _at_recsys(stand: Stand) -> Iterator[tuple[str, int]]:
    path = make_url(stand.env["RECSYS_DATABASE_URL"]).database
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        yield from connection.execute("SELECT source_event_id, count(*) FROM engine_events GROUP BY source_event_id")
