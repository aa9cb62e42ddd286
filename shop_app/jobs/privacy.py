"""Obeying what people asked for, and not keeping what is old."""

from typing import Any

from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle
from shop_app.jobs.shell import job
from shop_app.privacy import retention
from shop_app.privacy.services import erase_at_recsys
from shop_app.sqlite import empty_write_ahead_log


@job
def forget() -> dict[str, Any]:
    """Let Recsys forget whoever is due, then take what files still hold of the rows that went."""
    with unit_of_work(db.session):
        stepped = erase_at_recsys(handle("recsys"), handle("clock").now())
    if stepped:
        empty_write_ahead_log(db.engine)
        handle("alarm").forget_old_commands()
    return {"erasures": stepped}


@job
def retain() -> dict[str, Any]:
    """Delete a batch of what is older than its window, and what the write-ahead log still has of rows that went."""
    with unit_of_work(db.session):
        deleted = sum(retention.apply(handle("clock").now()).values())
    empty_write_ahead_log(db.engine)
    return {"deleted": deleted}
