"""Looking after the embedded recommender; with a remote one there is nothing to do here."""

from typing import Any

from shop_app.extensions import handle
from shop_app.jobs.shell import job

VECTORS_A_RUN = 256
"""Some two seconds of one core with the sentence model."""


@job
def embed() -> dict[str, Any]:
    """Make the vectors of products whose text changed."""
    operations = getattr(handle("recsys"), "operations", None)
    return {"vectors": operations.refresh_vectors(VECTORS_A_RUN) if operations else 0}
