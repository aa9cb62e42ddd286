"""`python worker.py` does the jobs; `python worker.py --cron` asks for them when they are due."""

import os
import signal
import sys
import threading

from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.core.clock import Clock
from shop_app.jobs.alarm import Alarm, connect_queue
from shop_app.jobs.cron import run_cron
from shop_app.jobs.metering import keep_counts
from shop_app.jobs.working import work_until_told
from shop_app.logs import set_up_logging


def main(clock: Clock | None = None) -> None:
    """Build the app, then work or tick until told to stop. A fault run hands in a clock of its own."""
    settings = load_settings(os.environ)
    set_up_logging(settings.log_level)
    app = create_app(settings, clock=clock)
    keep_counts(app.extensions["meter"], app.app_context)
    with app.app_context():
        if "--cron" in sys.argv[1:]:
            _tick(settings.redis_url, app.extensions["clock"])
        else:
            work_until_told(settings.redis_url)


def _tick(redis_url: str, clock: object) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    alarm = Alarm(redis_url)
    run_cron(connect_queue(redis_url).connection, alarm, clock, is_stopped=stop.is_set)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
