"""Carrying changes and events to Recsys."""

from typing import Any

from shop_app.jobs.shell import carrier, job
from shop_app.sync.services import drain


@job
def deliver() -> dict[str, Any]:
    """Send everything that is due: items, users, events."""
    return {name: pushed.delivered for name, pushed in drain(carrier()).items()}
