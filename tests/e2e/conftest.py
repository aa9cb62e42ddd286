"""A real shop, a real browser, and what arrived at Recsys."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from scripts.local_shop import LocalShop, local_shop


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


class Qa:
    """The QA routes: what arrived, deliver now, travel in time, break the recommender."""

    def __init__(self, url: str) -> None:
        self.url = url

    def arrived(self) -> list[dict[str, Any]]:
        """Deliver everything, then list what Recsys has."""
        self.post("drain")
        return self.get("events/good")

    def get(self, path: str) -> Any:
        response = requests.get(f"{self.url}/__qa__/{path}", timeout=30)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, **body: Any) -> Any:
        response = requests.post(f"{self.url}/__qa__/{path}", json=body, timeout=60)
        response.raise_for_status()
        return response.json()


@pytest.fixture
def qa(base_url: str) -> Iterator[Qa]:
    qa = Qa(base_url)
    qa.post("events/reset")
    yield qa
    qa.post("recsys", mode="normal")
