"""Starting what takes minutes in a process of its own, so that deliveries never wait behind it."""

import subprocess
import sys
from typing import Any

from shop_app.experiments.studies import is_waiting
from shop_app.jobs.shell import job

COMMAND = (sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "run-studies")


@job
def begin() -> dict[str, Any]:
    """Start `flask run-studies` when somebody asked something; it takes each question once, however often it starts."""
    started = is_waiting()
    if started:
        subprocess.Popen(COMMAND, start_new_session=True)  # noqa: S603 - our own command
    return {"started": int(started)}
