"""The QA routes of a running shop."""

import time
from collections.abc import Callable
from typing import Any

import requests

PATIENCE_S = 15


class Qa:
    """What arrived, deliver now, travel in time, break the recommender."""

    def __init__(self, url: str) -> None:
        self.url = url

    def arrived(self) -> list[dict[str, Any]]:
        """Deliver everything, then list what Recsys has."""
        self.post("drain")
        return list(self.get("events/good"))

    def logged_impressions(self) -> int:
        """How many impressions the shop has written down."""
        return sum(1 for event in self.get("events/all") if event["type"] == 0 and event["widget"])

    def get(self, path: str) -> Any:
        response = requests.get(f"{self.url}/__qa__/{path}", timeout=30)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, **body: Any) -> Any:
        response = requests.post(f"{self.url}/__qa__/{path}", json=body, timeout=60)
        response.raise_for_status()
        return response.json()

    def wait_until(self, is_true: Callable[[], bool]) -> None:
        """Look again and again until it is true.

        Raises:
            AssertionError: it was not within 15 s.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not is_true():
            assert time.monotonic() < deadline, "the shop did not get there in time"
            time.sleep(0.05)
