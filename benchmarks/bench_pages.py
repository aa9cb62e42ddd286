"""Home, product page, widgets, beacon of 20 events and checkout, each beside a bare Flask page of the same size.

    python -m benchmarks.bench_pages [--seed demo | --data FOLDER] [--seconds 4] [--connections 8] [--out FILE]

Lists are asked for anew each time; the last rows show them repeated from memory. Both apps run one after the other on
the same server with the same workers; the ratios in the last columns are what counts. The first bare page compiles its
template in each request, as `render_template_string` does; the second has it compiled once. What is posted stands also
beside a sink that reads the body and answers a line.
"""

import argparse
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.checkouts import checkout_calls
from benchmarks.load import Call, Load, measure
from scripts.local_shop import LocalShop, consenting_cookie, free_port, local_shop, wait_until_up

Row = tuple[str, Load, Load, Load, Load | None]
"""A name, and the loads of the shop, of the bare page, of the bare page that is compiled once, and of the sink."""
WORKERS, THREADS = 2, 4
CHECKOUTS = 240
BEACONS, WARMING = 6000, 800
"""More beacons than a run sends, the first of them before it is measured."""
READY_ANSWERS = 20
"""Lists of the model in a row, from whichever process takes the request."""
READY_WITHIN_S = 120
SENT_AT_MS = 1_767_225_600_000
"""Any moment: only differences between a browser's own times count."""


def main() -> None:
    """Measure, print the table, keep the figures when asked."""
    options = _options()
    rows: list[Row] = []
    always_asked = {"RECSYS_REPEAT_S": "0"}
    with _shop(options, always_asked) as shop, _bare() as bare_port:
        _wait_for_the_model(shop)
        cases = {name: calls for name, calls in _cases(shop).items() if options.only in name}
        for name, calls in cases.items():
            rows.append(_measured(name, calls, _port(shop), bare_port, options))
            print(f"  {name} done", file=sys.stderr)
        if options.only in "checkout":
            rows.append(_checkout(shop, bare_port, options))
    with _shop(options, {}) as shop, _bare() as bare_port:
        _wait_for_the_model(shop)
        for name, calls in _cases(shop).items():
            if name.startswith("widget") and options.only in name:
                rows.append(_measured(f"{name}, repeated within 10 s", calls, _port(shop), bare_port, options))
    print(_table(rows))
    if options.out:
        Path(options.out).write_text(
            json.dumps([(name, *map(vars_of, filter(None, loads))) for name, *loads in rows], indent=1)
        )


def _measured(name: str, calls: list[Call], port: int, bare_port: int, options: argparse.Namespace) -> Row:
    ours = _warm_and_measure(port, calls, options)
    return name, ours, *_peers(calls, ours, bare_port, options)


def _peers(
    calls: list[Call], ours: Load, bare_port: int, options: argparse.Namespace
) -> tuple[Load, Load, Load | None]:
    size, sink = round(ours.bytes_per_answer), None
    bare = _warm_and_measure(bare_port, [Call(f"/bytes/{size}")], options)
    compiled = _warm_and_measure(bare_port, [Call(f"/page/{size}")], options)
    if calls[0].method == "POST":
        sink = _warm_and_measure(bare_port, [Call("/sink", "POST", call.body, call.headers) for call in calls], options)
    return bare, compiled, sink


def _shop(options: argparse.Namespace, extra: dict[str, str]) -> AbstractContextManager[LocalShop]:
    return local_shop(seed=options.seed, data=options.data, workers=WORKERS, threads=THREADS, extra=extra)


def _wait_for_the_model(shop: LocalShop) -> None:
    """Every process counts its state first; until then lists are best sellers.

    Raises:
        RuntimeError: they still are when patience is over, and there is nothing to measure.
    """
    deadline, answers_in_a_row = time.monotonic() + READY_WITHIN_S, 0
    while answers_in_a_row < READY_ANSWERS:
        if time.monotonic() > deadline:
            raise RuntimeError("the shop shows no lists of the model")
        answers_in_a_row = answers_in_a_row + 1 if 'data-source="model"' in _get(shop, "/w/home.top_picks") else 0
        time.sleep(0.2)


def _port(shop: LocalShop) -> int:
    return int(shop.url.rsplit(":", 1)[1])


def vars_of(load: Load) -> dict[str, float]:
    """A frozen, slotted dataclass as a dictionary."""
    return {name: getattr(load, name) for name in load.__slots__}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="demo")
    parser.add_argument("--data", default="", help="a real shop's data instead of the seed, as make run DATA=…")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--only", default="", help="just the rows whose name holds this")
    parser.add_argument("--out", default="")
    return parser.parse_args()


