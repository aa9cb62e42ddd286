"""Bounded HTTP load on this machine, and how it is read: requests per second and latency quantiles.

Closed loop: each of `connections` keep-alive clients sends its next request when the last one is answered. The clients
run in one process of their own, so what is compared always pays the same price for being measured.
"""

import http.client
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured. Latencies in ms."""

    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    bytes_per_answer: float


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the method, the path, a body and headers."""

    path: str
    method: str = "GET"
    body: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def measure(
    port: int, calls: Sequence[Call], *, connections: int = 8, seconds: float = 4.0, is_once: bool = False
) -> Load:
    """Drive 127.0.0.1:`port` with `calls` in turn from a process of its own.

    `is_once`: each call is made once by one of the clients, and the run ends with the last one or with the time.
    """
    plan = json.dumps(
        {
            "port": port,
            "connections": connections,
            "seconds": seconds,
            "is_once": is_once,
            "calls": [asdict(c) for c in calls],
        }
    )
    done = subprocess.run([sys.executable, str(Path(__file__))], input=plan, text=True, capture_output=True, check=True)
    return Load(**json.loads(done.stdout))


def _drive(port: int, connections: int, seconds: float, calls: list[Call], *, is_once: bool) -> Load:
    latencies: list[float] = []
    sizes: list[int] = []
    errors = [0]
    start = time.perf_counter()

    def client(number: int) -> None:
        mine = range(number, len(calls), connections) if is_once else range(len(calls))
        order = random.Random(number).sample(mine, len(mine))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        position = 0
        while time.perf_counter() - start < seconds and not (is_once and position == len(order)):
            call = calls[order[position % len(order)]]
            position += 1
            began = time.perf_counter()
            size = _one(connection, call)
            latencies.append(time.perf_counter() - began)
            sizes.append(max(size, 0))
            errors[0] += size < 0
        connection.close()

    _run_all(client, connections)
    elapsed = time.perf_counter() - start
    cuts = statistics.quantiles(latencies, n=100)
    ms = [round(1000 * cuts[q - 1], 2) for q in (50, 95, 99)]
    return Load(round(len(latencies) / elapsed, 1), *ms, errors[0], round(statistics.mean(sizes), 1))


def _one(connection: http.client.HTTPConnection, call: Call) -> int:
    """Bytes of the answer; -1 for anything but a 2xx or 3xx."""
    try:
        connection.request(call.method, call.path, call.body, dict(call.headers))
        response = connection.getresponse()
        size = len(response.read())
    except (OSError, http.client.HTTPException):
        connection.close()
        return -1
    return size if response.status < 400 else -1


def _run_all(client: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=client, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    plan = json.load(sys.stdin)
    calls = [Call(**{**c, "headers": tuple(map(tuple, c["headers"]))}) for c in plan.pop("calls")]
    sys.stdout.write(json.dumps(asdict(_drive(calls=calls, **plan))))
