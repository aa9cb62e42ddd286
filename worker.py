"""`python worker.py` does the jobs; `python worker.py --cron` asks for them when they are due."""

import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.worker.base import StopRequested

from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.core.clock import Clock
from shop_app.jobs.alarm import Alarm, connect_queue
from shop_app.jobs.cron import run_cron
from shop_app.jobs.metering import keep_counts
from shop_app.logs import set_up_logging

REDIS_OPTIONS = {"health_check_interval": 30}
AGAIN_AFTER_S = 1.0
log = logging.getLogger(__name__)


class Worker(SimpleWorker):
    """Knows afterwards whether it was told to stop: RQ's own also ends when Redis goes away at a bad moment.

    It works in this process: jobs are short, their state is in tables, and a fork would lose every open handle.
    """

    is_told_to_stop = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self.is_told_to_stop = True
        super().request_stop(signum, frame)


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
            _work(settings.redis_url)


def _work(redis_url: str) -> None:
    """Until told to stop, whatever becomes of Redis meanwhile."""
    while True:
        queue = connect_queue(redis_url, **REDIS_OPTIONS)
        worker = Worker([queue], connection=queue.connection, serializer=JSONSerializer)
        with suppress(RedisError):
            worker.work(logging_level="WARNING")
        if not worker.is_told_to_stop:
            log.warning("worker_starts_again", extra={"after_s": AGAIN_AFTER_S})
            with suppress(StopRequested):  # RQ's answer to a signal while nothing is done
                time.sleep(AGAIN_AFTER_S)
        if worker.is_told_to_stop:
            return


def _tick(redis_url: str, clock: object) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    alarm = Alarm(redis_url)
    run_cron(connect_queue(redis_url).connection, alarm, clock, is_stopped=stop.is_set)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
