"""Lists over HTTP beside a bare JSON view that answers as many bytes, on the same server, with the same workers.

    python -m benchmarks.bench_http [--items 5000] [--url postgresql://…/db] [--seconds 5] [--connections 8]

Two gunicorn workers each; shoppers with 50 events, k = 20, no explanations; the default guard (organisation, key, rate
limit switched off) and every decision stored. The peer parses the same JSON body and encodes an answer of the same
size: what is measured is the engine with its checks, not Flask. Lists and peer are driven in turns of a second.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.load import Call, measure
from recsys_engine.contract import Event, Item
from recsys_engine.service import Database, Engine
from scripts.local_shop import free_port, wait_until_up

ORG, NAMESPACE, KEY = "11111111-1111-4111-8111-111111111111", "bench-http", "bench-key"
USERS, EVENTS = 1_000, 50
TURNS = 5
SURFACES = ("home", "pdp.similar", "cart")
HEADERS = (("X-Org-ID", ORG), ("X-API-Key", KEY), ("Content-Type", "application/json"))
BARE = """
import json
from flask import Flask, Response, request
app = Flask(__name__)
BODY = {body}
@app.post("/v1/recommendations")
def view():
    BODY["k"] = json.loads(request.get_data())["k"]
    return Response(json.dumps(BODY), mimetype="application/json")
"""


def fill(url, items):
    database = Database(url)
    database.create_tables()
    engine = Engine(database, ORG, NAMESPACE, lambda: datetime.now(UTC))
    for start in range(0, items, 500):
        engine.upsert_items(
            [
                Item(f"p{n}", price=1.0, brand=f"b{n % 200}", category=f"c{n % 60}", tags=(f"color:{n % 12}",))
                for n in range(start, min(start + 500, items))
            ]
        )
    rng, now = np.random.default_rng(1), datetime.now(UTC)
    count = USERS * EVENTS
    places, types = rng.zipf(1.3, count) % items, rng.choice([0, 0, 0, 1, 1, 2, 3], count)
    ages = rng.integers(1, 60 * 86_400, count)
    events = [
        Event(f"u{n % USERS}", f"p{i}", int(t), 1.0, now - timedelta(seconds=int(age)))
        for n, (i, t, age) in enumerate(zip(places, types, ages, strict=True))
    ]
    for start in range(0, count, 5_000):
        engine.append_history(events[start : start + 5_000])
    engine.close()
    database.close()


@contextmanager
def server(module, env):
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "--log-level", "error", module]
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(command, env={**os.environ, **env}, start_new_session=True, stderr=log)
        wait_until_up(f"http://127.0.0.1:{port}/health", process, Path(log.name))
    try:
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)


def asked(port, call):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{call.path}", call.body.encode(), dict(call.headers))
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def calls_of(surface):
    bodies = []
    for n in range(200):
        context = {"surface": surface}
        if surface.startswith("pdp"):
            context["item_id"] = f"p{n}"
        if surface == "cart":
            context["cart_item_ids"] = [f"p{n}", f"p{n + 7}"]
        bodies.append({"namespace": NAMESPACE, "user_id": f"u{n}", "k": 20, "context": context})
    return [Call("/v1/recommendations", "POST", json.dumps(body), HEADERS) for body in bodies]


def in_turns(sides, options):
    """Loads by name, each side warmed and then driven in short turns, so that what else the machine does hits all."""
    for port, calls in sides.values():
        measure(port, calls, connections=options.connections, seconds=1.5)
    loads = {name: [] for name in sides}
    for _ in range(TURNS):
        for name, (port, calls) in sides.items():
            seconds = options.seconds / TURNS
            loads[name].append(measure(port, calls, connections=options.connections, seconds=seconds))
    return loads


def compare(options, url, folder):
    env = {
        "RECSYS_DATABASE_URL": url,
        "RECSYS_RATE_LIMIT_RPM": "0",
        "RECSYS_API_KEYS": f"{sha256(KEY.encode()).hexdigest()}:serve:*",
    }
    with server("recsys_engine.http:create_app_from_env()", env) as port:
        answer = asked(port, calls_of("home")[0])
        Path(folder, "bare_json.py").write_text(BARE.format(body=repr(answer)))
        with server("bare_json:app", {"PYTHONPATH": folder}) as bare_port:
            sides = {surface: (port, calls_of(surface)) for surface in SURFACES}
            loads = in_turns({**sides, "bare": (bare_port, calls_of("home"))}, options)
    print(f"{'median of turns':16s} req/s   p50 ms  p99 ms  bytes  of bare (lowest, highest turn)  errors")
    for name, turns in loads.items():
        rate, p50, p99, size = (
            median(getattr(load, figure) for load in turns)
            for figure in ("requests_per_s", "p50_ms", "p99_ms", "bytes_per_answer")
        )
        pairs = zip(turns, loads["bare"], strict=True)
        shares = sorted(load.requests_per_s / bare.requests_per_s for load, bare in pairs)
        spread = f"{median(shares):5.0%} ({shares[0]:.0%}, {shares[-1]:.0%})"
        errors = sum(load.errors for load in turns)
        print(f"{name:16s} {rate:6.0f}  {p50:6.1f}  {p99:6.1f}  {size:5.0f}  {spread}  {errors}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/bench.db"
        fill(url, options.items)
        compare(options, url, folder)


if __name__ == "__main__":
    main()
