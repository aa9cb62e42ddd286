"""What the tracker reports from a real browser, and what it must not."""

import gzip
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.tracker.conftest import JS, Recorder, widget

ALMOST_MS = 900
LONG_MS = 1300


def said(event: dict[str, Any]) -> tuple[Any, ...]:
    return (event["type"], event.get("kind"), event["item_id"], event.get("widget"), event.get("rank"))


def impressions(recorder: Recorder) -> list[str]:
    return sorted(event["item_id"] for event in recorder.stored.values() if event.get("kind") == "impression")


def flush(page: Page, recorder: Recorder) -> None:
    """Leave the page, and wait until the next one has delivered everything."""
    recorder.body = ""
    page.goto(f"{recorder.url}/leave")
    page.wait_for_function("!Object.keys(localStorage).some((key) => key.startsWith('event:'))")


def test_the_tracker_weighs_at_most_three_kilobytes() -> None:
    files = [JS / "tracker.js", *sorted((JS / "tracker").glob("*.js"))]

    assert sum(len(gzip.compress(file.read_bytes(), 9, mtime=0)) for file in files) <= 3000
    assert all(len(file.read_text().splitlines()) <= 80 for file in files)
    assert not re.search(r"webdriver|userAgent|Date\(\)\.toISO", "".join(file.read_text() for file in files))


@pytest.mark.ticket("RS-019")
@pytest.mark.ticket("RS-020")
def test_a_page_reports_its_product_and_each_card_in_sight(page: Page, recorder: Recorder) -> None:
    page.goto(recorder.url)
    events = recorder.wait_for(3)

    assert sorted(map(said, events), key=str) == [
        ("view", "impression", "A", "top_picks", 1),
        ("view", "impression", "B", "top_picks", 2),
        ("view", None, "MUG-1", None, None),
    ]
    seen = next(event for event in events if event["item_id"] == "A")
    assert (seen["surface"], seen["request_id"], seen["recommended"]) == ("home", "req-1", True)
    assert next(event["surface"] for event in events if event["item_id"] == "MUG-1") == "pdp"
    assert len(recorder.reports) == 1


@pytest.mark.ticket("RS-021")
def test_a_click_leaves_with_its_place_before_the_page_is_gone(page: Page, recorder: Recorder) -> None:
    page.goto(recorder.url)
    page.get_by_role("link", name="The B").click()
    page.wait_for_url("**/next?*")

    clicks = [event for event in recorder.wait_for(2) if event["type"] == "click"]
    assert [(said(click), click["href"], click["text"]) for click in clicks] == [
        (("click", None, "B", "top_picks", 2), "/next", "The B")
    ]
    assert clicks[0]["request_id"] == "req-1"


def test_a_card_half_hidden_or_gone_too_soon_is_not_seen(page: Page, recorder: Recorder) -> None:
    height = page.viewport_size["height"] if page.viewport_size else 720
    recorder.body = f'<div style="height:{height - 40}px"></div>' + widget("LOW")

    page.goto(recorder.url)
    page.wait_for_timeout(LONG_MS)
    assert impressions(recorder) == []
    page.evaluate("scrollTo(0, 70)")
    page.wait_for_timeout(ALMOST_MS - 200)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)
    page.evaluate("scrollTo(0, 70)")
    page.wait_for_timeout(ALMOST_MS - 200)
    flush(page, recorder)

    assert impressions(recorder) == []


def test_a_card_is_seen_after_one_unbroken_second(page: Page, recorder: Recorder) -> None:
    recorder.body = '<div style="height:2000px"></div>' + widget("LOW")

    page.goto(recorder.url)
    page.evaluate("scrollTo(0, 9999)")
    page.wait_for_timeout(LONG_MS)
    flush(page, recorder)

    assert impressions(recorder) == ["LOW"]


def test_a_hidden_tab_sees_nothing(page: Page, recorder: Recorder) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.away ?? true })")

    page.goto(recorder.url)
    page.wait_for_timeout(LONG_MS)
    assert impressions(recorder) == []
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")
    page.wait_for_timeout(LONG_MS)
    flush(page, recorder)

    assert impressions(recorder) == ["A", "B"]


def test_the_same_answer_swapped_in_again_counts_once_and_a_new_one_anew(page: Page, recorder: Recorder) -> None:
    swap = """(html) => {
        document.querySelector('[data-widget]').outerHTML = html;
        const fresh = document.querySelector('[data-widget]');
        fresh.dispatchEvent(new CustomEvent('htmx:load', { bubbles: true, detail: { elt: fresh } }));
    }"""
    page.goto(recorder.url)
    page.wait_for_timeout(LONG_MS)
    page.evaluate(swap, widget("A", "C"))
    page.wait_for_timeout(LONG_MS)
    page.evaluate(swap, widget("A", request_id="req-2"))
    page.wait_for_timeout(LONG_MS)
    flush(page, recorder)

    seen = [(e["item_id"], e["request_id"]) for e in recorder.stored.values() if e.get("kind")]
    assert sorted(seen) == [("A", "req-1"), ("A", "req-2"), ("B", "req-1"), ("C", "req-1")]


