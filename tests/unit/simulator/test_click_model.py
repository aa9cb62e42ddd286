"""The click model's chances are what happens, and are the same for the pages and for the matrices."""

import numpy as np
import pytest
from scipy import stats

from recsys_engine.evaluation.offpolicy import PolicyLog, ThinOverlapError, evaluate_policy
from shop_app.simulator.impressions import Floats, World
from shop_app.simulator.shoppers import Offer, population

SHARPNESS = (-0.3, 0.0, 0.3, 0.6, 1.0)


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=11, shoppers=40, items=12)


def log_of(world: World, target: Floats, rows: int, rng: np.random.Generator) -> PolicyLog:
    logging = world.softmax(0.6, noise=0.5, seed=1, floor=0.3)
    log = world.log(logging, rows, rng)
    appeal, look = world.believed(error=0.3, seed=5)
    return PolicyLog(
        rewards=log.clicks,
        logging=logging[log.shoppers, log.items],
        target=target[log.shoppers, log.items],
        predicted_logged=look[log.ranks] * appeal[log.shoppers, log.items],
        predicted_target=look[log.ranks] * (target * appeal).sum(axis=1)[log.shoppers],
    )


def test_looking_falls_with_the_rank_and_nothing_above_the_limit_is_bought() -> None:
    who = population(3, 1, ("/departments/a",))[0]
    cheap, dear = (Offer("A", "", price) for price in (1000, who.price_limit_minor + 1))

    assert [who.look(rank) for rank in (1, 2, 3)] == [1.0, 2**-who.bias, 3**-who.bias]
    assert who.click_chance(cheap, 4) == who.look(4) * who.appeal(cheap)
    assert who.add_chance(cheap) > who.appeal(cheap)
    assert who.add_chance(dear) == 0.0


def test_the_same_seed_gives_the_same_people() -> None:
    assert population(8, 5, ("/a", "/b")) == population(8, 5, ("/a", "/b"))
    assert population(8, 5, ("/a", "/b")) != population(9, 5, ("/a", "/b"))


def test_clicks_come_as_often_as_the_chances_say(world: World) -> None:
    policy = world.softmax(0.6)

    log = world.log(policy, 200_000, np.random.default_rng(4))

    assert log.clicks.mean() == pytest.approx(world.click_rate(policy), rel=0.03)


def test_what_another_policy_earns_is_estimated_without_bias_and_ranked(world: World) -> None:
    rng = np.random.default_rng(12)
    targets = [world.softmax(sharpness, noise=0.3, seed=2) for sharpness in SHARPNESS]
    truth = [world.click_rate(target) for target in targets]

    reports = [[evaluate_policy(log_of(world, t, 3000, rng), rng, resamples=50) for _ in range(25)] for t in targets]

    for name in ("snips", "dr"):
        means = [np.mean([report.estimates[name].value for report in of]) for of in reports]
        assert means == pytest.approx(
            truth, rel=0.05
        )  # 25 logs leave 1.5 %; benchmarks/bench_offpolicy.py has the rest
        assert stats.kendalltau(means, truth).statistic >= 0.8


def test_a_question_the_log_cannot_answer_is_refused(world: World) -> None:
    target = np.zeros_like(world.appeal)
    target[np.arange(len(target)), world.softmax(0.6, noise=0.5, seed=1, floor=0.3).argmin(axis=1)] = 1

    with pytest.raises(ThinOverlapError, match="log more exploration"):
        evaluate_policy(log_of(world, target, 3000, np.random.default_rng(1)), np.random.default_rng(1))
