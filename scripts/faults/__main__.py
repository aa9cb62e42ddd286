"""The long form of the fault matrix: `python -m scripts.faults [--events 1000000] [--workers 2] [--doubled 0.4]`."""

import argparse
import signal
import sys

from scripts.faults.matrix import run, table


def main() -> int:
    """Run once and print the table; 0 when the books balance and every point was hit."""
    parser = argparse.ArgumentParser(description="Break everything while events flow; then balance the books.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=1200.0, help="events a second, all browsers together")
    parser.add_argument("--workers", type=int, default=2, choices=(1, 2))
    parser.add_argument("--doubled", type=float, default=0.4, help="share of deliveries that are made twice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="just the points whose name holds this")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that every process is stopped too
    verdict = run(
        events=options.events,
        rate=options.rate,
        workers=options.workers,
        double_share=options.doubled,
        seed=options.seed,
        only=options.only,
    )
    print(table(verdict))
    return int(not verdict.is_clean)


if __name__ == "__main__":
    sys.exit(main())
