"""axe finds nothing on any page or state, at both widths, in light and in dark; nothing scrolls sideways or breaks."""

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page

from scripts.local_shop import LocalShop
from scripts.tour import TOURS, Tour, find_examples
from tests.e2e.pages.qa import Qa

ONLY_COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
"""All that a colour scheme can change."""


@pytest.mark.timeout(300)
@pytest.mark.ticket("RS-034", "RS-044")
@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("tour", TOURS)
def test_axe_finds_nothing(browser: Browser, shop: LocalShop, qa: Qa, tour: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(30_000)
    page = context.new_page()
    states: list[str] = []
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))

    for state in TOURS[tour](Tour(page, shop, find_examples(shop))):
        states.append(state)
        problems += [f"{state}, light: {line}" for line in _violations(page, {})]
        if page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
            problems.append(f"{state}: scrolls sideways")
        page.emulate_media(color_scheme="dark")
        problems += [f"{state}, dark: {line}" for line in _violations(page, ONLY_COLOURS)]
        page.emulate_media(color_scheme="light")

    context.close()
    assert len(states) >= 7
    assert not problems, "\n".join(problems)


def _violations(page: Page, options: dict[str, Any]) -> list[str]:
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("options => axe.run({resultTypes: ['violations'], ...options})", options)
    return [
        f"{violation['id']} at {node['target']}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
