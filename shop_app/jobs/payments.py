"""Looking after payments whose request died half-way."""

from typing import Any

from shop_app.extensions import handle
from shop_app.jobs.shell import job
from shop_app.orders.checkout import settle_forgotten


@job
def settle() -> dict[str, Any]:
    """Place, capture, void or give up what nobody waits for any more."""
    return {"settled": settle_forgotten(handle("payments"), handle("clock").now())}
