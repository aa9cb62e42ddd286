"""Writing events down: a business event in the transaction of what it tells about, browsers' in the intake's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, or_, select, update

from shop_app.core.attribution import Attribution
from shop_app.core.events import EventKind, Regret
from shop_app.core.ids import new_anonymous_key
from shop_app.core.redaction import scrub
from shop_app.core.shopper import Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle, insert_into, rows_changed
from shop_app.tracking.intake import Waiting
from shop_app.tracking.log_rows import Row, Shared, insert_new
from shop_app.tracking.models import Complaint, TrackedEvent

BROWSER_PREFIX = "b_"
"""Browsers choose the rest of the id, so they can never take the id of an order's event.

Our tracker's begin with the time: new rows then share a few pages of the unique index, where random ones touch as many
pages as there are rows, and SQLite takes twice as long.
"""
MAX_DELAY_MS = 7 * 24 * 3600 * 1000
"""An event that waited longer in a browser is dated no further back than this, and flagged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessEvent:
    """An add, a purchase line or an order summary, told by the server itself.

    `source_event_id` is derived from the row it tells about, so that telling twice changes nothing.
    """

    kind: EventKind
    source_event_id: str
    item_id: str | None
    value: float = 1.0
    attribution: Attribution | None = None
    order_number: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserEvent:
    """A valid event from a browser. Times are its own clock's, in milliseconds: only their difference is used."""

    event_id: str
    kind: EventKind
    item_id: str
    surface: str
    widget: str | None
    rank: int | None
    request_id: str | None
    created_ms: int
    is_impression: bool
    is_recommended: bool
    href: str
    text: str
    referrer: str
    experiment: str = ""
    ab_bucket: str = ""

    @property
    def is_shed(self) -> bool:
        """Whether this kind has to wait when too much waits already: what was merely seen, never what was done."""
        return self.is_impression


def record_business_events(events: Sequence[BusinessEvent], shopper: Shopper, now: datetime) -> None:
    """Add `events` to the log, inside the caller's transaction.

    Without consent the person is replaced by a key made for this call alone: what was bought together is still
    learned, who bought it is not. Consent to analytics only gives a key that dies with the session.
    """
    person = _person(shopper)
    db.session.add_all(TrackedEvent(**_business_row(event, now), **person) for event in events)


def record_regrets(events: Sequence[TrackedEvent], why: Regret, now: datetime) -> None:
    """Add one event for each of `events` that somebody regretted, of the same person, place and time.

    Telling twice is the caller's to avoid: the id is made from the event's row and must be new.
    """
    db.session.add_all(
        TrackedEvent(
            source_event_id=f"{why}:{event.id}",
            type=int(EventKind.CUSTOM),
            shopper_key=event.shopper_key,
            session_id=event.session_id,
            item_id=event.item_id,
            occurred_at=event.occurred_at,
            received_at=now,
            surface=event.surface,
            widget=event.widget,
            rank=event.rank,
            request_id=event.request_id,
            recommended=event.recommended,
            meta={"kind": str(why)},
            device=event.device,
            next_attempt_at=now,
        )
        for event in events
    )


def record_complaint(
    place: tuple[str, str], request_id: str, shopper: Shopper, now: datetime, items: Sequence[str] = ()
) -> int | None:
    """Write down that this list (surface, widget) is not for this shopper; returns the complaint's id, the same one
    when they had said so of this answer before.

    Robots are not heard: None. Who did not agree to be counted stays unnamed, and what the list showed, the known item
    ids `items`, is kept only with consent to personalisation.
    """
    if shopper.is_bot:
        return None
    key = str(_person(shopper)["shopper_key"]) if shopper.consent.is_given else None
    values = {"at": now, "surface": place[0], "widget": place[1], "shopper_key": key, "is_qa": shopper.is_qa}
    turned_away = list(items) if items and shopper.consent.personalisation else None
    statement = insert_into(Complaint).values(**values, request_id=request_id or None, turned_away=turned_away)
    kept = func.coalesce(statement.excluded.turned_away, Complaint.turned_away)
    said = statement.on_conflict_do_update(index_elements=["request_id", "shopper_key"], set_={"turned_away": kept})
    return db.session.scalar(said.returning(Complaint.id))


