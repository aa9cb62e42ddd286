"""A real shop's whole log: cold starts from the log and from a snapshot, a refit, and lists served meanwhile.

    python -m benchmarks.bench_refit --data <folder with events.parquet and items.csv.gz> [--folder <kept>]
    python -m benchmarks.bench_refit --folder <kept>    # measures again, without filling

Starts run in a fresh process each, timed from before the process exists to its first list. "Linear model" is the closed
form on baskets, as the refit fits it; "refit" is everything: neighbours, past windows, rankers, in a process of its own
as the scheduled job starts it. Lists are served all through it, the swap to the new model included; their peer is the
lists just before it.
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

import numpy as np

from recsys_engine.contract import Context, Event, Item, RecommendRequest
from recsys_engine.service import Database, Engine
from recsys_engine.service.refits import Refits
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


def log_of(data):
    import pyarrow.parquet  # noqa: PLC0415 - starts are timed, and do not need it

    return pyarrow.parquet.read_table(data / "events.parquet")


def fill(engine, data, table, shift_s):
    with gzip.open(data / "items.csv.gz", "rt", encoding="utf-8") as file:
        items = [
            Item(
                row["item"], price=float(row["price"] or 0), category=row["category"] or None, description=row["title"]
            )
            for row in csv.DictReader(file)
        ]
    for start in range(0, len(items), 500):
        engine.upsert_items(items[start : start + 500])
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


def start(url, folder):
    """Open in this process, make a list, say so."""
    engine = opened(url, folder)
    engine.recommend(RecommendRequest(None, 20, Context("home")))
    print(json.dumps({"cpu_s": time.process_time()}), flush=True)
    engine.close()


def refit(url, folder):
    engine = opened(url, folder)
    wall = time.perf_counter()
    Refits(engine, folder).run()
    print(json.dumps({"cpu_s": time.process_time(), "wall_s": time.perf_counter() - wall}), flush=True)
    engine.close()


def linear(url, folder):
    engine = opened(url, folder)
    orders, tuning = engine.lessons().orders, Tuning()
    wall, cpu = time.perf_counter(), time.process_time()
    age_days = (orders.basket_ts.max() - orders.basket_ts) / 86_400
    model = ease_on_baskets(orders, age_days, tuning.basket_half_life, tuning.basket_ridge)
    took = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall, "items": len(model.items)}
    print(json.dumps(took), flush=True)
    engine.close()


PARTS = {"start": start, "refit": refit, "linear": linear}


def begun(part, url, folder, prefix=()):
    """One of this file's parts in a process of its own."""
    command = [*prefix, sys.executable, "-m", "benchmarks.bench_refit", "--part", part, url, str(folder or "")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def told(process):
    return json.loads(process.stdout.readline())


def cold(url, folder):
    wall = time.perf_counter()
    process = begun("start", url, folder)
    cpu_s = told(process)["cpu_s"]
    wall = time.perf_counter() - wall
    process.wait()
    return f"{wall:5.2f} s wall  {cpu_s:5.2f} s CPU"


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


def prepare(url, data, folder):
    engine = opened(url, folder)
    table = log_of(data)
    shift_s = int(time.time() - table["ts"].to_numpy().max()) // 86_400 * 86_400
    wall, cpu = time.perf_counter(), time.process_time()
    fill(engine, data, table, shift_s)
    say(f"filled: {table.num_rows} events, {time.perf_counter() - wall:.0f} s, {time.process_time() - cpu:.0f} s CPU")
    say(f"cold start from the log        {cold(url, None)}")
    engine.recommend(RecommendRequest())
    wall = time.perf_counter()
    engine.snapshot()
    say(f"snapshot written in {time.perf_counter() - wall:.2f} s, {size(folder) / 2**20:.0f} MB")
    engine.close()
    found = told(begun("refit", url, folder, aside()))
    say(f"first refit                   {found['wall_s']:6.1f} s wall  {found['cpu_s']:6.1f} s CPU")


def aside():
    """What the scheduled job puts before its command."""
    from shop_app.jobs.recommender import ASIDE  # noqa: PLC0415 - starts are timed, and do not need it

    return ASIDE


def measure(url, folder):
    say(f"cold start, snapshot and model {cold(url, folder)}")
    found = told(begun("linear", url, folder, aside()))
    say(f"linear model, {found['items']} items      {found['wall_s']:6.1f} s wall  {found['cpu_s']:6.1f} s CPU")
    engine = opened(url, folder)
    users = engine.live_state().histories.user_ids  # in turn: more than the engine remembers answers for
    lists(engine, users, 200)
    before, used = lists(engine, users, LISTS), time.process_time()
    side = begun("refit", url, folder, aside())
    during = lists(engine, users, 10**9, lambda: side.poll() is not None)
    found = told(side)
    say(f"whole refit in a side process {found['wall_s']:6.1f} s wall  {found['cpu_s']:6.1f} s CPU")
    say(f"lists before  {line(before)}")
    say(f"lists during  {line(during)}  p99 ratio {np.quantile(during, 0.99) / np.quantile(before, 0.99):.2f}")
    say(f"slowest {np.sort(during)[-5:].round(1).tolist()} ms; {time.process_time() - used:.1f} s CPU for all lists")
    engine.close()


def say(text):
    print(text, flush=True)


def size(folder):
    return sum(path.stat().st_size for path in folder.glob("*.npz"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--part", nargs=3)
    options = parser.parse_args()
    if options.part:
        part, url, folder = options.part
        PARTS[part](url, Path(folder) if folder else None)
        return
    with tempfile.TemporaryDirectory() as spare:
        folder = options.folder or Path(spare)
        url = options.url or f"sqlite:///{folder}/bench.db"
        models = folder / "models"
        if options.data:
            prepare(url, options.data, models)
        measure(url, models)


if __name__ == "__main__":
    main()
