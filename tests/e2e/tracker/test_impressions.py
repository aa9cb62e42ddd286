"""Impressions in a real browser against the oracle, over many seeded timelines.

The page, its geometry and the IntersectionObserver are the browser's own. Time is not: timers of the page run on a clock
that moves only between steps, so that a busy machine cannot make a run of 870 ms into one of a second. With
`REAL_TIME=on` the same timelines run on the browser's clock, judged by the moments the page noted itself.
"""

import json
import os
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.tracker.conftest import Recorder
from tests.e2e.tracker.timelines import DOCUMENT_HEIGHT, MARGIN_MS, Box, Timeline, a_timeline, judge

TIMELINES = int(os.environ.get("IMPRESSION_TIMELINES", "40"))
IS_REAL_TIME = os.environ.get("REAL_TIME", "off") == "on"
EPOCH_MS = 1_700_000_000_000
AWAY = """
  Object.defineProperty(document, "hidden", { get: () => window.away ?? false });
  document.hasFocus = () => window.focused ?? true;
  const frame = requestAnimationFrame.bind(window);
  window.settled = () => new Promise((done) => frame(() => frame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage(0);
  })));
"""
"""`settled` waits until the observer has looked at the page as it is now and has told the tracker."""
STILL_CLOCK = """
  let now = 0, last = 0;
  const jobs = new Map();
  window.setTimeout = (work, wait = 0) => (jobs.set(++last, { at: now + Math.max(0, wait), work }), last);
  window.clearTimeout = (id) => jobs.delete(id);
  Date.now = () => EPOCH_MS + now;
  window.pass = async (ms) => {
    for (const end = now + ms; ; ) {
      const [id, job] = [...jobs].sort(([a, { at: x }], [b, { at: y }]) => x - y || a - b)[0] ?? [];
      if (!job || job.at > end) return void (now = end);
      jobs.delete(id);
      now = job.at;
      job.work();
    }
  };
"""
RUNNING_CLOCK = "window.pass = (ms) => new Promise((done) => setTimeout(done, ms));"
ACT = {
    "open": "() => {}",
    "scroll": "(top) => scrollTo(0, top)",
    "shelf": "(left) => { document.getElementById('shelf').scrollLeft = left }",
    "hide": "(away) => { window.away = away; document.dispatchEvent(new Event('visibilitychange', { bubbles: true })) }",
    "focus": "(focused) => { window.focused = focused; window.dispatchEvent(new Event(focused ? 'focus' : 'blur')) }",
    "resize": "() => {}",
    "grow": "([item, height]) => { document.querySelector(`[data-item-id=${item}]`).style.height = height + 'px' }",
    "swap": """(html) => {
        document.getElementById('list').outerHTML = html;
        const elt = document.getElementById('list');
        elt.dispatchEvent(new CustomEvent('htmx:load', { bubbles: true, detail: { elt } }));
    }""",
}
SEEN = """() => Object.keys(localStorage).filter((key) => key.startsWith("event:"))
    .map((key) => JSON.parse(localStorage[key])).filter(({ kind }) => kind == "impression")
    .map(({ request_id, item_id, created_at }) => [+request_id.slice(4), item_id, created_at])"""


def drawn(cards: dict[str, Box], *, request: int, place: str, attributes: str) -> str:
    inner = "".join(
        f'<article data-item-id="{item}" data-rank="{rank}" style="position:absolute;left:{box.left}px;top:{box.top}px;'
        f'width:{box.width}px;height:{box.height}px">{item}</article>'
        for rank, (item, box) in enumerate(cards.items(), 1)
    )
    return (
        f'<section id="{place}" data-surface="home" data-widget="{place}" data-request-id="req-{request}" '
        f"{attributes}>{inner}</section>"
    )


def page_of(timeline: Timeline) -> str:
    at = timeline.shelf
    style = (
        f'style="position:absolute;overflow:auto;scrollbar-width:none;left:{at.left}px;top:{at.top}px;'
        f'width:{at.width}px;height:{at.height}px"'
    )
    shelf = drawn(timeline.shelved, request=0, place="shelf", attributes=style)
    return (
        f'<div style="position:relative;height:{DOCUMENT_HEIGHT}px">'
        f"{drawn(timeline.cards, request=1, place='list', attributes='')}{shelf}</div>"
    )


def play(page: Page, recorder: Recorder, timeline: Timeline) -> list[float]:
    """Run the timeline in the browser; returns when each step took effect, and the end."""
    recorder.body = page_of(timeline)
    page.set_viewport_size({"width": timeline.window[0], "height": timeline.window[1]})
    page.goto(recorder.url)
    moments: list[float] = []
    for step in timeline.steps:
        value = step.value
        if step.kind == "resize":
            page.set_viewport_size({"width": value[0], "height": value[1]})
        if step.kind == "swap":
            value = drawn(timeline.cards, request=value, place="list", attributes="")
        happen = f"""async ([value, ms]) => {{
            const at = Date.now();
            ({ACT[step.kind]})(value);
            await settled();
            await pass(ms);
            return at;
        }}"""
        moments.append(page.evaluate(happen, [value, step.wait_ms]))
    return [*moments, page.evaluate("Date.now()")]


@pytest.mark.ticket("RS-020")
@pytest.mark.timeout(1200)
def test_impressions_are_those_of_the_oracle(page: Page, recorder: Recorder) -> None:
    recorder.status = 503  # everything stays in the storage, to be read there
    page.add_init_script(AWAY + (RUNNING_CLOCK if IS_REAL_TIME else STILL_CLOCK.replace("EPOCH_MS", str(EPOCH_MS))))
    wrong: dict[int, Any] = {}
    judged = close_calls = 0

    for seed in range(TIMELINES):
        page.goto(f"{recorder.url}/js/tracker.js")
        page.evaluate("localStorage.clear()")
        timeline = a_timeline(seed)
        verdict = judge(timeline, play(page, recorder, timeline))
        reported = page.evaluate(SEEN)
        moments = {(request, item): at for request, item, at in reported}
        late = {key: at - verdict.must[key] for key, at in moments.items() if key in verdict.must}
        problems = {
            "missing": sorted(verdict.must.keys() - moments.keys()),
            "not seen": sorted(moments.keys() - verdict.must.keys() - verdict.may),
            "twice": len(reported) - len(moments),
            "off": {str(key): by for key, by in late.items() if abs(by) > MARGIN_MS and key not in verdict.may},
        }
        if any(problems.values()):
            wrong[seed] = problems
        judged, close_calls = judged + len(verdict.must), close_calls + len(verdict.may)

    assert wrong == {}, json.dumps(wrong, default=str)
    assert judged > 3 * TIMELINES, (judged, close_calls)