def test_a_card_in_no_widget_or_without_a_rank_is_left_alone(page: Page, recorder: Recorder) -> None:
    recorder.body = (
        '<article data-item-id="LOOSE" data-rank="1"><a href="/next">loose</a></article>'
        '<section data-surface="x" data-widget=""><article data-item-id="BLANK" data-rank="1">blank</article></section>'
        '<section data-surface="x" data-widget="y"><article data-item-id="ZERO" data-rank="0">zero</article></section>'
    )

    page.goto(recorder.url)
    page.wait_for_timeout(LONG_MS)
    page.get_by_role("link", name="loose").click()
    page.wait_for_timeout(300)

    assert {event["item_id"] for event in recorder.stored.values()} == {"MUG-1"}


@pytest.mark.ticket("RS-026")
def test_an_event_stays_stored_until_the_server_answers(
    page: Page, recorder: Recorder, waiting: Callable[[], int]
) -> None:
    recorder.status = 503
    page.goto(recorder.url)
    page.wait_for_timeout(2600)
    assert waiting() == 3
    assert recorder.stored == {}

    recorder.status = 202
    events = recorder.wait_for(3, within_s=12)

    assert len(events) == 3
    page.wait_for_timeout(100)
    assert waiting() == 0


def test_retry_after_is_obeyed(page: Page, recorder: Recorder, waiting: Callable[[], int]) -> None:
    recorder.status, recorder.headers, recorder.deferred = 429, {"Retry-After": "2"}, True

    page.goto(recorder.url)
    page.wait_for_timeout(5200)

    gaps = [later - earlier for earlier, later in zip(recorder.arrivals, recorder.arrivals[1:], strict=False)]
    assert gaps
    assert min(gaps) >= 1.95
    assert waiting() == 3


@pytest.mark.ticket("RS-026")
def test_a_backlog_of_another_page_is_sent_in_beacon_sized_parts_and_only_once(
    page: Page, recorder: Recorder, waiting: Callable[[], int]
) -> None:
    recorder.status = 503
    page.goto(recorder.url)
    page.evaluate("""() => { for (let n = 0; n < 400; n++) localStorage['event:old-' + n] =
        JSON.stringify({ id: 'old-event-' + n, type: 'click', item_id: 'X', text: 'y'.repeat(200) }) }""")
    recorder.status = 202
    page.goto(f"{recorder.url}/other")

    recorder.wait_for(400)
    page.wait_for_timeout(500)

    old = [event["id"] for report in recorder.reports for event in report if event["id"].startswith("old-event")]
    assert sorted(set(old)) == sorted(f"old-event-{n}" for n in range(400))
    assert max(recorder.sizes) <= 64 * 1024
    assert len([n for n in old if old.count(n) > 1]) == 0
    assert waiting() == 0


def test_twenty_events_are_not_kept_waiting(page: Page, recorder: Recorder) -> None:
    recorder.body = widget(*[f"I{n}" for n in range(25)], style="height:20px")

    page.goto(recorder.url)
    page.wait_for_timeout(1000)
    recorder.wait_for(20, within_s=1)

    assert len(recorder.reports[0]) >= 20


@pytest.mark.ticket("RS-017")
def test_without_consent_nothing_leaves_and_the_queue_is_deleted(
    page: Page, recorder: Recorder, waiting: Callable[[], int]
) -> None:
    recorder.status = 503
    page.goto(recorder.url)
    page.wait_for_timeout(1200)
    assert waiting() == 3
    count = len(recorder.reports)
    recorder.consent = "none"

    page.goto(f"{recorder.url}/refused")
    recorder.status = 202
    page.get_by_role("link", name="The A").click()
    page.wait_for_timeout(LONG_MS)

    assert waiting() == 0
    assert len(recorder.reports) <= count + 1  # the first page's farewell
    assert recorder.stored == {}


@pytest.mark.parametrize("broken", ["setItem", "none"])
def test_without_usable_storage_events_still_arrive(page: Page, recorder: Recorder, broken: str) -> None:
    scripts = {
        "setItem": "Storage.prototype.setItem = () => { throw new Error('full') };",
        "none": "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied') } });",
    }
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(scripts[broken])

    page.goto(recorder.url)

    assert len(recorder.wait_for(3)) == 3
    assert errors == []
