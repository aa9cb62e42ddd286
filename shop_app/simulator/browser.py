"""A browser as far as the shop can tell: cookies, pages, fragments, forms, and the tracker's beacons."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode, urlsplit

import requests
from werkzeug.test import Client

from shop_app.simulator.pages import Page, read_page

TIMEOUT_S = 30
MOST_REDIRECTS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `location` is a redirect's target as a path."""

    status: int
    text: str
    location: str = ""


class Door(Protocol):
    """One browser's way to the shop; keeps its cookies."""

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request, without following redirects."""


class AppDoor:
    """Straight into the application of this process: no network, the same WSGI path. Each shopper has an address."""

    def __init__(self, client: Client, host: str, address: str) -> None:
        self._client, self._host, self._address = client, host, address

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        response = self._client.open(
            path,
            method=method,
            base_url=self._host,
            headers=dict(headers),
            data=body,
            environ_overrides={"REMOTE_ADDR": self._address},
        )
        answer = Answer(response.status_code, response.get_data(as_text=True), _path(response.headers.get("Location")))
        response.close()
        return answer


class NetDoor:
    """Over the network, to a shop that runs."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        response = self._session.request(
            method, self._url + path, headers=dict(headers), data=body, timeout=TIMEOUT_S, allow_redirects=False
        )
        return Answer(response.status_code, response.text, _path(response.headers.get("Location")))


class Browser:
    """A shopper's browser. `host` is the origin it says its requests come from."""

    def __init__(self, door: Door, host: str, user_agent: str) -> None:
        self._door = door
        self._headers = {"User-Agent": user_agent, "Referer": host + "/"}
        self._posting = self._headers | {"Origin": host, "Sec-Fetch-Site": "same-origin"}

    def page(self, path: str) -> Page:
        """Open a page, following redirects."""
        return read_page(self._follow(self._door.request("GET", path, self._headers, b"")).text)

    def fragment(self, path: str) -> Page:
        """Fetch a list that loads by itself."""
        return read_page(self._door.request("GET", path, self._headers | {"HX-Request": "true"}, b"").text)

    def post(self, path: str, fields: Mapping[str, str]) -> Answer:
        """Send a form; the answer is not followed."""
        headers = self._posting | {"Content-Type": "application/x-www-form-urlencoded"}
        return self._door.request("POST", path, headers, urlencode(fields).encode())

    def beacon(self, sent_ms: int, events: list[dict[str, object]]) -> Answer:
        """Report events as the tracker does."""
        headers = self._posting | {"Content-Type": "text/plain;charset=UTF-8"}
        body = json.dumps({"sent_at": sent_ms, "events": events}, separators=(",", ":"))
        return self._door.request("POST", "/t/events", headers, body.encode())

    def _follow(self, answer: Answer) -> Answer:
        for _ in range(MOST_REDIRECTS):
            if not answer.location:
                break
            answer = self._door.request("GET", answer.location, self._headers, b"")
        return answer


def _path(location: str | None) -> str:
    parts = urlsplit(location or "")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
