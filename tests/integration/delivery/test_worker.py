"""The worker process goes on until it is told to stop."""

import signal

import pytest
from redis.exceptions import ConnectionError as RedisGone

from shop_app.config import Settings
from shop_app.jobs import working


@pytest.mark.ticket("RS-025")
def test_a_worker_starts_again_whatever_becomes_of_redis_until_it_is_told_to_stop(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = iter(["redis is gone", "rq gave up", "told to stop"])
    lives: list[str] = []

    def work(one: working.Worker, **_: object) -> bool:
        lives.append(next(ends))
        if lives[-1] == "redis is gone":
            raise RedisGone("closed")
        if lives[-1] == "told to stop":
            one.request_stop(signal.SIGTERM, None)
        return False

    monkeypatch.setattr(working.Worker, "work", work)
    monkeypatch.setattr(working.SimpleWorker, "request_stop", lambda *_: None)
    monkeypatch.setattr(working, "AGAIN_AFTER_S", 0.0)

    working.work_until_told(settings.redis_url)

    assert lives == ["redis is gone", "rq gave up", "told to stop"]
