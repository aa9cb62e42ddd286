"""The ticking loop. Run as many as you like: one holds the lock and ticks, the others wait for it to go silent."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from shop_app.core.clock import Clock
from shop_app.core.ids import new_token
from shop_app.jobs.alarm import Alarm
from shop_app.jobs.schedule import TASKS, due

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

LOCK = "shop:cron"
LOCK_MS = 5_000
TICK_S = 0.5


def run_cron(redis: "Redis", alarm: Alarm, clock: Clock, *, is_stopped: Callable[[], bool]) -> None:
    """Ask for every task when it is due, until `is_stopped`."""
    me = new_token()
    last_run: dict[str, datetime] = {}
    while not is_stopped():
        if holds_lock(redis, me):
            tick(alarm, last_run, clock.now())
        time.sleep(TICK_S)


def tick(alarm: Alarm, last_run: dict[str, datetime], now: datetime) -> None:
    """Ask for what is due. What could not be asked for stays due."""
    for task in due(TASKS, last_run, now):
        if alarm.enqueue(task):
            last_run[task.name] = now


def holds_lock(redis: "Redis", me: str) -> bool:
    """Take or renew the lock. The renewal is not atomic: at worst a task is asked for twice, which is harmless."""
    try:
        if redis.set(LOCK, me, nx=True, px=LOCK_MS):
            return True
        is_mine = redis.get(LOCK) == me.encode()
        if is_mine:
            redis.pexpire(LOCK, LOCK_MS)
    except RedisError as error:
        log.warning("cron_without_redis", extra={"reason": type(error).__name__})
        return False
    return is_mine
