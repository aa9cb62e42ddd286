"""Recsys is away for half an hour of simulated time while events come in as ever.

    python -m benchmarks.bench_outage [--down 1800] [--rate 500] [--before 300]

One process plays the browsers and the web, a second one is the worker with the engine, on one database and a clock
that is moved on second by second. In a simulated second the events of that second come in as beacons of 20 and a few
pages are asked for and timed, while the worker works until it has used its core for a second or nothing is due.
The back-pressure valve is off: everything is kept, which is the harder case. Printed: how fast the backlog went
compared with what came in; pages before, during and after, by the clock and by the web's CPU, beside a fixed piece of
arithmetic, which tells what a busy second core alone does to the first; memory; vain calls.
"""

import argparse
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from shop_app.app import create_app
from shop_app.catalog.models import Category, Product, Variant
from shop_app.config import load_settings
from shop_app.core.clock import Clock, FixedClock
from shop_app.core.events import EventKind
from shop_app.core.shopper import Consent, Shopper
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.sync.services import Carrier, push_events
from shop_app.tracking.delivery import delivery_counts
from shop_app.tracking.models import TrackedEvent
from shop_app.tracking.services import BrowserEvent, record_browser_events

BEACON = 20
PRODUCTS = 24
PROBES_PER_S = 4
ARITHMETIC = 250_000
"""Numbers to add: about as long as a product page."""
CORE_S = 1.0
"""CPU seconds a worker has in one simulated second."""
SOMEBODY = Shopper(
    key="a_bench", session_id="s_bench", consent=Consent(analytics=True, personalisation=True, is_decided=True)
)


class Line:
    """The gateway, or nothing when it is cut."""

    def __init__(self, gateway: object) -> None:
        self.gateway = gateway
        self.is_cut = False
        self.tally = Tally()

    def send_events(self, events):
        self.tally.calls += 1
        self.tally.largest = max(self.tally.largest, len(events))
        if self.is_cut:
            self.tally.calls_in_vain += 1
            raise RecsysUnavailable("away")
        result = self.gateway.send_events(events)
        self.tally.taken += result.accepted
        return result


@dataclass
class Tally:
    """What the line to Recsys has seen since the start; memory of the worker's process in MB."""

    calls: int = 0
    calls_in_vain: int = 0
    largest: int = 0
    taken: int = 0
    memory_mb: float = 0.0


@dataclass(frozen=True)
class Page:
    """One answer of a product page: by the clock, and CPU of the web process; CPU of the arithmetic right after it."""

    clock_ms: float
    cpu_ms: float
    control_ms: float


@dataclass
class Phase:
    """What one part of the story measured."""

    name: str
    seconds: int = 0
    busy_seconds: int = 0
    taken: int = 0
    delivered: int = 0
    waiting: int = 0
    pages: list[Page] = field(default_factory=list)
    memory_mb: float = 0.0

    def p95_ms(self, measure: str) -> float:
        """Median over the minutes of each minute's p95: what else the machine does for a while moves it less."""
        a_minute = 60 * PROBES_PER_S
        starts = range(0, max(len(self.pages) - a_minute, 0) + 1, a_minute)
        minutes = [self._of(measure, self.pages[start : start + a_minute]) for start in starts]
        found = [statistics.quantiles(pages, n=20)[18] for pages in minutes if len(pages) > 1]
        return statistics.median(found) if found else float("nan")

    def p50_ms(self, measure: str) -> float:
        return statistics.median(self._of(measure, self.pages)) if self.pages else float("nan")

    @staticmethod
    def _of(measure: str, pages: list[Page]) -> list[float]:
        return [getattr(page, measure) for page in pages]


@dataclass
class Story:
    before: Phase
    down: Phase
    after: Phase
    line: Tally
    logged: int = 0
    sent: int = 0

    @property
    def clearing(self) -> float:
        """Events delivered per event that came in, from the first call that went through until nothing waited."""
        taken = self.after.taken / max(self.after.seconds, 1)
        return self.after.delivered / max(self.after.busy_seconds * taken, 1)


