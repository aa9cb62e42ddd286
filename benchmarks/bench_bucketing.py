"""A million shoppers in two hundred experiments: are the variants even, and independent of one another?

    python benchmarks/bench_bucketing.py [--ids 1000000] [--experiments 200]

Prints the p-value of χ² uniformity over 100 bins (all experiments together), of the joint test that all pairs of two-
way splits are uncorrelated (n·Σr² is χ² with one degree of freedom a pair), and the smallest pair's p-value after
Bonferroni. All must exceed .0005.
"""

import argparse

import numpy as np
from scipy import stats

from shop_app.experiments.bucketing import buckets

BINS = 100
SMALLEST_P = 0.0005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", type=int, default=1_000_000)
    parser.add_argument("--experiments", type=int, default=200)
    chosen = parser.parse_args()
    ids = np.char.add("a_", np.arange(chosen.ids).astype(str))
    signs = np.empty((chosen.experiments, chosen.ids), dtype=np.float32)
    chi_squared = 0.0
    for number in range(chosen.experiments):
        positions = buckets(f"experiment-{number}", ids)
        counts = np.bincount((positions * BINS + 1e-9).astype(int), minlength=BINS)
        chi_squared += float(stats.chisquare(counts).statistic)
        signs[number] = np.where(positions < 0.5, -1.0, 1.0)
    uniform = stats.chi2.sf(chi_squared, chosen.experiments * (BINS - 1))
    signs -= signs.mean(axis=1, keepdims=True)
    signs /= np.sqrt((signs**2).mean(axis=1, keepdims=True))
    correlations = (signs @ signs.T / chosen.ids)[np.triu_indices(chosen.experiments, k=1)].astype(float)
    independent = stats.chi2.sf(chosen.ids * float(correlations @ correlations), correlations.size)
    worst = min(1.0, correlations.size * 2 * stats.norm.sf(np.abs(correlations).max() * np.sqrt(chosen.ids)))
    for name, p_value in (("uniform", uniform), ("pairs independent", independent), ("worst pair (Bonferroni)", worst)):
        print(f"{name}: p = {p_value:.4f}")
        if p_value <= SMALLEST_P:
            raise SystemExit(f"{name}: p = {p_value:.6f} is not above {SMALLEST_P}")


if __name__ == "__main__":
    main()
