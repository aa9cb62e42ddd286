"""Starting the look at addresses of products in a process of its own: foreign servers must not hold up deliveries."""

import subprocess
import sys
from typing import Any

from shop_app.catalog.links.checks import is_waiting
from shop_app.extensions import handle
from shop_app.jobs.shell import job

COMMAND = (sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "check-links")


@job
def begin() -> dict[str, Any]:
    """Start `flask check-links` when somebody asked for a look; each address is taken by one process only."""
    started = is_waiting(handle("clock").now())
    if started:
        subprocess.Popen(COMMAND, start_new_session=True)  # noqa: S603 - our own command
    return {"started": int(started)}
