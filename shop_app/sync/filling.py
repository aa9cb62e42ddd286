"""Remembering the first filling of a shop until it is whole."""

from datetime import datetime

from sqlalchemy import select

from shop_app.core.errors import InvalidInput
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.sync.loading import is_empty
from shop_app.sync.models import Filling


def start_filling(source: str, otherwise: str, now: datetime) -> tuple[str, datetime] | None:
    """What to fill the shop with and as of when; None when there is nothing to do.

    An empty shop is filled with `source`, or `otherwise` if that is empty. A filling that was interrupted goes on.

    Raises:
        InvalidInput: another source was interrupted before.

    """
    with unit_of_work(db.session):
        begun = db.session.scalars(select(Filling)).first()
        if begun is None and is_empty():
            begun = Filling(id=1, source=source or otherwise, started_at=now)
            db.session.add(begun)
        if begun is None or begun.finished_at is not None:
            return None
        if source and source != begun.source:
            problem = f"filling with {begun.source} was interrupted; go on with that, or begin with no database"
            raise InvalidInput({"data": [problem]})
        return begun.source, begun.started_at


def end_filling(now: datetime) -> None:
    """Everything is in."""
    with unit_of_work(db.session):
        db.session.get_one(Filling, 1).finished_at = now
