"""Events from the beacon to Recsys: intake and flush together, on this machine.

    python -m benchmarks.bench_delivery [--seconds 8] [--clients 6] [--database URL]

One web process takes beacons of 20 events while one worker carries them to the embedded engine; the clients share the
machine. Printed: events taken per second, time until the last one had arrived, and the time from
taken to arrived of each.
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
import urllib.request
import uuid
from pathlib import Path

from sqlalchemy import func, select

from scripts.chaos import System
from scripts.local_shop import wait_until_up
from shop_app.app import create_app
from shop_app.config import load_settings
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent

ROOT = Path(__file__).parent.parent
BATCH = 20


def main() -> None:
    """Start web, worker, cron and Redis; report; count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    if options.database:
        os.environ["CHAOS_DATABASE_URL"] = options.database
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        system = System(Path(folder))
        system.env["QA_MODE"] = "on"
        upgrade = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "db", "upgrade"]
        subprocess.run(upgrade, cwd=ROOT, env=dict(system.env), check=True, capture_output=True)
        try:
            for name in system.commands:
                system.start(name)
            wait_until_up(f"{system.url}/healthz", system.processes["web"], system.folder / "web.log")
            taken, seconds = _report(system.url, options.clients, options.seconds)
            _print(system, taken, seconds)
        finally:
            system.stop()


def _report(url: str, clients: int, seconds: float) -> tuple[int, float]:
    counts = [0] * clients
    start = time.perf_counter()

    def client(number: int) -> None:
        cookie = _cookie(url)
        host = url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        headers = {"Origin": url, "Cookie": cookie}
        while time.perf_counter() - start < seconds:
            connection.request("POST", "/t/events", _body(), headers)
            answer = json.loads(connection.getresponse().read())
            counts[number] += sum(result["status"] == "accepted" for result in answer["results"])

    threads = [threading.Thread(target=client, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.perf_counter() - start


def _print(system: System, taken: int, seconds: float) -> None:
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
        rows = db.session.execute(select(TrackedEvent.received_at, TrackedEvent.sent_at)).all()
    delays = sorted((sent - received).total_seconds() for received, sent in rows if sent)
    p95 = delays[int(0.95 * len(delays))] if delays else float("nan")
    print(f"taken: {taken} events in {seconds:.1f} s = {taken / seconds:.0f}/s")
    print(f"arrived: {len(delays)}, the last {behind:.1f} s after the last was taken; left behind: {left}")
    print(f"taken to arrived: median {statistics.median(delays):.2f} s, p95 {p95:.2f} s")


def _cookie(url: str) -> str:
    request = urllib.request.Request(f"{url}/__qa__/session", data=b"{}", headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return str(response.headers["Set-Cookie"]).split(";")[0]


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