def run(*, before_s: int, down_s: int, rate: int, core_s: float = CORE_S) -> Story:
    """Live through it; returns what was measured. Ends when the backlog is gone."""
    with tempfile.TemporaryDirectory(prefix="outage-") as folder:
        clock = FixedClock(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3))
        app = a_shop(Path(folder), clock)
        _fill(app, clock)
        worker = _Worker(Path(folder), core_s)
        live = _Life(app, clock, app.test_client(), worker, rate)
        try:
            live.pass_time(Phase("warming up"), 5)
            before = live.pass_time(Phase("before"), before_s)
            worker.is_cut = True
            down = live.pass_time(Phase("away"), down_s)
            worker.is_cut = False
            after = live.pass_time(Phase("back"), down_s, until_idle=True)
        finally:
            worker.stop()
        with app.app_context():
            states = delivery_counts()
            db.session.remove()
            db.engine.dispose()
        app.extensions["recsys"].close()
    return Story(before, down, after, worker.tally, sum(states.values()), states.get("sent", 0))


class _Worker:
    """A worker process that works a simulated second when asked to, and says what came of it."""

    def __init__(self, folder: Path, core_s: float) -> None:
        self.is_cut = False
        self.tally = Tally()
        context = multiprocessing.get_context("spawn")
        self._line, other = context.Pipe()
        self._process = context.Process(target=_work_when_told, args=(other, folder, core_s), daemon=True)
        self._process.start()
        other.close()

    def start_second(self, now: datetime) -> None:
        self._line.send((now, self.is_cut))

    def end_second(self) -> int:
        """Events delivered in it."""
        delivered, self.tally = self._line.recv()
        return delivered

    def stop(self) -> None:
        self._line.close()
        self._process.join(20)


def _work_when_told(line: Connection, folder: Path, core_s: float) -> None:
    clock = FixedClock(datetime.now(UTC))
    app = a_shop(folder, clock)
    sink = Line(app.extensions["recsys"])
    carrier = Carrier(sink, clock, random.Random(1))
    with suppress(EOFError):  # the other side is done
        while True:
            now, sink.is_cut = line.recv()
            clock.advance(now - clock.now())
            with app.app_context():
                delivered = _work(carrier, core_s)
            sink.tally.memory_mb = _memory_mb()
            line.send((delivered, sink.tally))
    app.extensions["recsys"].close()


def _work(carrier: Carrier, core_s: float) -> int:
    """One worker's second. Rings of the alarm are a second apart, so an idle worker looks once."""
    started, delivered = time.process_time(), 0
    while time.process_time() - started < core_s:
        pushed = push_events(carrier)
        delivered += pushed.delivered
        if pushed.is_idle:
            break
    db.session.remove()
    return delivered


