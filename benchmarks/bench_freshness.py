"""How long until another process answers with what one process accepted, while events keep pouring in.

    python -m benchmarks.bench_freshness --url postgresql://…/db [--rate 500] [--seconds 30]

Two processes hold a replica each over one database. This one accepts batches of events at the given rate and, four
times a second, the purchase of a shopper nobody else touches; the other asks for that shopper's "buy again" list
without pause and says when the item first stood on it. Clocks are one machine's `time.monotonic`.
"""

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np

from recsys_engine.contract import Context, Event, EventType, Item, RecommendRequest
from recsys_engine.service import Database, Engine

ORG = "11111111-1111-4111-8111-111111111111"
ITEMS, PROBES_PER_S, SLOWEST_S = 5_000, 4, 10.0


def opened(url, namespace):
    database = Database(url)
    database.create_tables()
    return Engine(database, ORG, namespace, lambda: datetime.now(UTC), decision_sample_rate=0.0)


def watch(url, namespace):
    """The other process: reads probe names line by line, prints when each was first seen."""
    engine = opened(url, namespace)
    engine.recommend(RecommendRequest())
    print("ready", flush=True)
    for line in sys.stdin:
        shopper = line.strip()
        request = RecommendRequest(shopper, 5, Context("buy_again"))
        until = time.monotonic() + SLOWEST_S
        while not engine.recommend(request).items and time.monotonic() < until:
            time.sleep(0.002)
        print(json.dumps([shopper, time.monotonic()]), flush=True)
    engine.close()


def pour(engine, rate, seconds, ask):
    """Accept events at the rate; returns when each probe was accepted and how many events were."""
    rng, accepted, count = np.random.default_rng(1), {}, 0
    began = time.monotonic()
    for step in range(int(seconds * 20)):
        events = [
            Event(f"u{rng.integers(2_000)}", f"p{rng.zipf(1.3) % ITEMS}", int(rng.choice([0, 0, 1, 2, 3])))
            for _ in range(rate // 20)
        ]
        if step % (20 // PROBES_PER_S) == 0:
            shopper = f"probe-{uuid4().hex[:8]}"
            events.append(Event(shopper, f"p{step % ITEMS}", EventType.PURCHASE))
            engine.send_events(events)
            accepted[shopper] = time.monotonic()
            ask(shopper)
        else:
            engine.send_events(events)
        count += len(events)
        time.sleep(max(0.0, began + (step + 1) / 20 - time.monotonic()))
    return accepted, count / (time.monotonic() - began)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--watch")
    options = parser.parse_args()
    if options.watch:
        watch(options.url, options.watch)
        return
    namespace = f"fresh-{uuid4().hex[:8]}"
    engine = opened(options.url, namespace)
    for start in range(0, ITEMS, 500):
        engine.upsert_items([Item(f"p{n}", price=1.0) for n in range(start, start + 500)])
    engine.recommend(RecommendRequest())
    command = [sys.executable, "-m", "benchmarks.bench_freshness", "--url", options.url, "--watch", namespace]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    other.stdout.readline()

    def ask(shopper):
        other.stdin.write(shopper + "\n")
        other.stdin.flush()

    accepted, rate = pour(engine, options.rate, options.seconds, ask)
    told, _ = other.communicate(timeout=60)
    seen = dict(json.loads(line) for line in told.splitlines())
    waited = np.array([seen[shopper] - at for shopper, at in accepted.items()])
    missing = int((waited >= SLOWEST_S).sum())
    print(f"{rate:.0f} events/s accepted, {len(waited)} probes, {missing} not seen within {SLOWEST_S:.0f} s")
    print(f"accepted to changed answer on the other replica: p50 {np.median(waited):.3f} s", end="  ")
    print(f"p99 {np.quantile(waited, 0.99):.3f} s  slowest {waited.max():.3f} s")
    engine.close()


if __name__ == "__main__":
    main()
