"""`make browser-loss`: ten thousand events through everything that goes wrong in a browser; then they are counted.

A real Chromium with a profile on disk visits a real shop through a gate that can be shut. In every scenario some events
come from real cards that are really clicked, and most are put into the tracker's own queue (`queue.js`, the module the
page runs), because ten thousand clicks would take an hour. Each event carries a word of its own; afterwards the shop's
table must hold each word exactly once.
"""

import argparse
import itertools
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright

from scripts.fault_gate import Gate, fault_gate
from scripts.local_shop import LocalShop, local_shop

BROWSER = os.environ.get("CHROMIUM", "/usr/bin/chromium")
BACKLOG_BYTES = 100_000
PATIENCE_MS = 60_000
PUSH = """async (words) => {
  const { add } = await import("/static/js/tracker/queue.js");
  const { itemId } = document.querySelector("[data-item-id]").dataset;
  for (const text of words)
    add({ type: "click", item_id: itemId, surface: "home", widget: "top_picks", rank: 1,
          request_id: "req-loss", href: "/products/a", text });
}"""
WAITING = "Object.keys(localStorage).filter((key) => key.startsWith('event:'))"
WAITING_BYTES = f"{WAITING}.reduce((sum, key) => sum + localStorage[key].length, 0)"
IS_EMPTY = f"() => !{WAITING}.length"
FILL = """() => {
  for (let size = 1 << 23, n = 0; size >= 1; size >>= 1)
    for (;;) try { localStorage["ballast:" + n] = "x".repeat(size); n++ } catch { break }
}"""
UNFILL = "() => Object.keys(localStorage).forEach((key) => key.startsWith('ballast:') && localStorage.removeItem(key))"
GO_BACK = """addEventListener("pageshow", async ({ persisted }) => {
  const { add } = await import("/static/js/tracker/queue.js");
  const plan = JSON.parse(sessionStorage.plan ?? '{"made": 0, "restored": 0}');
  const push = (count) => {
    for (; count-- && plan.made < TOTAL; plan.made++)
      add({ type: "click", item_id: ITEM, surface: "home", widget: "top_picks", rank: 1, text: "back " + plan.made });
    sessionStorage.plan = JSON.stringify(plan);
  };
  plan.restored += persisted;
  push(EACH);
  if (location.pathname != "/") setTimeout(() => history.back(), 100);
  else if (plan.made < TOTAL) setTimeout(() => location.assign("/cart"), 100);
  else {
    const waiting = setInterval(() => {
      if (Object.keys(localStorage).some((key) => key.startsWith("event:"))) return;
      clearInterval(waiting);
      fetch("/__gate__/done", { method: "POST", body: plan.restored });
    }, 100);
  }
});"""
"""A page that leaves itself and comes back by itself: the tools that steer browsers cannot follow into that cache.

It says that it is done when nothing waits any more: this browser is ended by a signal, and what a browser has stored
in its last seconds is not on the disk yet.
"""
CLICKABLE = "[data-widget] [data-item-id] a[href^='/products/']"


@dataclass
class Trial:
    """One browser profile, and the words of every event it made."""

    playwright: Playwright
    shop: LocalShop
    gate: Gate
    profile: Path
    rng: random.Random
    words: list[str] = field(default_factory=list)
    clicks: int = 0
    restored: int = 0
    context: BrowserContext | None = None

    def open(self, path: str = "/") -> Page:
        """A tab on `path`; starts the browser when none runs."""
        if self.context is None:
            self.context = self.playwright.chromium.launch_persistent_context(
                self.profile,
                executable_path=BROWSER,
                args=["--disable-background-networking", "--no-first-run"],
                viewport={"width": 1280, "height": 1000},
            )
            self.context.set_default_timeout(PATIENCE_MS)
            page = self.context.pages[0]
        else:
            page = self.context.new_page()
        page.goto(self.gate.url + path)
        return page

    def close(self) -> None:
        """The browser ends; its profile stays."""
        if self.context is not None:
            self.context.close()
            self.context = None

    def push(self, page: Page, count: int, scenario: str, *, length: int = 0, letter: str = "x") -> None:
        """`count` events through the tracker's queue, each padded with `letter` to `length`."""
        words = [f"{scenario} {len(self.words) + n}".ljust(length, letter) for n in range(count)]
        self.words += words
        page.evaluate(PUSH, words)

    def click_a_card(self, page: Page, scenario: str) -> None:
        """Really click a card of a list, which leads to another page."""
        word = f"{scenario} {len(self.words)}"
        link = page.locator(CLICKABLE).first
        link.evaluate("(link, word) => { link.replaceChildren(word) }", word)
        with page.expect_navigation():
            link.click()
        self.words.append(word)
        self.clicks += 1

    def wait_until_empty(self, page: Page) -> None:
        page.wait_for_function(IS_EMPTY)

    def stored(self) -> Counter[str]:
        """How often the shop's table holds each word."""
        with sqlite3.connect(f"file:{self.shop.folder}/shop.sqlite3?mode=ro", uri=True) as table:
            rows = table.execute("SELECT json_extract(meta, '$.text') FROM tracked_event WHERE type = 1").fetchall()
        return Counter(text for (text,) in rows if text)