def _memory_mb() -> float:
    """The most this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@dataclass
class _Life:
    app: Flask
    clock: FixedClock
    client: FlaskClient
    worker: _Worker
    rate: int

    def pass_time(self, phase: Phase, seconds: int, *, until_idle: bool = False) -> Phase:
        for _ in range(seconds):
            self.clock.advance(timedelta(seconds=1))
            self.worker.start_second(self.clock.now())
            with self.app.app_context():
                phase.taken += self._take()
            phase.pages += [self._probe(number) for number in range(PROBES_PER_S)]
            delivered = self.worker.end_second()
            phase.delivered += delivered
            phase.busy_seconds += delivered > 0
            phase.seconds += 1
            if until_idle and not self._waiting():
                break
        phase.waiting = self._waiting()
        phase.memory_mb = _memory_mb()
        return phase

    def _take(self) -> int:
        now = self.clock.now()
        for _ in range(0, self.rate, BEACON):
            record_browser_events(a_beacon(now), SOMEBODY, sent_ms=int(now.timestamp() * 1000), received_at=now)
        return -(-self.rate // BEACON) * BEACON

    def _probe(self, number: int) -> Page:
        path = f"/products/thing-{number % PRODUCTS}"
        began, worked = time.perf_counter(), time.process_time()
        answer = self.client.get(path)
        answer.get_data()
        assert answer.status_code == 200, answer.status
        clock_s, cpu_s = time.perf_counter() - began, time.process_time() - worked
        worked = time.process_time()
        sum(range(ARITHMETIC))
        return Page(clock_s * 1000, cpu_s * 1000, (time.process_time() - worked) * 1000)

    def _waiting(self) -> int:
        with self.app.app_context():
            waiting = select(TrackedEvent.id).where(TrackedEvent.delivery == "pending")
            count = db.session.scalar(select(func.count()).select_from(waiting.subquery())) or 0
            db.session.remove()
        return count


def a_shop(folder: Path, clock: Clock) -> Flask:
    return create_app(
        load_settings(
            {
                "SECRET_KEY": "outage-only-" * 4,
                "DATABASE_URL": f"sqlite:///{folder}/shop.sqlite3",
                "RECSYS_DATABASE_URL": f"sqlite:///{folder}/recsys.sqlite3",
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "VAR_DIR": str(folder),
                "RATE_LIMITS": "off",
                "LOG_LEVEL": "ERROR",
            }
        ),
        clock=clock,
    )


def _fill(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        db.create_all()
        with unit_of_work(db.session):
            category = Category(path="things", slug="things", name="Things")
            for n in range(PRODUCTS):
                product = Product(
                    sku=f"THING-{n}", slug=f"thing-{n}", title=f"Thing {n}", category=category, price_minor=500 + n,
                    currency="GBP", stock=1000, created_at=clock.now(), updated_at=clock.now(),
                )  # fmt: skip
                product.variants = [Variant(sku=product.sku, price_minor=product.price_minor, stock=1000)]
                db.session.add(product)


def a_beacon(now: datetime) -> list[BrowserEvent]:
    created_ms = int(now.timestamp() * 1000) - 900
    return [
        BrowserEvent(
            event_id=uuid.uuid4().hex, kind=EventKind.VIEW, item_id=f"THING-{n % PRODUCTS}", surface="home",
            widget="top_picks", rank=n + 1, request_id="req-bench", created_ms=created_ms, is_impression=True,
            is_recommended=True, href="", text="", referrer="",
        )
        for n in range(BEACON)
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--down", type=int, default=1800)
    parser.add_argument("--before", type=int, default=300)
    parser.add_argument("--rate", type=int, default=500)
    options = parser.parse_args()
    story = run(before_s=options.before, down_s=options.down, rate=options.rate)
    for phase in (story.before, story.down, story.after):
        moved = f"{phase.taken} taken, {phase.delivered} delivered, {phase.waiting} waiting"
        print(f"{phase.name:>7}: {phase.seconds} s, {moved}; web {phase.memory_mb:.0f} MB at most")
        measures = {"product page by clock": "clock_ms", "by CPU": "cpu_ms", "arithmetic by CPU": "control_ms"}
        for name, measure in measures.items():
            moved_by = phase.p95_ms(measure) / story.before.p95_ms(measure) - 1
            figures = f"p50 {phase.p50_ms(measure):.1f}, p95 {phase.p95_ms(measure):.1f} ms ({moved_by:+.0%})"
            print(f"         {name}: {figures}")
    away_s, busy_s = story.after.seconds - story.after.busy_seconds, story.after.busy_seconds
    print(f"{away_s} s until the pause was over, then {story.down.waiting} waiting were gone in {busy_s} s", end="; ")
    print(f"{story.clearing:.1f} times what came in")
    print(f"{story.line.calls_in_vain} calls in vain, largest batch {story.line.largest}", end="; ")
    print(f"{story.sent} of {story.logged} sent; worker {story.line.memory_mb:.0f} MB at most")


if __name__ == "__main__":
    main()
