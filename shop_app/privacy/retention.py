"""How long each kind of data is kept, and the job that keeps to it (RS-073)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, delete, func, select, update

from shop_app.accounts.models import Letter, MemberSession
from shop_app.cart.models import Cart, CartLine
from shop_app.catalog.models import CatalogueUpload
from shop_app.extensions import Base, db
from shop_app.orders.models import PaymentAttempt, PaymentNotice
from shop_app.privacy.models import Erasure
from shop_app.tracking.models import LEFT_OUT_FOR, Complaint, TrackedEvent

if TYPE_CHECKING:
    from sqlalchemy.orm import InstrumentedAttribute

BATCH = 1000
QUARTER = timedelta(days=90)
"""For disputes, late repeats, and people who want to look at what failed."""


@dataclass(frozen=True, slots=True)
class Window:
    """Rows of `model` that satisfy `which` are kept for `keep` after `since`; with `emptied` only those columns end."""

    name: str
    model: type[Base]
    since: "InstrumentedAttribute[datetime]"
    keep: timedelta
    which: "ColumnElement[bool] | None" = None
    emptied: Mapping[str, Any] = field(default_factory=dict)


def windows() -> tuple[Window, ...]:
    """Every window. Orders, their lines and the audit trail are kept: the law asks for them."""
    browsing = (TrackedEvent.delivery == "sent") & TrackedEvent.order_number.is_(None)
    failed = PaymentAttempt.status.in_(("declined", "voided", "failed"))
    in_closed_baskets = CartLine.cart_id.in_(select(Cart.id).where(Cart.status != "open"))
    is_done = Erasure.done_at.is_not(None)
    is_turned_away = Complaint.turned_away.is_not(None)
    return (
        # A year and a month: last season can be compared with this one.
        Window("browsing events", TrackedEvent, TrackedEvent.received_at, timedelta(days=400), browsing),
        Window("what was turned away", Complaint, Complaint.at, LEFT_OUT_FOR, is_turned_away, {"turned_away": None}),
        Window("reported lists", Complaint, Complaint.at, timedelta(days=400)),
        Window("dead letters", TrackedEvent, TrackedEvent.received_at, QUARTER, TrackedEvent.delivery == "dead"),
        Window("failed payments", PaymentAttempt, PaymentAttempt.updated_at, QUARTER, failed),
        Window("payment notices", PaymentNotice, PaymentNotice.received_at, QUARTER),
        Window("lines of closed baskets", CartLine, CartLine.added_at, timedelta(days=30), in_closed_baskets),
        Window("catalogue uploads", CatalogueUpload, CatalogueUpload.uploaded_at, timedelta(days=2)),
        # Longer than the cookie lives.
        Window("sign-ins", MemberSession, MemberSession.seen_at, timedelta(days=200)),
        # Their links work for half an hour; the rest is for owners to see that one was written.
        Window("letters", Letter, Letter.written_at, timedelta(days=2)),
        Window("finished erasures", Erasure, Erasure.asked_at, timedelta(days=400), is_done),
    )


def apply(now: datetime) -> Mapping[str, int]:
    """Delete or empty up to a batch of overdue rows of each kind; returns how many. The caller's transaction."""
    gone = {}
    for window in windows():
        which = _key(window.model).in_(select(_key(window.model)).where(*_overdue(window, now)).limit(BATCH))
        statement = (
            update(window.model).where(which).values(**window.emptied)
            if window.emptied
            else delete(window.model).where(which)
        )
        result = db.session.execute(statement, execution_options={"synchronize_session": False})
        gone[window.name] = int(result.rowcount)  # type: ignore[attr-defined]  # a DELETE gives a cursor result
    return gone


def overdue(now: datetime) -> Mapping[str, int]:
    """How many rows of each kind should be gone by now: the proof that the windows are kept."""
    return {
        window.name: db.session.scalar(select(func.count()).select_from(window.model).where(*_overdue(window, now)))
        or 0
        for window in windows()
    }


def _overdue(window: Window, now: datetime) -> "list[ColumnElement[bool]]":
    old = [window.since < now - window.keep]
    return old if window.which is None else [*old, window.which]


def _key(model: type[Base]) -> "ColumnElement[int]":
    column: ColumnElement[int] = model.__table__.c.id
    return column