def _warm_and_measure(port: int, calls: list[Call], options: argparse.Namespace) -> Load:
    """Beacons are sent once each: a repeated one would be answered without a write."""
    is_once = calls[0].method == "POST" and len(calls) > 1
    warm, measured = (calls[:WARMING], calls[WARMING:]) if is_once else (calls, calls)
    measure(port, warm, connections=options.connections, seconds=1.0, is_once=is_once)
    return measure(port, measured, connections=options.connections, seconds=options.seconds, is_once=is_once)


def _checkout(shop: LocalShop, bare_port: int, options: argparse.Namespace) -> Row:
    """Payments of baskets prepared beforehand, each once, beside the bare page of the confirmation's redirect."""
    calls = checkout_calls(shop.url, _product_paths(shop), CHECKOUTS)
    ours = measure(_port(shop), calls, connections=options.connections, seconds=60, is_once=True)
    return "checkout", ours, *_peers(calls[:1], ours, bare_port, options)


def _cases(shop: LocalShop) -> dict[str, list[Call]]:
    skus = _skus(shop)
    cookie = (("Cookie", _cookie_after_a_page(shop)),)
    return {
        "home": [Call("/", headers=cookie)],
        "product page": [Call(path, headers=cookie) for path in _product_paths(shop)],
        "widget: home.top_picks": [Call("/w/home.top_picks", headers=cookie)],
        "widget: pdp.similar": [Call(f"/w/pdp.similar?item={sku}", headers=cookie) for sku in skus],
        "beacon of 20 events": [_beacon(skus, cookie, shop.url) for _ in range(BEACONS)],
    }


def _cookie_after_a_page(shop: LocalShop) -> str:
    """What the browser of somebody who agreed sends after the first page, which puts the forms' token into it."""
    cookie = consenting_cookie(shop.url)
    with urllib.request.urlopen(urllib.request.Request(shop.url, headers={"Cookie": cookie})) as response:
        cookies = [str(text).split(";")[0] for text in response.headers.get_all("Set-Cookie", [])]
    return next((text for text in cookies if text.startswith("shop=")), cookie)


def _beacon(skus: list[str], cookie: tuple[tuple[str, str], ...], origin: str) -> Call:
    """Twenty impressions of the last seconds, with ids as the tracker makes them."""
    now_ms = round(time.time() * 1000)
    events = [
        {
            "id": "-".join(map(str, (now_ms - 150 * (20 - n), *(secrets.randbits(32) for _ in range(3))))),
            "type": "view",
            "kind": "impression",
            "item_id": skus[n % len(skus)],
            "created_at": SENT_AT_MS - 1000,
            "surface": "home",
            "widget": "top_picks",
            "rank": n + 1,
            "request_id": "bench",
        }
        for n in range(20)
    ]
    headers = (*cookie, ("Content-Type", "text/plain"), ("Sec-Fetch-Site", "same-origin"), ("Origin", origin))
    return Call("/t/events", "POST", json.dumps({"sent_at": SENT_AT_MS, "events": events}), headers)


def _skus(shop: LocalShop) -> list[str]:
    return re.findall(r'data-item-id="([^"]+)"', _get(shop, "/w/home.trending")) or _skus_of_listing(shop)


def _skus_of_listing(shop: LocalShop) -> list[str]:
    return re.findall(r'data-item-id="([^"]+)"', _get(shop, "/search?q=a"))


def _product_paths(shop: LocalShop) -> list[str]:
    return sorted(set(re.findall(r'href="(/products/[^"?]+)', _get(shop, "/w/home.trending"))))


def _get(shop: LocalShop, path: str) -> str:
    with urllib.request.urlopen(shop.url + path) as response:
        return str(response.read().decode())


@contextmanager
def _bare() -> Iterator[int]:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "benchmarks.bare:app",
        "--bind",
        f"127.0.0.1:{port}",
        "--no-control-socket",
    ]
    command += ["--worker-class", "gthread", "--workers", str(WORKERS), "--threads", str(THREADS)]
    server = subprocess.Popen(
        command,
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_up(f"http://127.0.0.1:{port}/bytes/10", server, Path(os.devnull))
        yield port
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def _table(rows: list[Row]) -> str:
    lines = [
        "| | req/s | p50 ms | p95 ms | p99 ms | errors | bytes | bare req/s | of bare | of compiled | of a sink |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, ours, *peers in rows:
        figures = (
            ours.requests_per_s,
            ours.p50_ms,
            ours.p95_ms,
            ours.p99_ms,
            ours.errors,
            round(ours.bytes_per_answer),
            peers[0].requests_per_s,
        )
        shares = (f"{ours.requests_per_s / peer.requests_per_s:.0%}" if peer else "" for peer in peers)
        lines.append(f"| {name} | " + " | ".join((*map(str, figures), *shares)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
