"""A throw-away shop on this machine for browser tests, screenshots and benchmarks: own folder, own port, own data."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class LocalShop:
    """Where it answers, the environment its processes have, and the folder with its data and logs."""

    url: str
    env: Mapping[str, str]
    folder: Path

    def flask(self, *arguments: str) -> str:
        """Run a flask command of this shop; returns what it printed.

        Raises:
            subprocess.CalledProcessError: the command failed; its output is in the error.
        """
        command = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=dict(self.env), check=True, capture_output=True, text=True)
        return done.stdout


@contextlib.contextmanager
def local_shop(
    *, seed: str = "small", data: str = "", workers: int = 1, threads: int = 8, extra: Mapping[str, str] | None = None
) -> Iterator[LocalShop]:
    """Prepare and serve a shop with the named seed, or with a real shop's data; everything is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        port = free_port()
        shop = LocalShop(f"http://127.0.0.1:{port}", _environment(Path(folder), port, extra or {}), Path(folder))
        shop.flask("db", "upgrade")
        if data:
            shop.flask("prepare", "--data", data)
        elif seed:
            shop.flask("seed", seed)
        with _served(shop, port, workers, threads):
            yield shop


def consenting_cookie(url: str) -> str:
    """The session cookie of a guest who agreed to everything, for a `Cookie` header; the shop is in QA mode."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/__qa__/session", data=b"{}", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as response:  # nosec B310 - our own address
        cookies = [str(cookie).split(";")[0] for cookie in response.headers.get_all("Set-Cookie")]
    return next(cookie for cookie in cookies if cookie.startswith("shop="))


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait for an answer of any status; stop with the log's end when the process dies first."""
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).close()  # nosec B310 - our own address
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{url} did not come up:\n{log.read_text()[-3000:]}")


def _environment(folder: Path, port: int, extra: Mapping[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "SECRET_KEY": "local-shop-only-" * 3,
        "DATABASE_URL": f"sqlite:///{folder}/shop.sqlite3",
        "RECSYS_DATABASE_URL": f"sqlite:///{folder}/recsys.sqlite3",
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/14"),
        "VAR_DIR": str(folder),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "QA_MODE": "on",
        "RATE_LIMITS": "off",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **extra,
    }


@contextlib.contextmanager
def _served(shop: LocalShop, port: int, workers: int, threads: int) -> Iterator[None]:
    log = shop.folder / "web.log"
    command = [sys.executable, "-m", "gunicorn", "shop_app.wsgi:app", "--bind", f"127.0.0.1:{port}"]
    command += [
        "--worker-class",
        "gthread",
        "--workers",
        str(workers),
        "--threads",
        str(threads),
        "--no-control-socket",
    ]
    with log.open("wb") as output:
        web = subprocess.Popen(
            command, cwd=ROOT, env=dict(shop.env), stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until_up(f"{shop.url}/healthz", web, log)
        yield
    finally:
        os.killpg(web.pid, signal.SIGTERM)
        web.wait(20)
