"""Members as support looks for them."""

from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import joinedload

from shop_app.accounts.models import Letter, User
from shop_app.admin.paging import PAGE_SIZE, Listing
from shop_app.core.errors import NotFound
from shop_app.extensions import db
from shop_app.orders.models import Order
from shop_app.tracking.models import ConsentRecord, TrackedEvent

RECENT = 20


def people(text: str, role: str, page: int) -> Listing[User]:
    """Last seen first; `text` is part of a name, an e-mail address or a shopper key."""
    total = db.session.scalar(_filtered(select(func.count(User.id)), text, role)) or 0
    query = _filtered(select(User), text, role).order_by(User.last_seen_at.desc(), User.id.desc())
    rows = db.session.scalars(query.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)).all()
    return Listing(rows, total, page)


def person(user_id: int) -> User:
    """One member.

    Raises:
        NotFound: there is none.

    """
    found = db.session.get(User, user_id)
    if found is None:
        raise NotFound("There is no such member.")
    return found


def letters(page: int) -> Listing[Letter]:
    """What was written to members, and to nobody, newest first."""
    total = db.session.scalar(select(func.count(Letter.id))) or 0
    query = select(Letter).options(joinedload(Letter.user)).order_by(Letter.id.desc())
    rows = db.session.scalars(query.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)).all()
    return Listing(rows, total, page)


def orders_of(user: User) -> list[Order]:
    """Their newest orders."""
    query = select(Order).where(Order.user_id == user.id).order_by(Order.placed_at.desc()).limit(RECENT)
    return list(db.session.scalars(query))


def events_of(shopper_key: str) -> list[TrackedEvent]:
    """Their newest events."""
    query = select(TrackedEvent).where(TrackedEvent.shopper_key == shopper_key)
    return list(db.session.scalars(query.order_by(TrackedEvent.occurred_at.desc()).limit(RECENT)))


def consent_of(shopper_key: str) -> ConsentRecord | None:
    """What they last decided about tracking."""
    query = select(ConsentRecord).where(ConsentRecord.shopper_key == shopper_key)
    return db.session.scalars(query.order_by(ConsentRecord.id.desc()).limit(1)).first()


def _filtered(query: Select[Any], text: str, role: str) -> Select[Any]:
    if text:
        pattern = text.strip()
        query = query.where(
            or_(
                User.name.icontains(pattern, autoescape=True),
                User.email.icontains(pattern, autoescape=True),
                User.key.icontains(pattern, autoescape=True),
            )
        )
    return query.where(User.role == role) if role else query
