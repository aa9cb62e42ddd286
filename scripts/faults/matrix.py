"""Events flow, one fault point after the other is struck, and in the end every id is accounted for."""

import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask
from sqlalchemy import func, select

from scripts.faults.books import Books, balance, tell_poison, waiting
from scripts.faults.points import Point, Scene, fault_points
from scripts.faults.proxy import FaultProxy
from scripts.faults.stand import Stand, engine_port, make_stand
from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent

ROOT = Path(__file__).parents[2]
FARMS = 3
BEACON = 100
POISON_PER_POINT = 2
RECOVERS_WITHIN_S = 180.0
DRAIN_WITHIN_S = 240.0


@dataclass(slots=True)
class Struck:
    """One row of the matrix: how often the point hit, and when deliveries went through again after its last hit."""

    point: str
    hits: int
    recovered_after_s: float


@dataclass(slots=True)
class Verdict:
    """A whole run."""

    workers: int
    rows: list[Struck] = field(default_factory=list)
    books: Books = field(default_factory=Books)
    poison: int = 0
    resent: int = 0
    deliveries: int = 0
    handed_over: int = 0
    doubled: int = 0
    seconds: float = 0.0
    drained_after_s: float = 0.0

    @property
    def double_share(self) -> float:
        return self.doubled / max(self.handed_over, 1)

    @property
    def is_clean(self) -> bool:
        """The books balance, and every point was really hit."""
        return self.books.is_clean and bool(self.rows) and all(row.hits for row in self.rows)


def run(*, events: int, rate: float, workers: int, double_share: float, seed: int, only: str = "") -> Verdict:
    """Send at least `events` through every fault point at least once, then wait for delivery and count.

    `only`: just the points whose name holds this.
    """
    verdict = Verdict(workers)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        port = engine_port()
        proxy = FaultProxy(port, double_share=double_share, rng=random.Random(seed))
        stand = make_stand(Path(folder), proxy.port, port, workers)
        app = create_app(load_settings(stand.env))
        try:
            stand.start_all()
            poison: list[str] = []
            scene = Scene(stand, proxy, lambda count: poison.extend(tell_poison(app, len(poison), count)))
            told = _storm(scene, app, verdict, events=events, rate=rate, only=only)
            verdict.drained_after_s = _wait_for_delivery(app)
        finally:
            stand.stop()
        verdict.books = balance(app, stand, told, poison)
        verdict.poison = len(poison)
        verdict.deliveries, verdict.handed_over, verdict.doubled = proxy.deliveries, proxy.handed_over, proxy.doubled
    verdict.seconds = time.monotonic() - began
    return verdict


def table(verdict: Verdict) -> str:
    """The matrix and the books, for people."""
    books = verdict.books
    points = len({row.point for row in verdict.rows})
    head = f"{'fault point':<38} {'hits':>5} {'recovered after':>16}"
    rows = [f"{row.point:<38} {row.hits:>5} {row.recovered_after_s:>14.1f} s" for row in verdict.rows]
    ran = f"{points} fault points, {verdict.workers} worker(s), {verdict.seconds:.0f} s in all"
    drained = f"drained {verdict.drained_after_s:.1f} s after the last report"
    handed = f"{verdict.handed_over} batches handed over, {verdict.double_share:.0%} of them twice"
    told = f"told {books.told}, in the log {books.logged}, at Recsys {books.at_recsys}"
    lost = f"lost {len(books.lost)}, doubled {len(books.doubled)}, unfounded {len(books.unfounded)}"
    dead = f"dead letters: {verdict.poison - len(books.poison_alive)} of {verdict.poison} seeded poison"
    end = "CLEAN" if verdict.is_clean else "NOT CLEAN"
    return "\n".join(
        [
            head,
            *rows,
            f"{ran}; {drained}; {handed}",
            f"{told}; browsers sent again {verdict.resent} times",
            f"{lost}, unsent {books.unsent}; {dead}, {len(books.wrongly_dead)} others",
            end,
        ]
    )


def _storm(scene: Scene, app: Flask, verdict: Verdict, *, events: int, rate: float, only: str) -> dict[int, int]:
    """Strike every point, again and again until enough was told; returns what each farm told."""
    stop = scene.stand.folder / "enough"
    farms = [_farm(scene.stand, number, events, rate, stop) for number in range(FARMS)]
    points = [point for point in fault_points(scene.stand) if only in point.name]
    told = 0
    while True:
        for point in points:
            _connect_anew(app)
            scene.tell_poison(POISON_PER_POINT)
            row = _strike(scene, point)
            verdict.rows.append(row)
            print(f"{row.point}: {row.hits} hits, recovered after {row.recovered_after_s:.1f} s", file=sys.stderr)
        before, told = told, _told_so_far(app)
        if events - told < told - before:  # the rest would not last for another round
            break
    stop.touch()
    by_farm: dict[int, int] = {}
    for number, farm in enumerate(farms):
        output, _ = farm.communicate(timeout=events / rate + 600)
        report = json.loads(output)
        by_farm[number] = report["told"]
        verdict.resent += report["resent"]
    return by_farm


def _connect_anew(app: Flask) -> None:
    """A database that was restarted has ended this process's connections too."""
    with app.app_context():
        db.engine.dispose()


def _strike(scene: Scene, point: Point) -> Struck:
    hits = point.strike(scene)
    passed, began = scene.proxy.passed, time.monotonic()
    while scene.proxy.passed == passed:
        scene.stand.revive()
        time.sleep(0.02)
        if time.monotonic() - began > RECOVERS_WITHIN_S:
            raise RuntimeError(f"no delivery within {RECOVERS_WITHIN_S} s after: {point.name}")
    return Struck(point.name, hits, time.monotonic() - began)


def _farm(stand: Stand, number: int, events: int, rate: float, stop: Path) -> "subprocess.Popen[str]":
    share = -(-events // FARMS)
    arguments = [stand.url, number, share, rate / FARMS, BEACON, stop]
    command = [sys.executable, "-m", "scripts.faults.traffic", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _told_so_far(app: Flask) -> int:
    with app.app_context():
        count = db.session.scalar(select(func.count()).select_from(TrackedEvent)) or 0
        db.session.rollback()
    return count


def _wait_for_delivery(app: Flask) -> float:
    start = time.monotonic()
    while time.monotonic() - start < DRAIN_WITHIN_S and waiting(app):
        time.sleep(0.2)
    return time.monotonic() - start