def take_back_complaint(complaint_id: int, place: tuple[str, str], shopper_key: str) -> tuple[str, list[str]]:
    """Let what this person turned away come back; returns the answer's `request_id` and its items, empty for none.

    That they said so stays counted. Somebody else's complaint, or one of another list, is left alone.
    """
    row = db.session.get(Complaint, complaint_id)
    if row is None or (row.surface, row.widget, row.shopper_key) != (*place, shopper_key):
        return "", []
    items, row.turned_away = row.turned_away or [], None
    return row.request_id or "", items


def carry_over_complaints(anonymous_key: str, member_key: str) -> int:
    """Make what somebody said of lists before signing in the member's, but for answers the member spoke of already."""
    said = select(Complaint.request_id).where(Complaint.shopper_key == member_key, Complaint.request_id.is_not(None))
    is_new = or_(Complaint.request_id.is_(None), Complaint.request_id.not_in(said))
    theirs = update(Complaint).where(Complaint.shopper_key == anonymous_key, is_new)
    return rows_changed(theirs.values(shopper_key=member_key))


def record_browser_events(
    events: Sequence[BrowserEvent], shopper: Shopper, *, sent_ms: int, received_at: datetime
) -> set[str]:
    """Add valid browser events, safe when this returns; returns the ids that were new. The rest were known already.

    They have a transaction of their own, with other beacons that wait at the same moment. The server says who, in which
    session and when: occurred = received − (sent − created), clamped to the past week.
    """
    if not events:
        return set()
    person = _person(shopper)
    shared = Shared(**person, received_at=received_at, client_sent_at=_moment(sent_ms))
    rows = [_browser_row(event, sent_ms, received_at) for event in events]
    stored = handle("intake").add(rows, shared)
    return {source_event_id.removeprefix(BROWSER_PREFIX) for source_event_id in stored}


def store_together(beacons: Sequence[Waiting]) -> list[set[str]]:
    """The log's side of the intake: all beacons in one transaction; the new ids of each."""
    with unit_of_work(db.session):
        return [insert_new(beacon.rows, beacon.shared) for beacon in beacons]


def _person(shopper: Shopper) -> dict[str, Any]:
    """Who an event may name: the person, somebody who ends with the session, or somebody made for this call alone."""
    key, session_id = new_anonymous_key(), None
    if shopper.consent.personalisation:
        key, session_id = shopper.key, shopper.session_id
    elif shopper.consent.analytics:
        key, session_id = "a_" + shopper.session_id.removeprefix("s_"), shopper.session_id
    return {
        "shopper_key": key,
        "session_id": session_id,
        "device": shopper.device,
        "is_bot": shopper.is_bot,
        "is_qa": shopper.is_qa,
    }


def _business_row(event: BusinessEvent, now: datetime) -> dict[str, Any]:
    place = event.attribution
    return {
        "source_event_id": event.source_event_id,
        "type": int(event.kind),
        "item_id": event.item_id,
        "value": event.value,
        "occurred_at": now,
        "received_at": now,
        "surface": place.surface if place else None,
        "widget": place.widget if place else None,
        "rank": place.rank if place else None,
        "request_id": place.request_id or None if place else None,
        "recommended": bool(place and place.is_recommended),
        "order_number": event.order_number,
        "meta": dict(event.meta),
        "next_attempt_at": now,
    }


def _browser_row(event: BrowserEvent, sent_ms: int, received_at: datetime) -> Row:
    waited_ms = sent_ms - event.created_ms
    delay_ms = min(max(waited_ms, 0), MAX_DELAY_MS)
    return Row(
        source_event_id=BROWSER_PREFIX + event.event_id,
        type=int(event.kind),
        item_id=event.item_id,
        occurred_at=received_at - timedelta(milliseconds=delay_ms),
        client_created_at=_moment(event.created_ms),
        surface=event.surface,
        widget=event.widget,
        rank=event.rank,
        request_id=event.request_id,
        recommended=event.is_recommended,
        meta=_browser_meta(event, is_clamped=delay_ms != waited_ms),
    )


def _browser_meta(event: BrowserEvent, *, is_clamped: bool) -> dict[str, Any]:
    """Addresses are cut to what cannot name a person: our own path, the referrer's host."""
    meta = {
        "kind": "impression" if event.is_impression else "",
        "href": scrub(urlsplit(event.href).path),
        "text": scrub(event.text),
        "referrer": urlsplit(event.referrer).hostname or "",
        "experiment": event.experiment,
        "ab_bucket": event.ab_bucket,
        "clock": "clamped" if is_clamped else "",
    }
    return {name: value for name, value in meta.items() if value}


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
