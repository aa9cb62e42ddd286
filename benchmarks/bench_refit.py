"""A real shop's whole log: cold starts from the log and from a snapshot, a refit, and lists served meanwhile.

    python -m benchmarks.bench_refit --data <folder with events.parquet and items.csv.gz> [--url postgresql://…/db]

Starts run in a fresh process each. "Linear model" is the closed form on baskets, as the refit fits it;
"refit" is everything: neighbours, past windows, rankers. Lists are served all through it; their peer is the lists just
before it.
"""

import argparse
import csv
import gzip
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow.parquet

from recsys_engine.contract import Context, Event, Item, RecommendRequest
from recsys_engine.service import Database, Engine
from recsys_engine.signals.ranking.ease import ease_on_baskets
from recsys_engine.signals.ranking.world import Tuning

ORG = "11111111-1111-4111-8111-111111111111"
BATCH = 5_000
LISTS = 1_500


def opened(url, folder):
    database = Database(url)
    database.create_tables()
    return Engine(
        database, ORG, "bench-refit", lambda: datetime.now(UTC), model_folder=folder, decision_sample_rate=0.0
    )


def fill(engine, data, shift_s):
    with gzip.open(data / "items.csv.gz", "rt", encoding="utf-8") as file:
        items = [
            Item(
                row["item"], price=float(row["price"] or 0), category=row["category"] or None, description=row["title"]
            )
            for row in csv.DictReader(file)
        ]
    for start in range(0, len(items), 500):
        engine.upsert_items(items[start : start + 500])
    table = pyarrow.parquet.read_table(data / "events.parquet")
    for batch in table.to_batches(max_chunksize=BATCH):
        engine.append_history(
            [
                Event(
                    f"u_{row['user']}",
                    row["item"],
                    int(row["type"]),
                    float(row["value"]),
                    datetime.fromtimestamp(row["ts"] + shift_s, UTC),
                    {"order_id": row["basket"]},
                )
                for row in batch.to_pylist()
            ]
        )
    return table.num_rows


def start(url, folder):
    """Open in this process, print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    engine = opened(url, folder)
    engine.recommend(RecommendRequest(None, 20, Context("home")))
    print(json.dumps({"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}))
    engine.close()


def cold(url, folder):
    command = [sys.executable, "-m", "benchmarks.bench_refit", "--start", url, str(folder or "")]
    took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return f"{took['wall_s']:5.2f} s wall  {took['cpu_s']:5.2f} s CPU"


def lists(engine, users, count, is_over=lambda: False):
    """Wall milliseconds of lists for shoppers in turn, until enough or over."""
    took = []
    while len(took) < count and not is_over():
        context = Context("home") if len(took) % 2 else Context("pdp.similar", item_id="85123A")
        began = time.perf_counter()
        engine.recommend(RecommendRequest(users[len(took) % len(users)], 20, context))
        took.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.01)
    return np.array(took)


def line(took):
    return f"p50 {np.median(took):6.2f} ms  p99 {np.quantile(took, 0.99):6.2f} ms  ({len(took)} lists)"


def linear_alone(lessons):
    orders, tuning = lessons.orders, Tuning()
    age_days = (orders.basket_ts.max() - orders.basket_ts) / 86_400
    wall, cpu = time.perf_counter(), time.process_time()
    model = ease_on_baskets(orders, age_days, tuning.basket_half_life, tuning.basket_ridge)
    return len(model.items), time.perf_counter() - wall, time.process_time() - cpu


def measure(url, data, folder):
    engine = opened(url, folder)
    last_s = pyarrow.parquet.read_table(data / "events.parquet", columns=["ts"])["ts"].to_numpy().max()
    shift_s = int(time.time() - last_s) // 86_400 * 86_400
    wall = time.perf_counter()
    count = fill(engine, data, shift_s)
    print(f"filled: {count} events in {time.perf_counter() - wall:.0f} s")
    print(f"cold start from the log       {cold(url, None)}")
    users = [f"u_{user}" for user in ("c17841", "c14911", "c12748", "c15311", "c13089", "nobody")]
    lists(engine, users, 50)
    wall = time.perf_counter()
    engine.snapshot()
    print(f"snapshot written in {time.perf_counter() - wall:.2f} s, {size(folder) / 2**20:.0f} MB")
    print(f"cold start from the snapshot  {cold(url, folder)}")
    items, wall, cpu = linear_alone(engine.lessons())
    print(f"linear model, {items} items       {wall:5.2f} s wall  {cpu:5.2f} s CPU")
    engine.refit()
    lists(engine, users, 50)
    before = lists(engine, users, LISTS)
    side = Thread(target=engine.refit)
    wall = time.perf_counter()
    side.start()
    during = lists(engine, users, 10**9, lambda: not side.is_alive())
    print(f"whole refit in a side process {time.perf_counter() - wall:5.1f} s wall")
    print(f"lists before  {line(before)}")
    print(f"lists during  {line(during)}  p99 ratio {np.quantile(during, 0.99) / np.quantile(before, 0.99):.2f}")
    print(f"cold start, snapshot and model {cold(url, folder)}")
    engine.close()


def size(folder):
    return sum(path.stat().st_size for path in folder.glob("*.npz"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--start", nargs=2)
    options = parser.parse_args()
    if options.start:
        start(options.start[0], Path(options.start[1]) if options.start[1] else None)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(options.url or f"sqlite:///{folder}/bench.db", options.data, Path(folder) / "models")


if __name__ == "__main__":
    main()
