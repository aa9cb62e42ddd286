"""Events from the beacon to Recsys: intake and flush together, on this machine.

    python -m benchmarks.bench_delivery [--seconds 8] [--clients 6] [--server URL] [--rate 0]

One web process takes beacons of 20 events while one worker carries them to the embedded engine; the clients share the
machine. `--server` is a PostgreSQL on which a database is made and dropped; without it everything is SQLite.
`--rate` holds the clients to so many events a second; 0 lets them go as fast as they are answered.
Printed: events taken per second, time until the last one had arrived, the time from taken to arrived of each, and the
CPU of each part per event. Two cores divided by their sum is what the machine could take with nothing else to do.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import create_engine, func, make_url, select, text

from scripts.chaos import System
from scripts.local_shop import consenting_cookie, wait_until_up
from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent

ROOT = Path(__file__).parent.parent
BATCH = 20
DATABASE = "shop_bench_delivery"


def main() -> None:
    """Start web, worker, cron and Redis; report; count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--server", default="")
    parser.add_argument("--rate", type=float, default=0.0)
    options = parser.parse_args()
    with _database(options.server), tempfile.TemporaryDirectory(prefix="bench-") as folder:
        system = System(Path(folder))
        system.env["QA_MODE"] = "on"
        upgrade = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "db", "upgrade"]
        subprocess.run(upgrade, cwd=ROOT, env=dict(system.env), check=True, capture_output=True)
        try:
            for name in system.commands:
                system.start(name)
            wait_until_up(f"{system.url}/healthz", system.processes["web"], system.folder / "web.log")
            _report(system.url, options.clients, 2.0, options.rate)
            before = _cpu_by_part(system)
            taken, seconds = _report(system.url, options.clients, options.seconds, options.rate)
            _print(system, taken, seconds, before)
        finally:
            system.stop()


@contextmanager
def _database(server: str) -> Iterator[None]:
    """A PostgreSQL database for this run, dropped afterwards."""
    if not server:
        yield
        return
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {DATABASE}"))
    os.environ["CHAOS_DATABASE_URL"] = make_url(server).set(database=DATABASE).render_as_string(hide_password=False)
    try:
        yield
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {DATABASE} WITH (FORCE)"))
        engine.dispose()


def _cpu_by_part(system: System) -> dict[str, float]:
    """Seconds of CPU so far of each process group, of this database's backends and of the clients."""
    groups = {process.pid: name for name, process in system.processes.items()}
    used: dict[str, float] = dict.fromkeys([*groups.values(), "PostgreSQL"], 0.0)
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            if int(fields[2]) in groups:
                used[groups[int(fields[2])]] += seconds
            elif DATABASE in (folder / "cmdline").read_text() and (folder / "comm").read_text().startswith("postgres"):
                used["PostgreSQL"] += seconds
    return {**used, "clients": time.process_time()}


def _report(url: str, clients: int, seconds: float, rate: float) -> tuple[int, float]:
    counts = [0] * clients
    start = time.perf_counter()

    def client(number: int) -> None:
        cookie = consenting_cookie(url)
        host = url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        headers = {"Origin": url, "Cookie": cookie}
        while time.perf_counter() - start < seconds:
            connection.request("POST", "/t/events", _body(), headers)
            answer = json.loads(connection.getresponse().read())
            counts[number] += sum(result["status"] == "accepted" for result in answer["results"])
            if rate:
                time.sleep(max(0.0, start + counts[number] * clients / rate - time.perf_counter()))

    threads = [threading.Thread(target=client, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.perf_counter() - start


def _print(system: System, taken: int, seconds: float, before: dict[str, float]) -> None:
    start = time.perf_counter()
    app = create_app(load_settings(system.env))
    with app.app_context():
        while True:
            left = db.session.scalar(select(func.count()).where(TrackedEvent.delivery == "pending")) or 0
            db.session.rollback()
            if not left or time.perf_counter() - start > 120:
                break
            time.sleep(0.1)
        behind = time.perf_counter() - start
        used = {name: spent - before[name] for name, spent in _cpu_by_part(system).items()}
        rows = db.session.execute(select(TrackedEvent.received_at, TrackedEvent.sent_at)).all()
    delays = sorted((sent - received).total_seconds() for received, sent in rows if sent)
    p95 = delays[int(0.95 * len(delays))] if delays else float("nan")
    print(f"taken: {taken} events in {seconds:.1f} s = {taken / seconds:.0f}/s")
    print(f"arrived: {len(delays)}, the last {behind:.1f} s after the last was taken; left behind: {left}")
    print(f"taken to arrived: median {statistics.median(delays):.2f} s, p95 {p95:.2f} s")
    for name, spent in used.items():
        print(f"CPU of {name}: {spent / taken * 1e6:.0f} µs an event")
    without_clients = sum(spent for name, spent in used.items() if name != "clients")
    print(f"two cores are full at {2 * taken / without_clients:.0f} events/s, clients elsewhere")


def _body() -> str:
    now = int(time.time() * 1000)
    events = [
        {
            "id": uuid.uuid4().hex, "type": "view", "kind": "impression", "item_id": f"SKU-{n}", "surface": "home",
            "widget": "top_picks", "rank": n + 1, "request_id": "bench", "recommended": True, "created_at": now - 900,
        }
        for n in range(BATCH)
    ]  # fmt: skip
    return json.dumps({"sent_at": now, "events": events})


if __name__ == "__main__":
    main()
