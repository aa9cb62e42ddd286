"""Share of the oracle's clicks each bandit earns: 10 arms with click rates 2–5 %, 50,000 impressions in batches of 100.

    python benchmarks/bench_bandit.py [--seeds 20] [--first-seed 0]

Prints, for rewards at once and for rewards 5,000 impressions late: the mean over seeds, the worst seed, the share of
seeds under .88, and the largest gap between logged propensities and what was served. Clicks are counted as the
expected clicks of the arms served, over those of always serving the best arm, so that luck with single clicks does not
blur the comparison; the realised share is printed beside it.
"""

import argparse
import math
from collections import deque

import numpy as np

from recsys_engine.stages.bandit import Algorithm, Arm, BanditSettings, arm_probabilities

RATES = np.linspace(0.02, 0.05, 10)
IMPRESSIONS, BATCH, DELAY = 50_000, 100, 5_000
FLOOR = 0.88

POLICIES = {
    "shipped default": BanditSettings(),
    "plain Thompson": BanditSettings(epsilon=1e-9, prior_trials=1.0, confidence=1.0, horizon=math.inf),
    "epsilon-greedy .1": BanditSettings(Algorithm.EPSILON_GREEDY, epsilon=0.1),
    "UCB1": BanditSettings(Algorithm.UCB1, epsilon=1e-9),
}


def play(settings: BanditSettings, seed: int, delay: int) -> tuple[float, float, np.ndarray]:
    """Expected and realised share of the oracle's clicks, and served minus promised share per arm."""
    rng = np.random.default_rng(seed)
    trials, clicks, shown = (np.zeros(RATES.size, dtype=int) for _ in range(3))
    promised, earned = np.zeros(RATES.size), 0
    waiting: deque[tuple[np.ndarray, np.ndarray]] = deque()
    for _ in range(IMPRESSIONS // BATCH):
        while len(waiting) > delay // BATCH:
            served, rewarded = waiting.popleft()
            trials += served
            clicks += rewarded
        arms = [Arm(f"{k}", int(trials[k]), float(clicks[k]), int(shown[k] - trials[k])) for k in range(RATES.size)]
        served = draw_batch(arms, settings, rng)
        rewarded = rng.binomial(served, RATES)
        waiting.append((served, rewarded))
        promised += BATCH * np.array(list(arm_probabilities(arms, settings).values()))
        shown += served
        earned += int(rewarded.sum())
    oracle = IMPRESSIONS * RATES.max()
    return float(shown @ RATES) / oracle, earned / oracle, (shown - promised) / IMPRESSIONS


def draw_batch(arms: list[Arm], settings: BanditSettings, rng: np.random.Generator) -> np.ndarray:
    """How often each arm is served in one batch, decided before any of its rewards is known."""
    chances = np.array(list(arm_probabilities(arms, settings).values()))
    return rng.multinomial(BATCH, chances / chances.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--policy", action="append", choices=list(POLICIES))
    chosen = parser.parse_args()
    seeds = range(chosen.first_seed, chosen.first_seed + chosen.seeds)
    print("| policy | rewards | mean | worst seed | seeds < .88 | realised mean | propensity gap |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in chosen.policy or POLICIES:
        for delay in (0, DELAY):
            runs = [play(POLICIES[name], seed, delay) for seed in seeds]
            shares = np.array([run[0] for run in runs])
            realised = np.mean([run[1] for run in runs])
            gap = np.abs(np.mean([run[2] for run in runs], axis=0)).max()
            cells = [
                name,
                f"{delay:,} late" if delay else "at once",
                f"{shares.mean():.4f}",
                f"{shares.min():.3f}",
                f"{(shares < FLOOR).mean():.1%}",
                f"{realised:.4f}",
                f"{gap:.4f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
