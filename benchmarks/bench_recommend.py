"""Milliseconds per list in process: 50-event histories, k = 20, no explanation, beside implicit's item-item recommend.

    python -m benchmarks.bench_recommend [--items 5000 10000 100000 1000000]

Wall time and thread CPU time are both printed, and the median over requests of the quickest of five CPU times: the
figure a busy machine disturbs least. The peer (`implicit.nearest_neighbours.CosineRecommender` on the same user-item
matrix) comes with `pip install -e '.[bench]'`. Events keep coming in between: one every ten lists.
"""

import argparse
import gc
import json
import resource
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp

from recsys_engine.contract import Context, RecommendRequest
from recsys_engine.service.ranking import Ranking
from recsys_engine.service.settings import StoredSettings
from recsys_engine.signals.build import load_events
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.state import CounterSettings, LiveState
from recsys_engine.store.log import EventRow

NOW_MS = 1_772_000_000_000
EVENTS_PER_USER = 50
LISTS = 400
MISSING = "not installed: pip install -e '.[bench]'"


def world(n_items, rng):
    n_users = min(20_000, max(1000, n_items // 2))
    state = LiveState(
        CounterSettings(NOW_MS - 20 * DAY_MS, {0: 3 * DAY_MS, 1: 7 * DAY_MS, 2: 21 * DAY_MS, 3: 60 * DAY_MS})
    )
    for n in range(n_items):
        tags = json.dumps([f"color:{n % 12}", f"size:{n % 7}"])
        row = SimpleNamespace(
            item_id=f"p{n}",
            available=True,
            price=1.0,
            brand=f"b{n % 200}",
            category=f"c{n % 60}",
            tags=tags,
            props="{}",
            created_us=0,
            embedding=None,
        )
        state.catalog.put(row)
    count = n_users * EVENTS_PER_USER
    users = np.repeat(np.arange(n_users), EVENTS_PER_USER)
    items = (rng.zipf(1.3, count) + rng.integers(0, n_items, count) // 50 * 7) % n_items
    types = rng.choice([0, 0, 0, 1, 1, 2, 3], count)
    at_us = (NOW_MS - rng.integers(0, 60 * DAY_MS, count)) * 1000
    columns = (range(1, count + 1), users.tolist(), items.tolist(), types.tolist(), at_us.tolist())
    rows = [
        (s, f"u{u}", f"p{i}", t, 1.0, at, f"o{s // 5}" if t == 3 else None, False)
        for s, u, i, t, at in zip(*columns, strict=True)
    ]
    began = time.perf_counter()
    load_events(state, rows)
    print(f"{n_items} items: built from {count} events in {time.perf_counter() - began:.1f} s")
    return state, sp.csr_matrix((np.ones(count, np.float32), (users, items)), shape=(n_users, n_items))


def measured(ask, between=lambda _: None, times=LISTS):
    wall, cpu = [], []
    for n in range(times):
        between(n)
        began, began_cpu = time.perf_counter(), time.thread_time()
        ask(n)
        wall.append(time.perf_counter() - began)
        cpu.append(time.thread_time() - began_cpu)
    wall, cpu = np.array(wall[20:]) * 1e3, np.array(cpu[20:]) * 1e3
    least = np.median([min(timed(ask, n) for _ in range(5)) for n in range(20, 60)]) * 1e3
    spread = f"p50 {np.median(wall):6.2f} ms  p99 {np.quantile(wall, 0.99):6.2f} ms"
    return f"{spread}   cpu p50 {np.median(cpu):6.2f}  p99 {np.quantile(cpu, 0.99):6.2f}  undisturbed {least:5.2f} ms"


def timed(ask, n):
    began = time.thread_time()
    ask(n)
    return time.thread_time() - began


def peer(matrix):
    if find_spec("implicit") is None:
        return None
    model = import_module("implicit.nearest_neighbours").CosineRecommender(K=100, num_threads=1)
    model.fit(matrix, show_progress=False)
    return lambda n: model.recommend(n % matrix.shape[0], matrix[n % matrix.shape[0]], N=20)


def resident_gb():
    """Memory of this process now, in GB (Linux); the rows the state was built from are gone by then."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**30


def most_gb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, nargs="+", default=[5000, 10_000, 100_000, 1_000_000])
    for n_items in parser.parse_args().items:
        state, matrix = world(n_items, np.random.default_rng(1))
        ranking, stored = Ranking(state), StoredSettings()

        def ask(surface, ranking=ranking, stored=stored, matrix=matrix):
            def one(n):
                context = Context(surface, item_id=f"p{n}" if surface.startswith("pdp") else None)
                request = RecommendRequest(f"u{n % matrix.shape[0]}", 20, context)
                ranking.recommend(request, f"r{n}", stored, NOW_MS / 1000)

            return one

        def happen(n, state=state):
            if n % 10 == 0:
                at_ms = NOW_MS - 1000 + n
                state.apply(EventRow(state.seq + 1, f"u{n}", f"p{n * 7}", 0, 1.0, at_ms, None, is_impression=False))

        for surface in ("home", "pdp.similar", "cart", "buy_again"):
            print(f"  {surface:14s} {measured(ask(surface), happen)}", flush=True)
        print(f"  the state and its lists hold {resident_gb():.2f} GB, most so far {most_gb():.2f} GB", flush=True)
        other = peer(matrix)
        print(f"  {'implicit':14s} {measured(other) if other else MISSING}")


if __name__ == "__main__":
    main()
