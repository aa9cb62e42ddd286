import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_engine.stages.bandit import (
    Algorithm,
    Arm,
    BanditSettings,
    arm_probabilities,
    bucket_key,
    choose_arm,
    is_held_out,
)

PLAIN = BanditSettings(epsilon=1e-9, prior_trials=1.0, confidence=1.0, horizon=math.inf)


@st.composite
def arms(draw):
    sizes = draw(
        st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 1), st.integers(0, 200)), min_size=1, max_size=12)
    )
    return [Arm(f"p{index}", trials, trials * share, pending) for index, (trials, share, pending) in enumerate(sizes)]


@given(arms=arms(), algorithm=st.sampled_from(Algorithm), epsilon=st.floats(0.001, 1))
@settings(deadline=None, max_examples=60)
def test_probabilities_sum_to_one_keep_the_floor_and_ignore_order(arms, algorithm, epsilon):
    configured = BanditSettings(algorithm, epsilon=epsilon)

    chances = arm_probabilities(arms, configured)

    assert sum(chances.values()) == pytest.approx(1.0)
    assert min(chances.values()) >= epsilon / len(arms) - 1e-12
    assert chances == arm_probabilities(arms[::-1], configured)


@pytest.mark.ticket("RS-056")
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_logged_propensities_are_the_frequencies_served(algorithm):
    rng = random.Random(4)
    evidence = [Arm("a", 400, 20.0), Arm("b", 300, 18.0), Arm("c", 50, 1.0, pending=40)]
    configured = BanditSettings(algorithm, epsilon=0.1)

    served = [choose_arm(evidence, configured, rng) for _ in range(20_000)]

    for arm_id, chance in arm_probabilities(evidence, configured).items():
        share = np.mean([choice.arm_id == arm_id for choice in served])
        assert share == pytest.approx(chance, abs=0.01)
        assert {choice.propensity for choice in served if choice.arm_id == arm_id} <= {chance}


def test_thompson_propensities_equal_posterior_draws():
    evidence = [Arm("a", 120, 6.0), Arm("b", 80, 6.0), Arm("c", 10, 0.0), Arm("d", 2000, 90.0)]
    pooled = (102.0 + 0.5) / (2210 + 1)
    rng = np.random.default_rng(7)
    draws = np.column_stack(
        [rng.beta(pooled + arm.reward, 1 - pooled + arm.trials - arm.reward, 400_000) for arm in evidence]
    )

    shares = np.bincount(draws.argmax(axis=1), minlength=4) / len(draws)

    assert list(arm_probabilities(evidence, PLAIN).values()) == pytest.approx(shares, abs=0.003)


def test_without_evidence_thompson_is_uniform():
    chances = arm_probabilities([Arm(f"p{index}") for index in range(5)], BanditSettings())

    assert list(chances.values()) == pytest.approx([0.2] * 5)


def test_epsilon_greedy_serves_the_best_and_spreads_the_rest():
    chances = arm_probabilities(
        [Arm("a", 1000, 30.0), Arm("b", 1000, 60.0)], BanditSettings(Algorithm.EPSILON_GREEDY, epsilon=0.1)
    )

    assert chances == pytest.approx({"a": 0.05, "b": 0.95})


def test_ucb_follows_its_formula_with_ties_to_the_lowest_id():
    configured = BanditSettings(Algorithm.UCB1, epsilon=0.01)

    assert max(arm_probabilities([Arm("b"), Arm("a")], configured).items(), key=lambda item: item[1])[0] == "a"
    # 500/1000 + sqrt(2 ln 1010 / 1000) = .618 against 5/10 + sqrt(2 ln 1010 / 10) = 1.676
    assert arm_probabilities([Arm("a", 1000, 500.0), Arm("b", 10, 5.0)], configured)["b"] > 0.99


def test_open_decisions_spread_a_batch_that_waits_for_rewards():
    configured = BanditSettings(Algorithm.UCB1, epsilon=0.01)
    pending = dict.fromkeys("abc", 0)

    for _ in range(30):
        chances = arm_probabilities([Arm(arm_id, pending=count) for arm_id, count in pending.items()], configured)
        pending[max(chances, key=lambda arm_id: chances[arm_id])] += 1

    assert set(pending.values()) == {10}


def test_explore_marks_every_draw_that_is_not_the_empirical_best():
    evidence = [Arm("a", 100, 50.0), Arm("b", 100, 49.0)]
    choices = [choose_arm(evidence, BanditSettings(), random.Random(seed)) for seed in range(200)]

    assert {choice.empirical_best for choice in choices} == {"a"}
    assert all(choice.explore is (choice.arm_id == "b") for choice in choices)
    assert 0 < sum(choice.explore for choice in choices) < 200


def test_same_seed_same_choice():
    evidence = [Arm("a", 10, 1.0), Arm("b", 10, 2.0)]

    assert choose_arm(evidence, BanditSettings(), random.Random(5)) == choose_arm(
        evidence[::-1], BanditSettings(), random.Random(5)
    )


def test_hold_out_is_sticky_salted_and_of_the_right_size():
    users = [f"u_{number}" for number in range(10_000)]
    first = [is_held_out(user, salt="shop:home", share=0.1) for user in users]
    other = [is_held_out(user, salt="shop:cart", share=0.1) for user in users]

    assert first == [is_held_out(user, salt="shop:home", share=0.1) for user in users]
    assert sum(first) == pytest.approx(1000, abs=120)
    assert np.corrcoef(first, other)[0, 1] == pytest.approx(0, abs=0.04)
    assert not any(is_held_out(user, salt="s", share=0.0) for user in users)
    assert all(is_held_out(user, salt="s", share=1.0) for user in users)


@pytest.mark.parametrize(
    ("context", "key"),
    [
        (None, "ctx:empty"),
        ({}, "ctx:"),
        ({" Device ": " Phone ", "age": "new"}, "ctx:age=new|device=phone"),
        ({"DEVICE": "Phone"}, "ctx:device=phone"),
    ],
)
def test_bucket_key_names_the_context(context, key):
    assert bucket_key(context) == key


def test_long_contexts_end_in_a_digest_that_tells_them_apart():
    first, second = ({"k": "x" * 300 + last} for last in "ab")

    assert bucket_key(first)[:203] == bucket_key(second)[:203]
    assert len(bucket_key(first)) == 200 + len("|h=") + 16
    assert bucket_key(first) != bucket_key(second)
    assert bucket_key({"K": "1", "k": "2"}) == bucket_key({"k": "2", "K": "1"})


def test_impossible_input_is_refused():
    with pytest.raises(ValueError, match="epsilon"):
        BanditSettings(epsilon=0.0)
    with pytest.raises(ValueError, match="reward"):
        Arm("a", 1, 2.0)
    with pytest.raises(ValueError, match="at least one arm"):
        arm_probabilities([], BanditSettings())
    with pytest.raises(ValueError, match="named once"):
        arm_probabilities([Arm("a"), Arm("a")], BanditSettings())
