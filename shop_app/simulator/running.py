"""The two ways into a shop: the application of this process, or one that runs somewhere."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import requests
from werkzeug.test import Client

from shop_app.simulator.browser import TIMEOUT_S, AppDoor, Door, NetDoor

HOST = "http://localhost"
CLOCK, DRAIN = "/__qa__/clock", "/__qa__/drain"


class InProcess:
    """The shop is this process. `clock` is the application's, moved by its offset; `keep` does the workers' part."""

    host = HOST
    has_clock = True

    def __init__(self, wsgi: Any, clock: Any, keep: Callable[[datetime], None]) -> None:
        self._wsgi, self._clock, self.keep_shop = wsgi, clock, keep

    def door(self, number: int) -> Door:
        """A browser's way in, with an address of its own."""
        return AppDoor(Client(self._wsgi), HOST, f"10.{number // 62500 % 250}.{number // 250 % 250}.{number % 250 + 2}")

    def set_clock(self, at: datetime) -> None:
        """Move the shop's time."""
        self._clock.offset = at - datetime.now(UTC)

    def close(self) -> None:
        """Give the shop its own time back."""
        self._clock.offset *= 0


class OverHttp:
    """A running shop. In QA mode its clock door moves time (one web process then); else it keeps its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = f"{parts.scheme}://{parts.netloc}"
        self._doors = requests.Session()
        self.has_clock = self._doors.get(self.host + CLOCK, timeout=TIMEOUT_S).status_code == requests.codes.ok

    def door(self, number: int) -> Door:
        """A browser's way in."""
        del number
        return NetDoor(self.host)

    def set_clock(self, at: datetime) -> None:
        """Move the shop's time, where there is a door for it."""
        self._knock(CLOCK, {"at": at.isoformat()})

    def keep_shop(self, at: datetime) -> None:
        """Deliver what waits; everything else is the shop's own workers' affair."""
        del at
        self._knock(DRAIN, {})

    def close(self) -> None:
        """Give the shop its own time back."""
        self._knock(CLOCK, {"reset": True})

    def _knock(self, path: str, body: dict[str, Any]) -> None:
        if self.has_clock:
            self._doors.post(self.host + path, json=body, timeout=TIMEOUT_S).raise_for_status()
