import random
from datetime import UTC, datetime, timedelta

from recsys_engine.signals.bandit import DecisionReward, ServedDecision, settle

START, WINDOW = datetime(2026, 1, 5, tzinfo=UTC), timedelta(minutes=30)


def a_stream(seed: int, size: int = 400) -> tuple[list[ServedDecision], list[DecisionReward]]:
    rng = random.Random(seed)
    decisions = [
        ServedDecision(
            f"d{n}", rng.choice("abc"), rng.choice(["ctx:", "ctx:device=phone"]), START + timedelta(seconds=10 * n)
        )
        for n in range(size)
    ]
    rewards = [
        DecisionReward(
            decision.decision_id, f"r{n}", rng.random(), decision.served_at + timedelta(minutes=rng.uniform(0, 40))
        )
        for n, decision in enumerate(decisions)
        if rng.random() < 0.4
    ]
    return decisions, rewards


def test_shuffled_and_doubled_streams_give_the_same_posterior_bit_for_bit():
    decisions, rewards = a_stream(1)
    now = START + timedelta(hours=1)
    expected = settle(decisions, rewards, now=now, window=WINDOW)

    for seed in range(5):
        rng = random.Random(seed)
        again_decisions, again_rewards = decisions * 2, rewards * 2
        rng.shuffle(again_decisions)
        rng.shuffle(again_rewards)
        assert settle(again_decisions, again_rewards, now=now, window=WINDOW) == expected


def test_an_unrewarded_decision_fails_only_when_its_window_closes():
    decision = [ServedDecision("d", "a", "ctx:", START)]

    def arm(after: timedelta):
        return settle(decision, [], now=START + after, window=WINDOW)["ctx:"][0]

    assert (arm(WINDOW - timedelta(seconds=1)).trials, arm(WINDOW - timedelta(seconds=1)).pending) == (0, 1)
    assert (arm(WINDOW).trials, arm(WINDOW).reward, arm(WINDOW).pending) == (1, 0.0, 0)


def test_open_successes_do_not_flatter_an_arm():
    decisions = [ServedDecision(f"d{n}", "a", "ctx:", START) for n in range(10)]
    rewards = [DecisionReward("d0", "r", 1.0, START + timedelta(seconds=5))]

    early = settle(decisions, rewards, now=START + timedelta(minutes=1), window=WINDOW)["ctx:"][0]
    late = settle(decisions, rewards, now=START + WINDOW, window=WINDOW)["ctx:"][0]

    assert (early.trials, early.reward, early.pending) == (0, 0.0, 10)
    assert (late.trials, late.reward, late.pending) == (10, 1.0, 0)


def test_late_foreign_and_repeated_rewards():
    decisions = [ServedDecision("d", "a", "ctx:", START)]
    rewards = [
        DecisionReward("d", "in-time", 0.25, START + timedelta(minutes=1)),
        DecisionReward("d", "second", 0.5, START + timedelta(minutes=2)),
        DecisionReward("d", "too-late", 1.0, START + WINDOW + timedelta(seconds=1)),
        DecisionReward("d", "too-early", 1.0, START - timedelta(seconds=1)),
        DecisionReward("unknown", "other", 1.0, START),
    ]

    arm = settle(decisions, rewards, now=START + WINDOW, window=WINDOW)["ctx:"][0]

    assert (arm.trials, arm.reward) == (1, 0.5)
