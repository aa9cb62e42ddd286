"""Looking after the embedded recommender; with a remote one there is nothing to do here."""

import subprocess
import sys
from typing import Any

from shop_app.extensions import handle
from shop_app.jobs.shell import job

ASIDE = ("nice", "-n", "5", "env", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1")
"""Yields to pages and deliveries, and leaves them the other cores: linear algebra would take them all."""
REFIT = (*ASIDE, sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "refit")
VECTORS_A_RUN = 256
"""Some two seconds of one core with the sentence model."""


@job
def embed() -> dict[str, Any]:
    """Make the vectors of products whose text changed."""
    operations = getattr(handle("recsys"), "operations", None)
    return {"vectors": operations.refresh_vectors(VECTORS_A_RUN) if operations else 0}


@job
def refit() -> dict[str, Any]:
    """Start `flask refit` in a process of its own when enough was bought since the last one, or somebody was erased."""
    operations = getattr(handle("recsys"), "operations", None)
    is_due = bool(operations and operations.refit_status().is_due)
    if is_due:
        subprocess.Popen(REFIT, start_new_session=True)  # noqa: S603 - our own command
    return {"started": int(is_due)}
