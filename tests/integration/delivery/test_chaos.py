"""The short form of `make chaos`."""

import pytest

from scripts.chaos import run


@pytest.mark.ticket("RS-080")
@pytest.mark.timeout(400)
@pytest.mark.ticket("RS-026")
@pytest.mark.ticket("RS-028")
def test_killing_web_worker_redis_and_cron_loses_and_doubles_nothing() -> None:
    verdict = run(kills=5, shoppers=2, seed=3)

    assert verdict.kills == {"web": 1, "worker": 2, "redis": 1, "cron": 1}
    assert (verdict.lost, verdict.doubled, verdict.unsent) == ([], [], 0)
    assert verdict.acknowledged > 0
    assert verdict.order_lines >= verdict.orders > 0
    assert verdict.logged == verdict.at_recsys
