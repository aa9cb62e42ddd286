"""Keeping experiments honest between two visits of their owner."""

from typing import Any

from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments.bandits import reward_clicks, stop_harmful_bandits
from shop_app.experiments.services import collect_exposures, stop_harmful
from shop_app.extensions import db, handle
from shop_app.jobs.shell import job


@job
def watch() -> dict[str, Any]:
    """Note who has seen which arm, then stop what does harm."""
    with unit_of_work(db.session):
        exposed = collect_exposures()
    with unit_of_work(db.session):
        stopped = stop_harmful(now=handle("clock").now())
    return {"exposed": exposed, "stopped": len(stopped)}


@job
def watch_bandits() -> dict[str, Any]:
    """Reward what was clicked, then send what does harm back to its incumbent."""
    with unit_of_work(db.session):
        looked_at = reward_clicks(handle("recsys").control)
    with unit_of_work(db.session):
        stopped = stop_harmful_bandits(now=handle("clock").now())
    return {"clicks": looked_at, "stopped": len(stopped)}
