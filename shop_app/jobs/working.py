"""The loop of a worker process."""

import logging
import time
from contextlib import suppress
from types import FrameType

from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer

from shop_app.jobs.alarm import connect_queue

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
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def work_until_told(redis_url: str) -> None:
    """Do jobs until told to stop by a signal, whatever becomes of Redis meanwhile."""
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
