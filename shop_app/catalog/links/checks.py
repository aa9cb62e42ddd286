"""Which addresses somebody wants looked at, who looks, and what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from shop_app.catalog.links.fetching import Answer, Verdict
from shop_app.catalog.models import LinkCheck, Product
from shop_app.extensions import db

MOST_PER_PRODUCT = 12
LEASE = timedelta(minutes=1)
"""A look takes seconds; one whose process died is taken again after this."""
PICTURE, PAGE = "picture", "page"


def ask_for_checks(products: Sequence[Product], site_url: str, now: datetime) -> int:
    """Have the pictures that lie elsewhere, and the page, of these products looked at; returns how many addresses.

    What was found earlier of them is forgotten. The page is asked for only where the shop stands under https.
    """
    db.session.execute(delete(LinkCheck).where(LinkCheck.product_id.in_([product.id for product in products])))
    rows = [
        LinkCheck(product_id=product.id, url=url, kind=kind, asked_at=now)
        for product in products
        for url, kind in _addresses(product, site_url)
    ]
    db.session.add_all(rows)
    return len(rows)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address to look at, leased until then."""

    check_id: int
    url: str
    is_picture: bool
    lease_until: datetime


def take_check(now: datetime) -> Wanted | None:
    """The next address to look at, leased to the caller; None when nothing waits."""
    first = select(LinkCheck.id).where(*_waiting(now)).order_by(LinkCheck.id).limit(1)
    taken = update(LinkCheck).where(LinkCheck.id.in_(first.with_for_update(skip_locked=True).cte("due").select()))
    until = now + LEASE
    rows = db.session.execute(
        taken.values(lease_until=until).returning(LinkCheck.id, LinkCheck.url, LinkCheck.kind),
        execution_options={"synchronize_session": False},
    )
    return next((Wanted(number, url, kind == PICTURE, until) for number, url, kind in rows), None)


def note_answer(wanted: Wanted, answer: Answer, now: datetime) -> None:
    """Keep what was found, unless the lease lapsed or the look was asked for anew: the id may be another row's now."""
    found = {
        "checked_at": now,
        "verdict": answer.verdict.name.lower(),
        "status": answer.status,
        "media_type": answer.media_type,
        "size_bytes": answer.size_bytes,
    }
    mine = update(LinkCheck).where(LinkCheck.id == wanted.check_id, LinkCheck.lease_until == wanted.lease_until)
    db.session.execute(mine.values(**found))


def is_waiting(now: datetime) -> bool:
    """Whether some address waits and nobody looks at it."""
    return db.session.scalar(select(LinkCheck.id).where(*_waiting(now)).limit(1)) is not None


def checks_of(product_id: int) -> Sequence[LinkCheck]:
    """What was asked and found of one product, in the order of asking."""
    return db.session.scalars(select(LinkCheck).where(LinkCheck.product_id == product_id).order_by(LinkCheck.id)).all()


def broken(product_ids: Sequence[int]) -> Mapping[int, int]:
    """How many addresses of each product did not answer as they should; products without one are left out."""
    bad = select(LinkCheck.product_id, func.count()).where(
        LinkCheck.product_id.in_(product_ids), LinkCheck.verdict != Verdict.FINE.name.lower()
    )
    return {product_id: count for product_id, count in db.session.execute(bad.group_by(LinkCheck.product_id))}  # noqa: C416


def words(verdict: str) -> str:
    """A stored verdict for people."""
    return Verdict[verdict.upper()].value


def _addresses(product: Product, site_url: str) -> list[tuple[str, str]]:
    pictures = [(url, PICTURE) for url in dict.fromkeys(product.image_urls) if "://" in url or url.startswith("//")]
    page = [(f"{site_url}/products/{product.slug}", PAGE)] if site_url.startswith("https://") else []
    return [*page, *pictures][:MOST_PER_PRODUCT]


def _waiting(now: datetime) -> "tuple[ColumnElement[bool], ColumnElement[bool]]":
    return LinkCheck.checked_at.is_(None), or_(LinkCheck.lease_until.is_(None), LinkCheck.lease_until < now)
