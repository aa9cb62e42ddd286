"""The alarm, the clock that rings it, and a real worker on a real Redis."""

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
from flask import Flask
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.jobs.alarm import Alarm, connect_queue
from shop_app.jobs.cron import LOCK, holds_lock, tick
from shop_app.jobs.schedule import DELIVER, TASKS, due
from tests.factories.events import tell_purchases
from tests.fakes import FakeGateway

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture
def redis(settings: Settings) -> Iterator["Redis"]:
    connection = connect_queue(settings.redis_url).connection
    connection.flushdb()
    yield connection
    connection.flushdb()


def test_every_job_is_where_the_schedule_says() -> None:
    for task in TASKS:
        module, _, name = task.path.rpartition(".")
        assert callable(getattr(import_module(module), name))
        assert "-" not in task.name
    assert len({task.name for task in TASKS}) == len(TASKS)


@pytest.mark.ticket("RS-028")
def test_a_worker_delivers_when_the_alarm_rings(
    app: Flask, settings: Settings, redis: "Redis", recsys: FakeGateway, clock: FixedClock
) -> None:
    with app.app_context():
        with unit_of_work(db.session):
            ids = tell_purchases(3, clock.now())
        alarm = Alarm(settings.redis_url)
        alarm.ring()
        alarm.ring()
        queue = connect_queue(settings.redis_url)
        assert len(queue) == 1

        SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="ERROR")

        assert recsys.received == ids
        assert len(queue.failed_job_registry) == 0


def test_a_task_waits_on_the_queue_once_only(settings: Settings, redis: "Redis") -> None:
    alarm = Alarm(settings.redis_url)

    assert [alarm.enqueue(DELIVER) for _ in range(3)] == [True, True, True]
    assert len(connect_queue(settings.redis_url)) == 1


def test_without_redis_an_alarm_is_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    alarm = Alarm("redis://127.0.0.1:1/0")

    alarm.ring()
    alarm.ring()

    assert [record.message for record in caplog.records] == ["alarm_not_heard"]


def test_a_task_is_due_at_once_and_then_after_its_interval(clock: FixedClock) -> None:
    last_run = {DELIVER.name: clock.now()}

    assert due((DELIVER,), {}, clock.now()) == [DELIVER]
    assert due((DELIVER,), last_run, clock.now() + timedelta(seconds=0.9)) == []
    assert due((DELIVER,), last_run, clock.now() + timedelta(seconds=1)) == [DELIVER]


def test_what_could_not_be_asked_for_stays_due(clock: FixedClock) -> None:
    last_run = {}  # type: ignore[var-annotated]

    tick(Alarm("redis://127.0.0.1:1/0"), last_run, clock.now())

    assert last_run == {}


def test_only_one_of_two_crons_ticks_until_it_goes_silent(redis: "Redis") -> None:
    assert holds_lock(redis, "one")
    assert not holds_lock(redis, "two")
    assert holds_lock(redis, "one")
    redis.delete(LOCK)
    assert holds_lock(redis, "two")
    assert not holds_lock(redis, "one")
