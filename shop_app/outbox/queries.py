"""Looking at what Recsys has not been told yet."""

from sqlalchemy import func, select

from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity


def backlog() -> dict[str, int]:
    """How many entities of each kind wait, and only kinds that wait."""
    rows = db.session.execute(select(ChangedEntity.kind, func.count()).group_by(ChangedEntity.kind))
    return {kind: count for kind, count in rows}  # noqa: C416  (rows are not pairs to mypy)
