"""A real shop, a real browser, and what arrived at Recsys."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from scripts.local_shop import LocalShop, local_shop
from tests.e2e.pages.qa import Qa
from tests.e2e.pages.shop import Visit


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def shop() -> Iterator[LocalShop]:
    with local_shop(seed="small") as running:
        yield running


@pytest.fixture(scope="session")
def base_url(shop: LocalShop) -> str:
    return shop.url


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_type_launch_args,
        "executable_path": os.environ.get("CHROMIUM", "/usr/bin/chromium"),
        "args": ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
    }


@pytest.fixture
def qa(base_url: str) -> Iterator[Qa]:
    qa = Qa(base_url)
    qa.post("events/reset")
    yield qa
    qa.post("recsys", mode="normal", writes="normal")
    qa.post("clock", reset=True)


@pytest.fixture
def visit(page: Page, qa: Qa) -> Visit:
    page.set_default_timeout(10_000)
    return Visit(page, qa)


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any], base_url: str) -> dict[str, Any]:
    return {
        **browser_context_args,
        "base_url": base_url,
        "viewport": {"width": 1280, "height": 1000},
        "reduced_motion": "reduce",
    }
