"""What a worker gains by sending several batches at a time to a Recsys that takes its time to answer.

    python -m benchmarks.bench_parallel [--events 20000]

Events wait in a SQLite shop; the gateway here only sleeps, then takes everything. Printed for each latency: events a
second one batch at a time and several at a time, the most that were under way, and the shop's CPU per event.
"""

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask

from benchmarks.bench_outage import BEACON, SOMEBODY, a_beacon, a_shop
from recsys_engine.contract import Event, EventsResult
from shop_app.core.clock import SystemClock
from shop_app.extensions import db
from shop_app.sync.services import Carrier, drain
from shop_app.tracking.services import record_browser_events

LATENCIES_S = (0.02, 0.1, 0.3, 1.0)


class Sleeper:
    """Takes every event, after a while."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.under_way = self.most = 0
        self._lock = threading.Lock()

    def send_events(self, events: Sequence[Event]) -> EventsResult:
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(self.latency_s)
        with self._lock:
            self.under_way -= 1
        return EventsResult(len(events))

    def upsert_items(self, _: object) -> None:
        """No item waits."""

    upsert_users = upsert_items


def measure(app: Flask, events: int, latency_s: float, *, is_parallel: bool) -> str:
    """Fill the log, empty it, and say how that went."""
    now = datetime.now(UTC)
    for _ in range(events // BEACON):
        record_browser_events(a_beacon(now), SOMEBODY, sent_ms=int(now.timestamp() * 1000), received_at=now)
    sleeper, delivered = Sleeper(latency_s), 0
    in_context = app.app_context if is_parallel else None
    carrier = Carrier(sleeper, SystemClock(), random.Random(1), in_context=in_context)
    began, used = time.perf_counter(), time.process_time()
    while delivered < events:
        delivered += drain(carrier)["events"].delivered
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    return f"{events / wall:.0f}/s, at most {sleeper.most} under way, {cpu / events * 1e6:.0f} µs CPU an event"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    options = parser.parse_args()
    for latency_s in LATENCIES_S:
        for is_parallel in (False, True):
            with tempfile.TemporaryDirectory(prefix="parallel-") as folder:
                app = a_shop(Path(folder), SystemClock())
                with app.app_context():
                    db.create_all()
                    found = measure(app, options.events, latency_s, is_parallel=is_parallel)
                    db.session.remove()
                    db.engine.dispose()
                app.extensions["recsys"].close()
            print(f"{latency_s} s, {'several' if is_parallel else 'one'} at a time: {found}")


if __name__ == "__main__":
    main()
