"""Lists over HTTP beside a bare JSON view that answers as many bytes, on the same server, with the same workers.

    python -m benchmarks.bench_http [--items 5000] [--url postgresql://…/db] [--seconds 4] [--connections 8]

Two gunicorn workers each; shoppers with 50 events, k = 20, no explanations; the default guard (organisation, key, rate
limit switched off) and every decision stored. The peer parses the same JSON body and encodes an answer of the same
size: what is measured is the engine with its checks, not Flask.
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

import numpy as np

from benchmarks.load import Call, measure
from recsys_engine.contract import Event, Item
from recsys_engine.service import Database, Engine
from scripts.local_shop import free_port, wait_until_up

ORG, NAMESPACE, KEY = "11111111-1111-4111-8111-111111111111", "bench-http", "bench-key"
USERS, EVENTS = 1_000, 50
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


def warmed(port, calls, options):
    measure(port, calls, connections=options.connections, seconds=1.5)
    return measure(port, calls, connections=options.connections, seconds=options.seconds)


def compare(options, url, folder):
    env = {
        "RECSYS_DATABASE_URL": url,
        "RECSYS_RATE_LIMIT_RPM": "0",
        "RECSYS_API_KEYS": f"{sha256(KEY.encode()).hexdigest()}:serve:*",
    }
    with server("recsys_engine.http:create_app_from_env()", env) as port:
        answer = asked(port, calls_of("home")[0])
        rows = [(surface, warmed(port, calls_of(surface), options)) for surface in SURFACES]
    Path(folder, "bare_json.py").write_text(BARE.format(body=repr(answer)))
    with server("bare_json:app", {"PYTHONPATH": folder}) as port:
        bare = warmed(port, calls_of("home"), options)
    print(f"{'':14s} req/s   p50 ms  p99 ms  bytes  of bare")
    for name, load in [*rows, ("bare", bare)]:
        share = load.requests_per_s / bare.requests_per_s
        figures = f"{load.requests_per_s:6.0f}  {load.p50_ms:6.1f}  {load.p99_ms:6.1f}  {load.bytes_per_answer:5.0f}"
        print(f"{name:14s} {figures}  {share:5.0%}  errors {load.errors}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/bench.db"
        fill(url, options.items)
        compare(options, url, folder)


if __name__ == "__main__":
    main()
