"""Nobody reads the whole shop through its search box."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.extensions import db, limiter

ALLOWED = 600


@pytest.fixture
def strict(settings: Settings, clock: FixedClock, app: Flask) -> Iterator[Flask]:
    """The same shop with rate limits on."""
    strict = create_app(replace(settings, rate_limits=True), clock=clock)
    with strict.app_context():
        limiter.reset()
    yield strict
    with strict.app_context():
        limiter.reset()
        limiter.enabled = False
        db.session.remove()
        db.engine.dispose()


@pytest.mark.ticket("RS-071")
def test_results_and_suggestions_of_one_address_share_a_limit_and_others_go_on(strict: Flask) -> None:
    client = strict.test_client()
    answers = [client.get("/search/suggestions?q=").status_code for _ in range(ALLOWED)]

    refused = client.get("/search?q=soap")
    elsewhere = client.get("/search?q=soap", environ_base={"REMOTE_ADDR": "192.0.2.7"})

    assert set(answers) == {200}
    assert refused.status_code == 429
    assert "Retry-After" in refused.headers
    assert elsewhere.status_code == 200
