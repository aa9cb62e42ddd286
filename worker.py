"""`python worker.py` does the jobs; `python worker.py --cron` asks for them when they are due."""

import os
import signal
import sys
import threading

from rq import SimpleWorker
from rq.timeouts import TimerDeathPenalty

from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.jobs.alarm import Alarm, connect_queue
from shop_app.jobs.cron import run_cron

REDIS_OPTIONS = {"socket_keepalive": True, "health_check_interval": 30}


class Worker(SimpleWorker):
    """Runs jobs in this process: they are short and keep their state in tables, and a fork would lose open handles.

    A job that hangs is interrupted by its timeout; a process that dies is started again by whoever started it.
    """

    death_penalty_class = TimerDeathPenalty if sys.platform == "win32" else SimpleWorker.death_penalty_class


def main() -> None:
    """Build the app, then work or tick until told to stop."""
    settings = load_settings(os.environ)
    app = create_app(settings)
    with app.app_context():
        if "--cron" in sys.argv[1:]:
            _tick(settings.redis_url, app.extensions["clock"])
        else:
            queue = connect_queue(settings.redis_url, **REDIS_OPTIONS)
            Worker([queue], connection=queue.connection, serializer=queue.serializer).work(logging_level="WARNING")


def _tick(redis_url: str, clock: object) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    alarm = Alarm(redis_url)
    run_cron(connect_queue(redis_url).connection, alarm, clock, is_stopped=stop.is_set)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
