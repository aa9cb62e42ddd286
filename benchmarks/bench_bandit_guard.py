"""How often the guard sends a bandit back to its incumbent: when the other policy does no harm, and when it does.

Thompson sampling with Beta(1, 1) priors and the floor of `experiments.bandits` draws the policies; the guard looks
after each batch. Counted are runs that were stopped before `PLANNED` answers were seen.

    python -m benchmarks.bench_bandit_guard [runs]
"""

import sys

import numpy as np

from shop_app.experiments.bandits import FLOOR
from shop_app.experiments.guardrails import FALSE_STOP, Guardrail, HarmWatch, look_for_harm
from shop_app.experiments.statistics import moments

PLANNED = 20_000
BATCH = 1000
RATE = 0.2
"""Answers clicked, of those seen: a list of eight cards with a click rate of 2.8 % a card."""
CHECKS = 2
"""Guardrails looked at: clicked and bought. Only the first is simulated; the other's share is unused."""


def stopped_after(harm: float, rng: np.random.Generator, *, margin: float = 0.0) -> int:
    """Answers until the guard stops one run; 0 when it does not. `harm` is the relative loss of the other policy."""
    rates = np.array([RATE, RATE * (1 - harm)])
    seen, clicked = np.zeros(2, int), np.zeros(2, int)
    watch, guardrail = HarmWatch(PLANNED), Guardrail("clicked", margin=margin)
    for _ in range(PLANNED // BATCH):
        draws = rng.beta(clicked + 1, seen - clicked + 1, size=(BATCH, 2))
        second = np.where(rng.random(BATCH) < FLOOR, rng.random(BATCH) < 0.5, draws[:, 1] > draws[:, 0])
        counts = np.array([BATCH - second.sum(), second.sum()])
        seen += counts
        clicked += rng.binomial(counts, rates)
        pair = [moments.of_proportion(int(c), int(n)) for c, n in zip(clicked, seen, strict=True)]
        reading = look_for_harm(guardrail, pair[0], pair[1], watch, false_stop=FALSE_STOP / CHECKS)
        watch = reading.watch
        if reading.stop:
            return int(seen.sum())
    return 0


def main() -> None:
    """Print the shares of stopped runs."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    for name, harm in (("no harm", 0.0), ("-15 %", 0.15), ("-30 %", 0.30)):
        found = [stopped_after(harm, np.random.default_rng([11, run, round(harm * 100)])) for run in range(runs)]
        stops = [after for after in found if after]
        half = f", half of them by {int(np.median(stops)):,} answers" if stops else ""
        print(f"{name}: {len(stops)} of {runs} runs stopped ({len(stops) / runs:.1%}){half}")


if __name__ == "__main__":
    main()
