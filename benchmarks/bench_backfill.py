"""A real shop's past brought in, killed half-way, resumed, run again: is it the state of one clean run?

    python -m benchmarks.bench_backfill --data FOLDER [--lines 0]

FOLDER holds `items.*` and `events.parquet`; `--lines` takes only so many of the first lines (0: all). Three stories:
one clean import; one that is killed with SIGKILL when half of the orders are in, resumed, and then run once more; and,
on the first shop with an empty Recsys, a replay of its log with the same fate. Compared is a SHA-256 over every order,
line, event and sale of the shop, and over every event at Recsys, in the order of their own keys.
"""

import argparse
import hashlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
SHOP = (
    'SELECT number, shopper_key, total_minor, status, placed_at FROM "order" ORDER BY number',
    """SELECT o.number, l.position, l.item_id, l.quantity, l.unit_price_minor
       FROM order_line l JOIN "order" o ON o.id = l.order_id ORDER BY o.number, l.position""",
    """SELECT source_event_id, type, shopper_key, item_id, value, occurred_at, meta, delivery
       FROM tracked_event ORDER BY source_event_id""",
    "SELECT p.sku, s.day, s.units FROM product_sales s JOIN product p ON p.id = s.product_id ORDER BY p.sku, s.day",
)
RECSYS = (
    """SELECT source_event_id, user_id, item_id, type, value, ts_us, meta, order_id
       FROM engine_events ORDER BY source_event_id""",
)
ORDERS = 'SELECT count(*) FROM "order"'
AT_RECSYS = "SELECT count(*) FROM engine_events"


class World:
    """One shop with its Recsys, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.shop, self.recsys = folder / "shop.sqlite3", folder / "recsys.sqlite3"
        self.env = {
            **os.environ,
            "SECRET_KEY": "backfill-only-" * 3,
            "DATABASE_URL": f"sqlite:///{self.shop}",
            "RECSYS_DATABASE_URL": f"sqlite:///{self.recsys}",
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "VAR_DIR": str(folder),
            "LOG_LEVEL": "ERROR",
        }

    def flask(self, *arguments: str, kill_when: Callable[[], bool] = lambda: False) -> tuple[float, float]:
        """Run a command, or kill it when `kill_when`; returns its CPU and wall seconds."""
        command = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", *arguments]
        used, began = _children_cpu(), time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        was_killed = False
        while process.poll() is None:
            if not was_killed and kill_when():
                process.send_signal(signal.SIGKILL)
                was_killed = True
            time.sleep(0.1)
        assert process.stderr is not None
        errors = process.stderr.read()
        if process.returncode and not was_killed:
            raise RuntimeError(f"{arguments}: {errors[-2000:]}")
        return _children_cpu() - used, time.perf_counter() - began

    def count(self, query: str) -> int:
        path = self.recsys if "engine_" in query else self.shop
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                return int(connection.execute(query).fetchone()[0])
        except sqlite3.Error:
            return 0

    def state_hash(self) -> str:
        """What the shop and Recsys know, whatever way it came."""
        return _hash(self.shop, SHOP)[:16] + " " + _hash(self.recsys, RECSYS)[:16]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backfill-") as name:
        folder = Path(name)
        items = next(options.data.glob("items.*"))
        history = _first_lines(options.data / "events.parquet", options.lines, folder)
        clean, broken = World(_made(folder / "clean")), World(_made(folder / "broken"))
        for world in (clean, broken):
            world.flask("db", "upgrade")
            world.flask("import-catalog", str(items))
        cpu, wall = clean.flask("import-history", str(history))
        orders, events = clean.count(ORDERS), clean.count(AT_RECSYS)
        took = f"{cpu:.0f} s CPU, {wall:.0f} s"
        print(f"clean: {events} events, {orders} orders in {took}: {events / cpu:.0f} events a second of CPU")
        wanted = clean.state_hash()
        print(f"  state {wanted}")
        _again(broken, ("import-history", str(history)), lambda: broken.count(ORDERS) >= orders / 2)
        print(f"  state {broken.state_hash()}: {'the same' if broken.state_hash() == wanted else 'ANOTHER'}")
        _replay(clean, events, wanted)


def _replay(world: World, events: int, wanted: str) -> None:
    for path in world.recsys.parent.glob("recsys.sqlite3*"):
        path.unlink()
    _again(world, ("replay-events", "--per-second", "1000000"), lambda: world.count(AT_RECSYS) >= events / 2)
    print(f"  state {world.state_hash()}: {'the same' if world.state_hash() == wanted else 'ANOTHER'}")


def _again(world: World, command: tuple[str, ...], is_half: Callable[[], bool]) -> None:
    """Killed half-way, resumed, and run once more."""
    killed = world.flask(*command, kill_when=is_half)
    there = f"{world.count(ORDERS)} orders, {world.count(AT_RECSYS)} events at Recsys"
    print(f"{command[0]} killed after {killed[0]:.0f} s CPU: {there}")
    for what in ("resumed", "run again"):
        cpu, wall = world.flask(*command)
        print(f"  {what}: {cpu:.0f} s CPU, {wall:.0f} s, {world.count(AT_RECSYS)} at Recsys")


def _hash(path: Path, queries: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for query in queries:
            for row in connection.execute(query):
                digest.update(repr(row).encode())
    return digest.hexdigest()


def _first_lines(history: Path, lines: int, folder: Path) -> Path:
    if not lines:
        return history
    part = folder / "events.parquet"
    pq.write_table(pq.read_table(history).slice(0, lines), part)
    return part


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
