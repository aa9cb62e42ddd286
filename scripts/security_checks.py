"""Scanners and fuzzers with a bounded time and a fixed seed: `python -m scripts.security_checks [NAME…]`.

They live in a virtual environment of their own (`.tools`), made on first use from `.ci/security/tools.txt`. Any finding
is a failure: it is mended, or explained where it stands.
"""

import json
import logging
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import venv
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RULES = ROOT / ".ci" / "security"
TOOLS = ROOT / ".tools"
BIN = TOOLS / "bin"
SOURCES = ["shop_app", "recsys_engine", "scripts", "run.py", "worker.py"]
BAD = RULES / "bad"
FUZZ_EXAMPLES = 8
"""Random bodies an operation, beside those made from each limit of its schema."""
ENGINE_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
ENGINE_S = 900
"""A run takes a minute; one that is not done after this, on the busiest machine, hangs."""
FUZZ_RUNS = 5_000
"""Inputs for each parser, the same every time."""
FUZZ_S = 10
"""And never longer than this, on a machine that is busy."""


def main() -> int:
    """Run the named checks, or all; 1 when one found something."""
    if not sys.platform.startswith("linux"):
        print("LEFT OUT: scanners and fuzzers. Needed: Linux, for which all of them have wheels")
        return int(bool(os.environ.get("REQUIRE_ALL")))
    _install()
    failed = []
    for name in sys.argv[1:] or CHECKS:
        started = time.monotonic()
        is_clean = CHECKS[name]()
        print(f"{name}: {'clean' if is_clean else 'FINDINGS'} in {time.monotonic() - started:.0f} s", flush=True)
        failed += [] if is_clean else [name]
    return int(bool(failed))


def _install() -> None:
    pins = RULES / "tools.txt"
    mark = TOOLS / f"{sha256(pins.read_bytes()).hexdigest()[:16]}.installed"
    if mark.exists():
        return
    print("Installing the scanners and fuzzers …", flush=True)
    venv.create(TOOLS, with_pip=True, clear=True)
    pip = [
        BIN / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--no-deps",
    ]
    subprocess.run([*pip, "-r", pins], check=True)
    mark.touch()


def bandit() -> bool:
    """The general rules for Python."""
    command = [BIN / "bandit", "-q", "-c", RULES / "bandit.yml", "-r", *SOURCES, "-x", "shop_app/migrations"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def semgrep() -> bool:
    """Our own rules: nothing in the sources, and every rule still sees the file that breaks it."""
    command = [
        BIN / "semgrep",
        "scan",
        "--config",
        RULES / "semgrep.yml",
        "--metrics=off",
        "--disable-version-check",
        "--json",
    ]
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    targets = [*SOURCES, BAD.relative_to(ROOT)]
    run = subprocess.run(
        [*command, "--quiet", *targets], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    found = json.loads(run.stdout)
    seen = {one["check_id"].rsplit(".", 1)[-1] for one in found["results"] if _is_bad(one)}
    known = {line.split(":")[1].strip() for line in (RULES / "semgrep.yml").read_text().splitlines() if "- id:" in line}
    problems = [
        f"{one['path']}:{one['start']['line']}: {one['check_id']}" for one in found["results"] if not _is_bad(one)
    ]
    problems += [f"the rule {name} overlooks its bad example" for name in sorted(known - seen)]
    problems += [str(error.get("message", error)) for error in found["errors"]]
    print("\n".join(problems), end="\n" if problems else "")
    return not problems


def _is_bad(finding: dict[str, Any]) -> bool:
    return str(finding["path"]).startswith(str(BAD.relative_to(ROOT)))


def parsers() -> bool:
    """Coverage-guided inputs for everything that reads text of others."""
    packages = sysconfig.get_paths()["purelib"]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}"}
    names = subprocess.run(
        [BIN / "python", ROOT / "scripts" / "fuzz_parsers.py", "--list"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        reports = list(pool.map(lambda name: _fuzzed(name, env), names))
    for name, report in zip(names, reports, strict=True):
        print(report and f"{name}:\n{report}", end="")
    return not any(reports)


def _fuzzed(name: str, env: dict[str, str]) -> str:
    """What went wrong in one target; empty when nothing did."""
    with tempfile.TemporaryDirectory() as folder:
        limits = [f"-runs={FUZZ_RUNS}", "-seed=20261126", "-max_len=600", "-timeout=5", f"-max_total_time={FUZZ_S}"]
        command = [BIN / "python", ROOT / "scripts" / "fuzz_parsers.py", name, *limits, "-verbosity=0", folder]
        run = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    tail = [line for line in run.stderr.splitlines() if not line.startswith(("INFO", "WARNING"))]
    return run.stdout[-2000:] + "\n".join(tail[-10:]) + "\n" if run.returncode else ""


def engine() -> bool:
    """Schemathesis over the engine's own OpenAPI document, against a started server: no 5xx, answers as documented."""
    from werkzeug.serving import make_server

    from recsys_engine.http import ServerSettings, create_engine_app
    from scripts.fuzz_engine import ORG, fuzzed_document, stocked

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # not a line for each of four thousand requests
    with tempfile.TemporaryDirectory() as folder:
        app = create_engine_app(ServerSettings(f"sqlite:///{folder}/engine.db", rate_per_minute=0))
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ids = stocked(app.test_client())
        document = Path(folder, "openapi.json")
        document.write_text(json.dumps(fuzzed_document(app.test_client().get("/openapi.json").get_json(), ids)))
        command = [BIN / "schemathesis", "run", document, "--url", f"http://127.0.0.1:{server.port}"]
        command += ["-H", f"X-Org-ID: {ORG}", "-c", ",".join(ENGINE_CHECKS)]
        command += ["--phases", "coverage,fuzzing", "-n", str(FUZZ_EXAMPLES), "--generation-deterministic"]
        command += ["--continue-on-failure", "--no-color", "--warnings", "off", "--request-timeout", "10"]
        run = _within(command, folder, ENGINE_S)
        server.shutdown()
        app.extensions["recsys_server"].tenants.close()
        server.server_close()
    print(
        run.stdout[-4000:]
        if run.returncode
        else "".join(line for line in run.stdout.splitlines(True) if " passed" in line)
    )
    return run.returncode == 0


def _within(command: list[Any], folder: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a command; one that takes longer is ended, and that is a finding of its own."""
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as late:
        said = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else late.stdout or ""
        return subprocess.CompletedProcess(command, 1, f"{said}\nNot done after {seconds:.0f} s")


def swaps() -> bool:
    """Ten thousand requests for somebody else's things."""
    env = {**os.environ, "OBJECT_SWAPS": "10000", "TEST_DATABASE_URL": ""}
    command = [sys.executable, "-m", "pytest", "-q", "tests/hardening/test_object_swaps.py"]
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


CHECKS: dict[str, Callable[[], bool]] = {
    "bandit": bandit,
    "semgrep": semgrep,
    "parsers": parsers,
    "engine": engine,
    "swaps": swaps,
}

if __name__ == "__main__":
    sys.exit(main())
