"""Can a log tell what another policy would earn? The simulator's shoppers, whose click chances are known, say.

    python benchmarks/bench_offpolicy.py [--runs 500] [--rows 5000]

For each policy: true click rate, mean estimate and bias of SNIPS and doubly robust, and how many of their 95 %
intervals hold the truth. Then Kendall's τ of five policies ranked from one log each, and a policy whose question the
log cannot answer.
"""

import argparse

import numpy as np
from scipy import stats

from recsys_engine.evaluation.offpolicy import PolicyLog, ThinOverlapError, evaluate_policy
from shop_app.simulator.impressions import Floats, World

POLICIES = {"avoids taste": -0.3, "random": 0.0, "mild": 0.3, "as logged": 0.6, "sharp": 1.0}
LOGGING = 0.6
MODEL_ERROR = 0.3


def policy_log(world: World, logging: Floats, target: Floats, rows: int, rng: np.random.Generator) -> PolicyLog:
    log = world.log(logging, rows, rng)
    appeal, look = world.believed(error=MODEL_ERROR, seed=5)
    expected = (target * appeal).sum(axis=1)
    return PolicyLog(
        rewards=log.clicks,
        logging=logging[log.shoppers, log.items],
        target=target[log.shoppers, log.items],
        predicted_logged=look[log.ranks] * appeal[log.shoppers, log.items],
        predicted_target=look[log.ranks] * expected[log.shoppers],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--rows", type=int, default=5000)
    chosen = parser.parse_args()
    world, rng = World(seed=11), np.random.default_rng(12)
    logging = world.softmax(LOGGING, noise=0.5, seed=1, floor=0.3)
    print("| policy | true click rate | SNIPS bias | covers | doubly robust bias | covers | effective rows |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, sharpness in POLICIES.items():
        target = world.softmax(sharpness, noise=0.3, seed=2)
        truth = world.click_rate(target)
        reports = [
            evaluate_policy(policy_log(world, logging, target, chosen.rows, rng), rng, resamples=300)
            for _ in range(chosen.runs)
        ]
        cells = [name, f"{truth:.4f}"]
        for which in ("snips", "dr"):
            found = [report.estimates[which] for report in reports]
            cells.append(f"{np.mean([e.value for e in found]) / truth - 1:+.2%}")
            cells.append(f"{np.mean([e.low <= truth <= e.high for e in found]):.1%}")
        cells.append(f"{np.mean([report.diagnostics.effective for report in reports]):,.0f}")
        print(f"| {' | '.join(cells)} |", flush=True)
    rank(world, logging, rng, chosen.runs // 10)
    refuse(world, logging, rng, chosen.rows)


def rank(world: World, logging: Floats, rng: np.random.Generator, runs: int) -> None:
    """Five policies ranked from one log of 40,000 rows each, many times."""
    targets = [world.softmax(sharpness, noise=0.3, seed=2) for sharpness in POLICIES.values()]
    truth = [world.click_rate(target) for target in targets]
    taus = [
        stats.kendalltau(
            [
                evaluate_policy(policy_log(world, logging, t, 40_000, rng), rng, resamples=2).estimates["dr"].value
                for t in targets
            ],
            truth,
        ).statistic
        for _ in range(runs)
    ]
    good = np.mean(np.array(taus) >= 0.8 - 1e-9)
    print(f"\nKendall's tau over {runs} rankings: mean {np.mean(taus):.3f}, at least .8 in {good:.1%}")


def refuse(world: World, logging: Floats, rng: np.random.Generator, rows: int) -> None:
    """A policy that shows each shopper one item the log hardly ever showed them."""
    target = np.zeros_like(logging)
    target[np.arange(len(logging)), logging.argmin(axis=1)] = 1
    try:
        evaluate_policy(policy_log(world, logging, target, rows, rng), rng, resamples=2)
    except ThinOverlapError as error:
        print(f"\nRefused, as it must be: {error}")
    else:
        print("\nNOT refused")


if __name__ == "__main__":
    main()
