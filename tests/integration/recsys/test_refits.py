"""The ranking learns anew by itself, once, when it pays or somebody was erased."""

from datetime import timedelta

import pytest

from shop_app.core.clock import FixedClock
from shop_app.jobs import recommender
from tests.factories.engine import NOW, fill, open_gateway


@pytest.fixture
def clock():
    return FixedClock(NOW)


@pytest.fixture
def gateway(tmp_path, clock):
    made = open_gateway(tmp_path, "shop", clock)
    yield made
    made.close()


def _quiet(done, total, what):
    assert 0 <= done <= total, what


def test_a_refit_is_due_when_enough_was_bought_and_not_again_at_once(gateway, clock):
    assert (gateway.operations.refit_status().state, gateway.operations.refit_status().is_due) == ("never", False)
    fill(gateway, orders=6)  # 216 lines

    assert gateway.operations.refit_status().is_due
    assert gateway.operations.refit(_quiet) is True

    found = gateway.operations.refit_status()
    assert (found.state, found.is_due, found.purchases, found.new_purchases) == ("done", False, 216, 0)
    assert found.done == found.total > 0
    assert found.finished_at == NOW
    fill(gateway, orders=12)
    assert not gateway.operations.refit_status().is_due, "an hour has not passed"
    clock.advance(timedelta(hours=1))
    assert gateway.operations.refit_status().is_due


def test_an_erasure_makes_it_due_after_a_quarter_of_an_hour(gateway, clock):
    fill(gateway, orders=6)
    gateway.operations.refit(_quiet)
    gateway.forget_users(["u_3"])

    assert not gateway.operations.refit_status().is_due
    clock.advance(timedelta(minutes=15))
    assert gateway.operations.refit_status().is_due
    gateway.operations.refit(_quiet)
    assert (gateway.operations.refit_status().erasures, gateway.operations.refit_status().purchases) == (0, 198)


def test_two_never_run_at_once_and_a_dead_one_is_told_apart(gateway):
    fill(gateway, orders=6)
    told = []

    def while_running(done, total, what):
        told.append((gateway.operations.refit(_quiet), gateway.operations.refit_status().state, what))

    assert gateway.operations.refit(while_running) is True
    assert {(again, state) for again, state, _ in told} == {(False, "running")}

    def killed(done, total, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gateway.operations.refit(killed)
    assert gateway.operations.refit_status().state == "interrupted"


def test_a_failed_run_says_why(gateway):
    fill(gateway, orders=6)

    def broken(done, total, what):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        gateway.operations.refit(broken)
    found = gateway.operations.refit_status()
    assert (found.state, found.error) == ("failed", "OSError: disk full")


def test_the_job_starts_a_process_of_its_own_only_when_it_is_due(app, monkeypatch):
    started = []
    monkeypatch.setattr(recommender.subprocess, "Popen", lambda command, **_: started.append(command))
    with app.app_context():
        assert recommender.refit() == {"started": 0}
        fill(app.extensions["recsys"], orders=6)
        assert recommender.refit() == {"started": 1}

    assert started == [recommender.REFIT]
