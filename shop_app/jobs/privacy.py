"""Obeying what people asked for, and not keeping what is old."""

from typing import Any

from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db, handle
from shop_app.jobs.shell import job
from shop_app.privacy import retention
from shop_app.privacy.services import erase_at_recsys


@job
def forget() -> dict[str, Any]:
    """Let Recsys forget whoever is due."""
    with unit_of_work(db.session):
        return {"erasures": erase_at_recsys(handle("recsys"), handle("clock").now())}


@job
def retain() -> dict[str, Any]:
    """Delete a batch of what is older than its window."""
    with unit_of_work(db.session):
        return {"deleted": sum(retention.apply(handle("clock").now()).values())}
