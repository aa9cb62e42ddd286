"""The audit trail: who did what, and whether somebody tampered with it."""

from collections.abc import Collection, Sequence
from typing import Protocol

from sqlalchemy import func, select

from shop_app.accounts.models import User
from shop_app.admin.paging import PAGE_SIZE, Listing
from shop_app.extensions import db
from shop_app.site_settings.models import AuditEntry, AuditHead
from shop_app.site_settings.services import HEAD_ID, chain_hash


def entries(subject: str, action: str, page: int) -> Listing[AuditEntry]:
    """Newest first."""
    conditions = []
    if subject:
        conditions.append(AuditEntry.subject.icontains(subject.strip(), autoescape=True))
    if action:
        conditions.append(AuditEntry.action == action)
    total = db.session.scalar(select(func.count(AuditEntry.id)).where(*conditions)) or 0
    query = select(AuditEntry).where(*conditions).order_by(AuditEntry.id.desc())
    return Listing(db.session.scalars(query.limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)).all(), total, page)


class Acted(Protocol):
    """Something somebody did."""

    @property
    def actor(self) -> str:
        """Their key."""


def staff_names(rows: Sequence[Acted]) -> dict[str, str]:
    """Names of the staff behind the keys in `rows`; nobody else's, whose names are personal data."""
    return names_of({entry.actor for entry in rows})


def names_of(keys: Collection[str]) -> dict[str, str]:
    """Names of the staff among these keys."""
    named = select(User.key, User.name).where(User.key.in_(keys), User.role != "shopper")
    return {key: name for key, name in db.session.execute(named) if name}


def actions() -> Sequence[str]:
    """Every kind of action that ever happened."""
    return db.session.scalars(select(AuditEntry.action).distinct().order_by(AuditEntry.action)).all()


def first_broken() -> AuditEntry | None:
    """The first entry whose hash does not follow from its content and the entry before; None when all is whole."""
    return _walk()[0]


def is_cut() -> bool:
    """Whether the head names another number of entries, or another newest one, than there are: the tail is gone."""
    _, number, newest = _walk()
    head = db.session.get(AuditHead, HEAD_ID, populate_existing=True)
    return (number, newest) != ((head.entries, head.chain_hash) if head else (0, ""))


def _walk() -> tuple[AuditEntry | None, int, str]:
    """The first broken entry, how many entries there are, and the hash of the newest."""
    previous, number, broken = "", 0, None
    for entry in db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)):
        if broken is None and entry.chain_hash != chain_hash(previous, entry):
            broken = entry
        previous, number = entry.chain_hash, number + 1
    return broken, number, previous
