"""Two hundred data faults in ninety simulated days: how many are found, and how often the alarm is false.

    python benchmarks/bench_faults.py [--seed 1] [--faults 200]

Traffic has a daily and weekly rhythm, noise beyond Poisson, four browsers and five event types; faults last two to
five hours and may overlap. A fault is found when a finding of a fitting kind falls into it or the hour after it;
findings of consecutive hours are one alert; an alert that fits no fault is false.
"""

import argparse
from collections import Counter
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=200)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    first = START + timedelta(days=WARM_UP_DAYS)
    faults = []
    for number in range(chosen.faults):
        at = first + timedelta(hours=int(rng.integers(0, DAYS * 24 - 6)))
        faults.append((list(KINDS)[number % len(KINDS)], at, at + timedelta(hours=int(rng.integers(2, 6)))))
    hours = [START + timedelta(hours=hour) for hour in range((WARM_UP_DAYS + DAYS) * 24)]
    history: list[HourFacts] = []
    recent: list[HourFacts] = []
    alerts: dict[tuple[Fault, str], list[list[datetime]]] = {}
    watch = None
    for at in hours:
        facts = simulate(at, [kind for kind, start, end in faults if start <= at < end], rng)
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
    report(faults, alerts)


def report(faults: list, alerts: dict) -> None:
    found, explained, total, false = set(), 0, 0, []
    for (fault, subject), runs in alerts.items():
        for run in runs:
            slack = timedelta(hours=6 if fault in {Fault.DROP, Fault.SURGE} else 1)
            fitting = [
                index
                for index, (kind, start, end) in enumerate(faults)
                if fault in KINDS[kind] and any(start <= at < end + slack for at in run)
            ]
            found.update(
                i for i in fitting if any(faults[i][1] <= at < faults[i][2] + timedelta(hours=1) for at in run)
            )
            total += 1
            explained += bool(fitting)
            if not fitting:
                false.append((fault.value, subject, run[0]))
    missed = Counter(kind for index, (kind, _, _) in enumerate(faults) if index not in found)
    incidents = {(fault, at.replace(minute=0)) for fault, _, at in false}
    weeks = DAYS / 7
    print(f"found {len(found)} of {len(faults)} faults: recall {len(found) / len(faults):.1%}; missed {dict(missed)}")
    print(f"{explained} of {total} alerts fit: precision {explained / total:.1%}")
    print(f"false alarms: {len(incidents) / weeks:.2f} a week")
    for fault, subject, at in false[:20]:
        print(f"  false: {fault} {subject} {at:%a %d %b %H:%M}")


if __name__ == "__main__":
    main()
