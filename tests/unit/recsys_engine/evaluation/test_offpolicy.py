import numpy as np
import pytest
from scipy import stats

from recsys_engine.evaluation.offpolicy import (
    PolicyLog,
    ThinOverlapError,
    diagnose,
    evaluate_policy,
    evaluate_slates,
    point_estimates,
    replay,
)

ITEMS, CONTEXTS = 6, 4


def four_rows() -> PolicyLog:
    return PolicyLog(
        rewards=np.array([1.0, 0, 0, 1]),
        logging=np.full(4, 0.5),
        target=np.array([0.8, 0.2, 0.8, 0.8]),
        predicted_logged=np.array([0.6, 0.3, 0.6, 0.6]),
        predicted_target=np.full(4, 0.8 * 0.6 + 0.2 * 0.3),
    )


def test_reference_rows():
    values = point_estimates(four_rows(), clip=1.5)

    assert values["ips"] == pytest.approx(0.8, abs=1e-6)
    assert values["snips"] == pytest.approx(0.6153846, abs=1e-6)
    assert values["dm"] == pytest.approx(0.54, abs=1e-6)
    assert values["dr"] == pytest.approx(0.59, abs=1e-6)
    assert values["ips_clipped"] == pytest.approx(0.75, abs=1e-6)
    assert diagnose(four_rows().weights).effective == pytest.approx(3.448980, abs=1e-6)


def test_weights_that_do_not_average_one_are_refused_with_what_to_log():
    with pytest.raises(ThinOverlapError, match=r"average 1\.300.*log the propensity of every served item"):
        evaluate_policy(four_rows(), np.random.default_rng(0))


def test_a_handful_of_heavy_rows_is_refused_with_what_to_log():
    logging = np.full(1000, 0.9)
    logging[:10] = 0.01
    log = PolicyLog(np.zeros(1000), logging, np.where(logging < 0.5, 0.9, 0.1))

    with pytest.raises(ThinOverlapError, match=r"carry weight.*log more exploration"):
        evaluate_policy(log, np.random.default_rng(0))


@pytest.mark.parametrize(
    "changes",
    [
        {"logging": np.array([0.0])},
        {"target": np.array([1.2])},
        {"rewards": np.zeros(0)},
        {"predicted_logged": np.ones(1)},
    ],
)
def test_impossible_logs_are_refused(changes):
    values = {"rewards": np.ones(1), "logging": np.ones(1), "target": np.ones(1)}

    with pytest.raises(ValueError, match=r"log|propensities|reward model"):
        PolicyLog(**(values | changes))


def test_replay_uses_only_the_rows_that_match():
    result = replay([1, 0, 1, 1], [0, 1, 0, 2], [0, 1, 1, 1])

    assert (result.value, result.matched, result.rows) == (0.5, 2, 4)
    with pytest.raises(ThinOverlapError, match="random share"):
        replay([1.0], [0], [1])


class World:
    """Known click rates by context and item, a logging policy, and target policies of rising quality."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rates = rng.beta(2, 12, (CONTEXTS, ITEMS))
        self.logging = self.softmax(3.0)
        self.model = np.clip(self.rates * rng.normal(1, 0.2, self.rates.shape), 0, 1)

    def softmax(self, sharpness: float) -> np.ndarray:
        weights = np.exp(sharpness * (self.rates - self.rates.mean(axis=1, keepdims=True)) / self.rates.std())
        soft = weights / weights.sum(axis=1, keepdims=True)
        return 0.7 * soft + 0.3 / ITEMS

    def value(self, policy: np.ndarray) -> float:
        return float((policy * self.rates).sum(axis=1).mean())

    def log(self, policy: np.ndarray, n: int, rng: np.random.Generator) -> PolicyLog:
        context = rng.integers(0, CONTEXTS, n)
        action = (rng.random(n)[:, None] > self.logging.cumsum(axis=1)[context][:, :-1]).sum(axis=1)
        return PolicyLog(
            rewards=(rng.random(n) < self.rates[context, action]).astype(float),
            logging=self.logging[context, action],
            target=policy[context, action],
            predicted_logged=self.model[context, action],
            predicted_target=(policy * self.model).sum(axis=1)[context],
        )


@pytest.fixture
def world() -> World:
    return World(np.random.default_rng(30))


def test_snips_and_doubly_robust_are_unbiased_and_their_intervals_cover_the_truth(world):
    rng, policy, runs = np.random.default_rng(31), world.softmax(1.0), 200
    truth = world.value(policy)

    reports = [evaluate_policy(world.log(policy, 2000, rng), rng, resamples=300).estimates for _ in range(runs)]

    for name in ("ips", "snips", "dr"):
        found = [report[name] for report in reports]
        covered = np.mean([estimate.low <= truth <= estimate.high for estimate in found])
        assert np.mean([estimate.value for estimate in found]) == pytest.approx(truth, rel=0.02)
        assert covered == pytest.approx(0.95, abs=0.02 + 2 * np.sqrt(0.95 * 0.05 / runs))


def test_five_policies_are_ranked_as_they_truly_are(world):
    rng = np.random.default_rng(32)
    policies = [world.softmax(sharpness) for sharpness in (-1.0, 0.0, 0.5, 1.0, 3.0)]

    estimated = [
        evaluate_policy(world.log(policy, 40_000, rng), rng, resamples=50).estimates["dr"].value for policy in policies
    ]

    assert stats.kendalltau(estimated, [world.value(policy) for policy in policies]).statistic >= 0.8


def test_rows_of_one_shopper_widen_the_interval(world):
    rng = np.random.default_rng(33)
    single = world.log(world.logging, 500, rng)
    repeated = PolicyLog(np.tile(single.rewards, 4), np.tile(single.logging, 4), np.tile(single.target, 4))
    grouped = PolicyLog(repeated.rewards, repeated.logging, repeated.target, units=np.tile(np.arange(500), 4))

    by_row = evaluate_policy(repeated, np.random.default_rng(1)).estimates["ips"]
    by_unit = evaluate_policy(grouped, np.random.default_rng(1)).estimates["ips"]

    assert by_row.value == pytest.approx(by_unit.value)
    assert (by_unit.high - by_unit.low) / (by_row.high - by_row.low) == pytest.approx(2.0, rel=0.15)


def test_slates_add_the_positions_and_ignore_missing_ones():
    rng = np.random.default_rng(34)
    logging = np.full((4000, 3), 0.5)
    target = np.where(rng.random((4000, 3)) < 0.5, 0.8, 0.2)
    rewards = (rng.random((4000, 3)) < np.where(target > 0.5, 0.3, 0.1)).astype(float)
    for array in (logging, target, rewards):
        array[:1000, 2] = np.nan

    report = evaluate_slates(rewards, logging, target, np.random.default_rng(2), resamples=300)

    true_rate = 0.8 * 0.3 + 0.2 * 0.1
    assert report.total.value == pytest.approx(sum(position.value for position in report.by_position))
    assert report.by_position[0].low <= true_rate <= report.by_position[0].high
    assert report.by_position[2].low <= 0.75 * true_rate <= report.by_position[2].high


def test_a_position_without_overlap_is_named():
    target = np.column_stack([np.full(50, 0.5), np.zeros(50)])

    with pytest.raises(ThinOverlapError, match="position 2"):
        evaluate_slates(np.zeros((50, 2)), np.full((50, 2), 0.5), target, np.random.default_rng(0))
