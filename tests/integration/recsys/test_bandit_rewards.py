"""What is stored of a bandit: the same sums whatever the order of rewards, and odds that were true."""

import random
from collections import Counter
from datetime import timedelta

import pytest

from recsys_engine.contract.control import Decide, Policy
from recsys_engine.service import Database, Engine
from recsys_engine.store.bandit import arm_sums
from recsys_engine.store.ingest import to_us
from shop_app.core.clock import FixedClock
from tests.factories.engine import NOW, ORG

ASK = Decide("home", {"device": "phone"})


@pytest.fixture
def opened(tmp_path):
    clock, made = FixedClock(NOW), []
    database = Database(f"sqlite:///{tmp_path}/engine.sqlite3")
    database.create_tables()

    def engine(namespace):
        made.append(Engine(database, ORG, namespace, clock.now))
        made[-1].control.put_policies([Policy(name, name, active=True) for name in "abc"])
        return made[-1], clock

    yield engine
    for one in made:
        one.close()


def _sums(engine, now):
    with engine.reading() as (connection, tenant):
        found = arm_sums(connection, tenant, "home", "ctx:device=phone", to_us(now - timedelta(days=1)))
    return sorted((one.policy_id, one.trials, one.reward_micro, one.pending) for one in found)


@pytest.mark.ticket("RS-056")
def test_shuffled_and_doubled_rewards_leave_the_same_sums_bit_for_bit(opened):
    sums = []
    for namespace in ("in-order", "shuffled"):
        engine, clock = opened(namespace)
        served = [engine.bandit.decide(ASK, str(seed))[0] for seed in range(40)]
        rng = random.Random(3)
        told = [(one.decision_id, rng.random(), f"r{n}") for n, one in enumerate(served) if rng.random() < 0.6]
        if namespace == "shuffled":
            told = told * 2
            rng.shuffle(told)
        for reward in told:
            engine.bandit.reward(*reward)
        sums.append((_sums(engine, clock.now()), _sums(engine, clock.now() + timedelta(days=1))))

    assert sums[0] == sums[1]
    (open_, closed), _ = sums
    assert sum(pending for *_, pending in open_) == sum(trials for _, trials, _, _ in closed) == 40
    assert sum(reward for _, _, reward, _ in closed) > 0


@pytest.mark.ticket("RS-056")
def test_stored_odds_are_the_shares_served(opened):
    engine, clock = opened("odds")
    for seed in range(30):
        choice, _ = engine.bandit.decide(ASK, str(seed))
        engine.bandit.reward(choice.decision_id, 1.0 if choice.policy_id == "b" else 0.3, f"r{seed}")
    clock.advance(timedelta(days=1, minutes=1))

    drawn = [engine.bandit.decide(ASK, f"later-{seed}")[0] for seed in range(300)]

    odds = {one.policy_id: one.propensity for one in drawn}
    shares = Counter(one.policy_id for one in drawn)
    assert {one.empirical_best for one in drawn} == {"b"}
    assert sum(odds.values()) == pytest.approx(1, abs=1e-3) if len(odds) == 3 else sum(odds.values()) < 1
    for policy_id, propensity in odds.items():
        spread = 4 * (propensity * (1 - propensity) / len(drawn)) ** 0.5
        assert shares[policy_id] / len(drawn) == pytest.approx(propensity, abs=spread)
