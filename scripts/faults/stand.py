"""Every process of a shop with a stand-alone Recsys behind a proxy, each of which may be killed, frozen or starved."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
from sqlalchemy.engine import URL, make_url

from scripts.chaos import System
from scripts.faults.clock import VARIABLE
from scripts.local_shop import free_port, wait_until_up


class Stand(System):
    """`System` with Recsys as a process of its own, and one or two workers on a clock that can be stepped."""

    def __init__(self, folder: Path, proxy_port: int, engine_port: int, workers: int) -> None:
        super().__init__(folder)
        self.engine_port = engine_port
        self.clock_file = folder / "clock"
        self.env |= {
            "RECSYS_BASE_URL": f"http://127.0.0.1:{proxy_port}",
            "RECSYS_RATE_LIMIT_RPM": "0",
            "LOG_LEVEL": "ERROR",
            "QA_MODE": "on",
            VARIABLE: str(self.clock_file),
        }
        self.commands["web"] = [part.replace("shop_app.wsgi", "scripts.faults.shop") for part in self.commands["web"]]
        carrier = [sys.executable, "-m", "scripts.faults.carrier"]
        self.workers = ["worker", "worker-2"][:workers]
        self.commands |= dict.fromkeys(self.workers, carrier)
        self.commands["engine"] = [
            sys.executable, "-m", "gunicorn", "recsys_engine.http:create_app_from_env()", "--bind",
            f"127.0.0.1:{engine_port}", "--worker-class", "gthread", "--workers", "1", "--threads", "4",
            "--no-control-socket",
        ]  # fmt: skip

    @property
    def database(self) -> URL:
        return make_url(self.env["DATABASE_URL"])

    @property
    def is_sqlite(self) -> bool:
        return self.database.get_backend_name() == "sqlite"

    def start_all(self) -> None:
        for name in self.commands:
            self.start(name)
        self.wait_until_up()

    def revive(self) -> None:
        """Start again what ended by itself, as a supervisor does: a Redis that could not write its journal, say."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    def wait_until_up(self) -> None:
        wait_until_up(f"{self.url}/healthz", self.processes["web"], self.folder / "web.log")
        engine = f"http://127.0.0.1:{self.engine_port}/health"
        wait_until_up(engine, self.processes["engine"], self.folder / "engine.log")

    def freeze(self, name: str) -> None:
        os.killpg(self.processes[name].pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, signal.SIGCONT)

    def step_clock(self, seconds: float) -> None:
        """All processes of the shop, but not Recsys, see a clock that is off by this."""
        self.clock_file.write_text(str(seconds))

    def fill_disk(self, name: str, seconds: float) -> None:
        """For a while nothing this process writes to a file is kept: the kernel refuses, as it does on a full disk."""
        pids = list(_group(self.processes[name].pid))
        before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
        for pid, (_, hard) in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
        time.sleep(seconds)
        for pid, limits in before.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)

    def lock_shop(self, seconds: float) -> None:
        """The shop's database answers nobody: its write lock is taken, on PostgreSQL the log for readers too."""
        if self.is_sqlite:
            _lock_sqlite(str(self.database.database), seconds)
            return
        with self.postgres() as connection:
            connection.execute("LOCK TABLE tracked_event IN ACCESS EXCLUSIVE MODE")
            time.sleep(seconds)

    def lock_engine(self, seconds: float) -> None:
        _lock_sqlite(str(make_url(self.env["RECSYS_DATABASE_URL"]).database), seconds)

    def cut_database(self) -> int:
        """PostgreSQL ends every connection of the shop, as a restart does; returns how many."""
        ended = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with self.postgres() as connection:
            return len(connection.execute(ended).fetchall())

    @contextmanager
    def postgres(self) -> "Iterator[psycopg.Connection]":
        url = self.database.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url) as connection:
            yield connection


def make_stand(folder: Path, proxy_port: int, engine_port: int, workers: int) -> Stand:
    """A stand with its tables, not started."""
    stand = Stand(folder, proxy_port, engine_port, workers)
    upgrade = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "db", "upgrade"]
    subprocess.run(upgrade, cwd=Path(__file__).parents[2], env=dict(stand.env), check=True, capture_output=True)
    return stand


def engine_port() -> int:
    """Where Recsys will listen."""
    return free_port()


def _lock_sqlite(path: str, seconds: float) -> None:
    with closing(sqlite3.connect(path, timeout=15, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")


def _group(leader: int) -> Iterator[int]:
    """Every process of a process group."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if os.getpgid(int(entry.name)) == leader:
                    yield int(entry.name)
