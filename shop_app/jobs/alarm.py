"""Waking workers. Best effort: what matters is in the tables, and cron comes round every second anyway."""

import logging
import time
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from shop_app.core.ids import new_token
from shop_app.jobs.schedule import DELIVER, QUEUE, Task

log = logging.getLogger(__name__)

REDIS_PATIENCE_S = 0.2
"""A page may lose this much, once, when Redis is gone."""
PAUSE_AFTER_FAILURE_S = 5.0
QUIET_S = 0.2
"""Rings closer together than this are one ring: the worker takes everything that is due."""
FAILED_JOB_KEPT_S = 24 * 3600


class Alarm:
    """Puts tasks on the queue, unless one of the same name waits there already."""

    def __init__(self, redis_url: str) -> None:
        self._queue = connect_queue(redis_url)
        self._silent_until = 0.0

    def ring(self, task: Task = DELIVER) -> None:
        """Ask for `task` now; rings in quick succession are one."""
        now = time.monotonic()
        if now < self._silent_until:
            return
        self._silent_until = now + QUIET_S
        self.enqueue(task)

    def enqueue(self, task: Task) -> bool:
        """Put `task` on the queue; False when Redis is away, which is one log line."""
        try:
            if not any(job_id.startswith(f"{task.name}-") for job_id in self._queue.get_job_ids()):
                self._put(task)
        except RedisError as error:
            self._silent_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
            log.warning("alarm_not_heard", extra={"task": task.name, "reason": type(error).__name__})
            return False
        return True

    def ping(self) -> bool:
        """Whether Redis answers. Raises `RedisError` when it does not."""
        return bool(self._queue.connection.ping())

    def forget_old_commands(self) -> None:
        """Let Redis write its append-only file anew: the old one keeps commands about keys that have ended since."""
        try:
            if self._queue.connection.config_get("appendonly").get("appendonly") == "yes":
                self._queue.connection.bgrewriteaof()
        except RedisError as error:
            log.warning("redis_log_not_rewritten", extra={"reason": type(error).__name__})

    def _put(self, task: Task) -> None:
        self._queue.enqueue(
            task.path,
            job_id=f"{task.name}-{new_token(8)}",
            job_timeout=int(task.timeout.total_seconds()),
            result_ttl=0,
            failure_ttl=FAILED_JOB_KEPT_S,
        )


def connect_queue(redis_url: str, **options: Any) -> Queue:
    """The one queue. By default a Redis that does not answer at once is given up on, without retries."""
    patience = {"socket_timeout": REDIS_PATIENCE_S, "socket_connect_timeout": REDIS_PATIENCE_S}
    options = options or {**patience, "retry": Retry(NoBackoff(), 0)}
    return Queue(QUEUE, connection=Redis.from_url(redis_url, **options), serializer=JSONSerializer)
