"""Two hundred data faults in ninety simulated days: how many are found, and how often the alarm is false.

    python -m benchmarks.bench_faults [--seed 1] [--faults 200]

Traffic has a daily and weekly rhythm, noise beyond Poisson, four browsers and five event types; faults last two to
five hours and may overlap. A fault is found when a finding of a fitting kind falls into it or the hour after it;
findings of consecutive hours are one alert; an alert that fits no fault is false.
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from shop_app.analytics.monitoring.schema_drift import profile
from shop_app.analytics.monitoring.watch import Fault, HourFacts, StreamWatch

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
WARM_UP_DAYS, DAYS, KEPT_WEEKS = 56, 90, 8
PER_HOUR = 500.0
TYPES = {"view": 0.66, "click": 0.2, "add": 0.08, "purchase": 0.04, "custom": 0.02}
BROWSERS = {"Chrome": 0.5, "Safari": 0.25, "Firefox": 0.15, "Edge": 0.1}
SAMPLED = 80  # events an hour whose shape is looked at
KINDS = {
    "drop": {Fault.DROP},
    "doubling": {Fault.DUPLICATES, Fault.SURGE},
    "gap": {Fault.DROP},
    "currency switch": {Fault.SCHEMA},
    "renamed key": {Fault.SCHEMA},
    "type change": {Fault.SCHEMA},
    "zone shift": {Fault.ZONE_SHIFT},
    "bot burst": {Fault.BOT_BURST, Fault.SURGE},
    "one browser silent": {Fault.DROP},
}


def rhythm(at: datetime) -> float:
    """Share of the hourly mean: nights are quiet, evenings busy, weekends a little busier."""
    hour = at.hour + 0.5
    day = 0.25 + 0.95 * np.exp(-(((hour - 20) / 4) ** 2)) + 0.8 * np.exp(-(((hour - 12) / 4) ** 2))
    return float(day * (1.15 if at.weekday() >= 5 else 0.95))


def simulate(at: datetime, active: list[str], rng: np.random.Generator) -> HourFacts:
    """One hour of events with the faults that are on."""
    mean = PER_HOUR * rhythm(at) * float(np.exp(rng.normal(0, 0.05)))
    cells = {(kind, browser): rng.poisson(mean * a * b) for kind, a in TYPES.items() for browser, b in BROWSERS.items()}
    if "gap" in active:
        cells = dict.fromkeys(cells, 0)
    if "drop" in active:
        cells = {cell: rng.binomial(count, 0.4) for cell, count in cells.items()}
    if "one browser silent" in active:
        cells = {cell: 0 if cell[1] == "Firefox" else count for cell, count in cells.items()}
    total, busiest = sum(cells.values()), 4 + int(rng.poisson(4))
    if "bot burst" in active:
        busiest = int(max(total, 100) * rng.uniform(0.6, 2.0))
        cells["view", "Chrome"] += busiest
        total += busiest
    known = int(rng.binomial(total, 0.003)) + (int(rng.binomial(total, 0.9)) if "doubling" in active else 0)
    counts: Counter[tuple[str, str]] = Counter()
    for (kind, browser), count in cells.items():
        counts["type", kind] += int(count)
        counts["browser", browser] += int(count)
    lag = timedelta(hours=1) if "zone shift" in active else timedelta(0)
    lags = [lag + timedelta(seconds=float(rng.normal(0, 20))) for _ in range(min(total, SAMPLED))]
    shapes = [event(active, rng) for _ in range(min(total, SAMPLED))]
    return HourFacts(at, dict(counts), known, busiest, profile(shapes), lags)


def event(active: list[str], rng: np.random.Generator) -> tuple[str, dict[str, object]]:
    meta: dict[str, object] = {
        "surface": str(rng.choice(["home", "pdp", "cart"])),
        "currency": "EUR",
        "unit_price": 1999,
    }
    if rng.random() < 0.3:
        meta["text"] = "short"
    if "currency switch" in active:
        meta["currency"] = "USD"
    if "type change" in active:
        meta["unit_price"] = "19.99"
    body: dict[str, object] = {"item_id": "sku", "meta": meta}
    if "renamed key" in active:
        body["item"] = body.pop("item_id")
    return "view", body


@dataclass(frozen=True)
class Placed:
    """A fault that was put into the stream, from `start` until before `end`."""

    kind: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Verdict:
    """What the watch made of the faults."""

    faults: list[Placed]
    missed: Counter[str]
    alerts: int
    false: list[tuple[Fault, str, datetime]]

    @property
    def recall(self) -> float:
        return 1 - self.missed.total() / len(self.faults)

    @property
    def precision(self) -> float:
        return 1 - len(self.false) / self.alerts

    @property
    def false_a_week(self) -> float:
        """Alerts of the same kind in the same hour are one disturbance."""
        return len({(fault, at) for fault, _, at in self.false}) / (DAYS / 7)


def run(seed: int, count: int) -> Verdict:
    """Ninety days with `count` faults at random hours, after eight weeks without."""
    rng = np.random.default_rng(seed)
    first = START + timedelta(days=WARM_UP_DAYS)
    faults = []
    for number in range(count):
        at = first + timedelta(hours=int(rng.integers(0, DAYS * 24 - 6)))
        faults.append(Placed(list(KINDS)[number % len(KINDS)], at, at + timedelta(hours=int(rng.integers(2, 6)))))
    history: list[HourFacts] = []
    recent: list[HourFacts] = []
    alerts: dict[tuple[Fault, str], list[list[datetime]]] = {}
    watch = None
    for hour in range((WARM_UP_DAYS + DAYS) * 24):
        at = START + timedelta(hours=hour)
        facts = simulate(at, [fault.kind for fault in faults if fault.start <= at < fault.end], rng)
        is_clean = True
        if at >= first:
            if watch is None or at.hour == 0:
                watch = StreamWatch([hour for hour in history if hour.at >= at - timedelta(weeks=KEPT_WEEKS)])
            found = watch.judge(facts, recent[-5:])
            is_clean = not found
            for finding in found:
                runs = alerts.setdefault((finding.fault, finding.subject), [])
                if runs and at - runs[-1][-1] <= timedelta(hours=2):
                    runs[-1].append(at)
                else:
                    runs.append([at])
        recent = [*recent[-5:], facts]
        if is_clean:
            history.append(facts)
    return judged(faults, alerts)


def judged(faults: list[Placed], alerts: dict[tuple[Fault, str], list[list[datetime]]]) -> Verdict:
    """Fit alerts and faults to each other. `alerts` holds the hours of each alert by what it speaks of."""
    found: set[int] = set()
    false = []
    for (kind, subject), runs in alerts.items():
        slack = timedelta(hours=6 if kind in {Fault.DROP, Fault.SURGE} else 1)
        for hours in runs:
            fitting = [
                index
                for index, fault in enumerate(faults)
                if kind in KINDS[fault.kind] and any(fault.start <= at < fault.end + slack for at in hours)
            ]
            found.update(
                index
                for index in fitting
                if any(faults[index].start <= at < faults[index].end + timedelta(hours=1) for at in hours)
            )
            if not fitting:
                false.append((kind, subject, hours[0]))
    missed = Counter(fault.kind for index, fault in enumerate(faults) if index not in found)
    return Verdict(faults, missed, sum(map(len, alerts.values())), false)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=200)
    chosen = parser.parse_args()
    verdict = run(chosen.seed, chosen.faults)
    found, total = len(verdict.faults) - verdict.missed.total(), len(verdict.faults)
    print(f"found {found} of {total} faults: recall {verdict.recall:.1%}; missed {dict(verdict.missed)}")
    print(f"{verdict.alerts - len(verdict.false)} of {verdict.alerts} alerts fit: precision {verdict.precision:.1%}")
    print(f"false alarms: {verdict.false_a_week:.2f} a week")
    for fault, subject, at in verdict.false[:20]:
        print(f"  false: {fault.value} {subject} {at:%a %d %b %H:%M}")


if __name__ == "__main__":
    main()
