"""The promises of the experiment pages, measured: peeking, automatic stops, split checks.

    python benchmarks/bench_statistics.py [--runs 2000]

Prints one table a promise. Seeds are fixed; every share carries a Monte-Carlo error of about √(p(1 − p)/runs).
"""

import argparse

import numpy as np

from shop_app.experiments.guardrails import FALSE_STOP, Guardrail, HarmWatch, look_for_harm
from shop_app.experiments.statistics import srm
from shop_app.experiments.statistics.moments import of_proportion
from shop_app.experiments.statistics.peeking import false_stops

SESSIONS, LOOKS = 20_000, 40


def stopped(base: float, change: float, runs: int, control_share: float, rng: np.random.Generator) -> float:
    """Share of runs stopped within 20,000 sessions, read forty times."""
    guardrail, count = Guardrail("conversion"), 0
    step = (int(SESSIONS * control_share / LOOKS), int(SESSIONS * (1 - control_share) / LOOKS))
    for _ in range(runs):
        watch, bought = HarmWatch(SESSIONS), [0, 0]
        for look in range(1, LOOKS + 1):
            bought[0] += rng.binomial(step[0], base)
            bought[1] += rng.binomial(step[1], base * (1 + change))
            arms = [of_proportion(bought[arm], look * step[arm]) for arm in (0, 1)]
            reading = look_for_harm(guardrail, *arms, watch)
            watch = reading.watch
            if reading.stop:
                count += 1
                break
    return count / runs


def funnel_stopped(bases: tuple[float, ...], change: float, runs: int, rng: np.random.Generator) -> float:
    """As `stopped`, with several guardrails that share the budget: each later metric counts among the earlier one's."""
    step, count = SESSIONS // LOOKS // 2, 0
    for _ in range(runs):
        watches, counts = [HarmWatch(SESSIONS)] * len(bases), np.zeros((len(bases), 2), dtype=int)
        for look in range(1, LOOKS + 1):
            for arm in (0, 1):
                left, before = step, 1.0
                for metric, base in enumerate(bases):
                    now = base * (1 + change * arm)
                    left, before = int(rng.binomial(left, now / before)), now
                    counts[metric, arm] += left
            if _any_stops(counts, look * step, watches, len(bases)):
                count += 1
                break
    return count / runs


def _any_stops(counts: np.ndarray, units: int, watches: list[HarmWatch], shares: int) -> bool:
    stops = False
    for metric, pair in enumerate(counts):
        arms = [of_proportion(int(total), units) for total in pair]
        reading = look_for_harm(Guardrail("metric"), *arms, watches[metric], false_stop=FALSE_STOP / shares)
        watches[metric] = reading.watch
        stops |= reading.stop
    return stops


def named(runs: int, rng: np.random.Generator) -> float:
    """Share of runs that name phones first when phones lose 2 % of one arm's exposures, over 14 days and 3 devices."""
    days, shares, first = 14, {"phone": 0.45, "desktop": 0.45, "tablet": 0.1}, 0
    for _ in range(runs):
        cells = {
            (day, kind): rng.binomial(200_000 / days, share, 2) for day in range(days) for kind, share in shares.items()
        }
        segments: dict[tuple[str, str], np.ndarray] = {}
        for (day, kind), pair in cells.items():
            kept = np.array([pair[0], rng.binomial(pair[1], 1 - 0.02 / shares["phone"])]) if kind == "phone" else pair
            for key in (("day", str(day)), ("device", kind)):
                segments[key] = segments.get(key, np.zeros(2, dtype=int)) + kept
        found = srm.mismatched_segments({key: tuple(map(int, pair)) for key, pair in segments.items()}, (1, 1))
        first += bool(found) and (found[0].dimension, found[0].value) == ("device", "phone")
    return first / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    print(
        "| A/A tests | looks | naive | sequence | group-sequential | one look |\n| --- | --- | --- | --- | --- | --- |"
    )
    for looks, units, rate in ((30, 500, 0.05), (30, 2000, 0.02), (200, 100, 0.1)):
        found = false_stops(runs=runs, looks=looks, units_per_look=units, rate=rate, rng=np.random.default_rng(2024))
        shares = (found.naive, found.sequence, found.group_sequential, found.single_look)
        print(f"| {units} a look at {rate:.0%} | {looks} | {' | '.join(f'{share:.1%}' for share in shares)} |")
    print("\n| conversion | arms | stopped at −15 % | stopped at ±0 |\n| --- | --- | --- | --- |")
    rng = np.random.default_rng(21)
    for base in (0.03, 0.05, 0.08, 0.10, 0.11, 0.12, 0.15):
        harm, null = (stopped(base, change, runs, 0.5, rng) for change in (-0.15, 0.0))
        print(f"| {base:.0%} | 50 : 50 | {harm:.1%} | {null:.1%} |")
    harm, null = (stopped(0.15, change, runs, 0.3, rng) for change in (-0.15, 0.0))
    print(f"| 15% | 30 : 70 (bandit with a hold-out) | {harm:.1%} | {null:.1%} |")
    print("\n| guarded, shoppers in 100 | stopped at −15 % | stopped at ±0 |\n| --- | --- | --- |")
    for bases in ((0.12, 0.03), (0.13, 0.03), (0.15, 0.03), (0.3, 0.12, 0.03)):
        harm, null = (funnel_stopped(bases, change, runs, rng) for change in (-0.15, 0.0))
        print(f"| {' and '.join(f'{base:.0%}' for base in bases)} | {harm:.1%} | {null:.1%} |")
    control = rng.binomial(400_000, 0.5, runs)
    print("\n| split | mismatch raised |\n| --- | --- |")
    for name, kept in (("as planned", 1.0), ("2 % of one arm's exposures lost, 200k an arm", 0.98)):
        treatment = rng.binomial(400_000 - control, kept)
        raised = [srm.check_ratio((int(a), int(b)), (1, 1)).mismatch for a, b in zip(control, treatment, strict=True)]
        print(f"| {name} | {np.mean(raised):.2%} |")
    print(f"\nthe losing device named first, among days and devices: {named(runs // 4, rng):.1%}")


if __name__ == "__main__":
    main()
