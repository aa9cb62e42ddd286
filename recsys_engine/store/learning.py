"""What came into the log that a learned model does not know."""

from sqlalchemy import Connection, func, select

from recsys_engine.contract.entities import EventType
from recsys_engine.store.snapshots import ERASING
from recsys_engine.store.tables import events, operations


def purchases_after(connection: Connection, tenant: int, seq: int) -> int:
    """Purchase lines with a higher number."""
    where = (events.c.tenant == tenant, events.c.seq > seq, events.c.type == int(EventType.PURCHASE))
    return int(connection.execute(select(func.count()).select_from(events).where(*where)).scalar_one())


def erasures_after(connection: Connection, tenant: int, seq: int) -> int:
    """Deletions of people or their events with a higher number."""
    where = (operations.c.tenant == tenant, operations.c.seq > seq, operations.c.kind.in_(ERASING))
    return int(connection.execute(select(func.count()).select_from(operations).where(*where)).scalar_one())