@dataclass(frozen=True, slots=True)
class Loss:
    """What became of the words. `extra` are rows beyond the first of a word."""

    made: int
    lost: tuple[str, ...]
    extra: int
    clicks: int
    restored: int
    reports: int


def navigating(trial: Trial, count: int) -> None:
    """Events made in the moment before the page is left, by address and by click."""
    page = trial.open()
    for part in _parts(count, max(12, count // 40)):
        trial.push(page, part - 1, "navigating")
        trial.click_a_card(page, "navigating")
        page.goto(trial.gate.url)
    page.close()


def closing(trial: Trial, count: int) -> None:
    """The browser ends with events just made, once while the shop refuses them."""
    for part, mode in zip(_parts(count, count // 3 + 1), itertools.cycle(("open", "refuse", "open")), strict=False):
        page = trial.open()
        trial.gate.mode = mode
        trial.push(page, part, "closing")
        trial.close()
        trial.gate.mode = "open"


def going_back(trial: Trial, count: int) -> None:
    """Pages that are left and come back as they were, out of the back/forward cache; in the same profile."""
    page = trial.open()
    item = page.locator("[data-item-id]").first.get_attribute("data-item-id")
    trial.close()
    trial.gate.script = (
        GO_BACK.replace("TOTAL", str(count)).replace("ITEM", f'"{item}"').replace("EACH", str(max(9, count // 60)))
    )
    command = [BROWSER, "--headless", "--no-sandbox", "--no-first-run", "--disable-background-networking"]
    command += ["--password-store=basic", "--use-mock-keychain", f"--user-data-dir={trial.profile}", trial.gate.url]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        trial.restored += int(trial.gate.news.get(timeout=PATIENCE_MS / 1000 + count / 4))
    finally:
        trial.gate.script = ""
        browser.terminate()
        browser.wait(20)
    trial.words += [f"back {n}" for n in range(count)]


def backlog(trial: Trial, count: int) -> None:
    """More than 100 kB wait, then all of it goes. Texts are long, and not of one byte a letter."""
    trial.gate.mode = "refuse"
    page = trial.open()
    trial.push(page, count // 2, "backlog", length=90, letter="~")
    trial.push(page, count - count // 2, "backlog", length=90, letter="湯")  # three bytes each
    if count >= 400 and page.evaluate(WAITING_BYTES) < BACKLOG_BYTES:
        raise RuntimeError("the backlog is too small to tell anything")
    trial.gate.mode = "open"
    page.goto(f"{trial.gate.url}/cart")
    trial.wait_until_empty(page)
    page.close()


def outage(trial: Trial, count: int, *, seconds: float) -> None:
    """The shop answers 503, now before and now after it has stored what was sent, while shopping goes on."""
    page = trial.open()
    end = time.monotonic() + seconds
    for part, mode in zip(_parts(count, count // 10 + 1), itertools.cycle(("refuse", "lose_answer")), strict=False):
        trial.gate.mode = mode
        trial.push(page, part - 1, "outage")
        trial.click_a_card(page, "outage")
        page.goto(trial.gate.url)
        page.wait_for_timeout(max(0, (end - time.monotonic()) * 100))
    page.wait_for_timeout(max(0, (end - time.monotonic()) * 1000))
    trial.gate.mode = "open"
    trial.wait_until_empty(page)
    page.close()


def silence(trial: Trial, count: int) -> None:
    """The shop takes reports and never answers; the page is left."""
    page = trial.open()
    trial.gate.mode = "hang"
    trial.push(page, count, "silence")
    page.wait_for_timeout(2500)
    page.goto(f"{trial.gate.url}/cart")
    trial.gate.mode = "open"
    page.close()


def offline(trial: Trial, count: int) -> None:
    """The network goes and comes back, on the same page."""
    page = trial.open()
    for part in _parts(count, count // 2 + 1):
        page.context.set_offline(True)
        trial.push(page, part, "offline")
        page.wait_for_timeout(2500)
        page.context.set_offline(False)
        trial.wait_until_empty(page)
    page.close()


def two_tabs(trial: Trial, count: int) -> None:
    """Two tabs write and send at once from the storage they share; one is closed in between."""
    tabs = [trial.open(), trial.open("/cart")]
    tabs[1].goto(trial.gate.url)
    for part, tab in zip(_parts(count, 25), itertools.cycle(tabs), strict=False):
        trial.push(tab, part, "tabs")
    tabs[1].close()
    trial.wait_until_empty(tabs[0])
    tabs[0].close()


def full_storage(trial: Trial, count: int) -> None:
    """Not one byte fits into the storage. What cannot be kept leaves with the page."""
    page = trial.open()
    page.evaluate(FILL)
    for part in _parts(count, 60):
        trial.push(page, part - 1, "full")
        trial.click_a_card(page, "full")
        page.goto(trial.gate.url)
    page.goto(f"{trial.gate.url}/cart")
    page.evaluate(UNFILL)
    page.close()


def scenarios(outage_s: float) -> dict[str, tuple[float, Callable[[Trial, int], None]]]:
    """Name → (share of all events, what happens)."""
    return {
        "navigation": (0.15, navigating),
        "close": (0.1, closing),
        "back/forward cache": (0.15, going_back),
        "backlog of 100 kB": (0.15, backlog),
        "503": (0.1, lambda trial, count: outage(trial, count, seconds=outage_s)),
        "no answer": (0.05, silence),
        "offline": (0.1, offline),
        "two tabs": (0.1, two_tabs),
        "full storage": (0.1, full_storage),
    }


def measure(
    trial: Trial, total: int, *, outage_s: float, only: str = "", say: Callable[[str], None] = lambda _: None
) -> Loss:
    """Run every scenario, let the profile come back, and count."""
    _agree(trial)
    for name, (share, happen) in scenarios(outage_s).items():
        if only in name:
            began = time.monotonic()
            happen(trial, max(4, round(total * share)))
            say(f"{name:<20} {len(trial.words):>6} events so far, {time.monotonic() - began:.1f} s")
    trial.close()
    page = trial.open()
    trial.wait_until_empty(page)
    trial.close()
    stored = trial.stored()
    lost = tuple(word for word in trial.words if word not in stored)
    extra = sum(stored[word] - 1 for word in trial.words if word in stored)
    return Loss(len(trial.words), lost, extra, trial.clicks, trial.restored, trial.gate.reports)


@contextmanager
def a_trial(shop: LocalShop, seed: int = 1) -> Iterator[Trial]:
    """A fresh profile in front of `shop`."""
    with (
        tempfile.TemporaryDirectory(prefix="profile-", ignore_cleanup_errors=True) as profile,
        fault_gate(shop.url) as gate,
        sync_playwright() as playwright,
    ):
        trial = Trial(playwright, shop, gate, Path(profile), random.Random(seed))
        try:
            yield trial
        finally:
            gate.mode = "open"
            trial.close()


def main() -> int:
    """Print what became of the events; fails when one was lost or stored twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--outage-s", type=float, default=30)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    asked = parser.parse_args()
    with local_shop(seed="small") as shop, a_trial(shop) as trial:
        loss = measure(trial, asked.events, outage_s=asked.outage_s, only=asked.only, say=print)
    print(f"{loss.made} events, {loss.clicks} of them real clicks, in {loss.reports} reports")
    print(f"pages restored from the back/forward cache: {loss.restored}")
    print(f"lost {len(loss.lost)}, stored twice {loss.extra}")
    for word in loss.lost[:10]:
        print(f"  lost: {word}")
    return 1 if loss.lost or loss.extra else 0


def _agree(trial: Trial) -> None:
    page = trial.open()
    with page.expect_navigation():
        page.get_by_role("button", name="Accept all").click()
    page.wait_for_selector(CLICKABLE)
    page.close()


def _parts(count: int, size: int) -> Iterator[int]:
    while count > 0:
        yield min(size, count)
        count -= size


if __name__ == "__main__":
    sys.exit(main())
