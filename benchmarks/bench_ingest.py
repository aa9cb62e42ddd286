"""Events per second through validation, dedupe, log and live signals, beside a bare executemany of the same rows.

    python benchmarks/bench_ingest.py [--events 40000] [--url postgresql://…/db]

The live-signal figure is one event into a loaded state, in CPU time. CPU time is printed beside wall time: on a busy
machine it is the steadier figure; "undisturbed" is the quickest tenth of the batches.
"""

import argparse
import gc
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import numpy as np
from sqlalchemy import insert

from recsys_engine.contract import Event, Item, RecommendRequest
from recsys_engine.service import Database, Engine
from recsys_engine.store.log import EventRow
from recsys_engine.store.tables import events as events_table

BATCH = 1000
ITEMS, USERS = 5000, 2000


def made_events(count, rng, now):
    items, users = rng.zipf(1.3, count) % ITEMS, rng.integers(0, USERS, count)
    types = rng.choice([0, 0, 0, 1, 1, 2, 3], count)
    return [
        Event(
            f"u_{u}",
            f"p{i}",
            int(t),
            1.0,
            now - timedelta(seconds=int(count - n)),
            {"surface": "pdp", "session_id": f"s{u}", **({"order_id": f"o{n // 3}"} if t == 3 else {})},
            f"e-{n}",
        )
        for n, (i, u, t) in enumerate(zip(items, users, types, strict=True))
    ]


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def bare(database, batches, seqs):
    tenant = uuid4().int % 2**30
    rows = [
        [
            {
                "tenant": tenant,
                "seq": next(seqs),
                "user_id": e.user_id,
                "item_id": e.item_id,
                "type": e.type,
                "value": e.value,
                "ts_us": 0,
                "meta": str(e.meta),
                "order_id": None,
                "is_impression": False,
                "source_event_id": e.source_event_id,
                "body_digest": 0,
            }
            for e in batch
        ]
        for batch in batches
    ]

    def write():
        for batch in rows:
            with database.write() as connection:
                connection.execute(insert(events_table), batch)

    return timed(write)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--url")
    options = parser.parse_args()
    rng, now = np.random.default_rng(1), datetime.now(UTC)
    made = made_events(options.events, rng, now)
    batches = [made[n : n + BATCH] for n in range(0, options.events, BATCH)]
    with tempfile.TemporaryDirectory() as folder:
        database = Database(options.url or f"sqlite:///{folder}/bench.db")
        database.create_tables()
        engine = Engine(database, str(uuid4()), "bench", lambda: datetime.now(UTC))
        for start in range(0, ITEMS, 500):
            engine.upsert_items([Item(f"p{n}", price=1.0) for n in range(start, start + 500)])
        engine.recommend(RecommendRequest())
        gc.freeze()  # as the servers do after their imports; the events made above are no part of what is measured
        took = [timed(partial(engine.send_events, batch)) for batch in batches]
        wall, cpu = (sum(part) for part in zip(*took, strict=True))
        least = np.quantile([part[1] for part in took], 0.1) / BATCH * 1e6
        start_seq = int(time.time() * 1000)
        bare_wall, bare_cpu = bare(database, batches, iter(range(start_seq, start_seq + options.events)))
        state = engine.live_state()
        each = []
        for n, event in enumerate(made_events(5000, rng, now)):
            row = EventRow(
                state.seq + 1,
                event.user_id,
                event.item_id,
                event.type,
                1.0,
                int(now.timestamp() * 1000) + n,
                None,
                False,
            )
            began = time.thread_time()
            state.apply(row)
            each.append(time.thread_time() - began)
        engine.close()
        database.close()
    micro = np.array(each) * 1e6
    print(f"engine   {options.events / wall:9.0f} events/s   cpu {cpu / options.events * 1e6:6.1f} µs/event", end="")
    print(f"   undisturbed {least:.1f} µs/event = {1e6 / least:.0f} events/s of one core")
    walls = np.array([part[0] for part in took]) * 1e3
    print(f"         a batch takes p50 {np.median(walls):.0f} ms by the clock, the slowest {walls.max():.0f} ms")
    print(f"bare     {options.events / bare_wall:9.0f} rows/s     cpu {bare_cpu / options.events * 1e6:6.1f} µs/row")
    print(f"ratio    {bare_wall / wall:9.2f} of bare")
    print(f"signals  p50 {np.median(micro):.0f} µs  p99 {np.quantile(micro, 0.99):.0f} µs of CPU per event")


if __name__ == "__main__":
    main()
