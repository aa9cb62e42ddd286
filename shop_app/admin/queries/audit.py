"""The audit trail: who did what, and whether somebody tampered with it."""

from collections.abc import Sequence

from sqlalchemy import func, select

from shop_app.admin.paging import PAGE_SIZE, Listing
from shop_app.extensions import db
from shop_app.site_settings.models import AuditEntry
from shop_app.site_settings.services import chain_hash


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


def actions() -> Sequence[str]:
    """Every kind of action that ever happened."""
    return db.session.scalars(select(AuditEntry.action).distinct().order_by(AuditEntry.action)).all()


def first_broken() -> AuditEntry | None:
    """The first entry whose hash does not follow from its content and the entry before; None when all is whole."""
    previous = ""
    for entry in db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)):
        if entry.chain_hash != chain_hash(previous, entry):
            return entry
        previous = entry.chain_hash
    return None
