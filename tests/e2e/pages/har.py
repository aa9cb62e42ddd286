"""Reading a complete record of what a browser sent and got (HAR), for anything that tells one person from another."""

import base64
import json
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

OWN_KEYS = re.compile(r"\b[aus]_[23456789abcdefghjkmnpqrstuvwxyz]{20}\b")
"""Visitors, members and visits, as the shop and Recsys know them."""
SHORTEST = 8
"""A shorter value has too few possibilities to name somebody in a crowd."""


class Har:
    """One person's visit."""

    def __init__(self, path: Path) -> None:
        self.entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["log"]["entries"]

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [urlsplit(entry["request"]["url"]).path for entry in self.entries]

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(entry["request"]["url"]).netloc for entry in self.entries}

    def cookies_set(self) -> list[tuple[str, str, str]]:
        """Name, value and attributes of every cookie the shop set."""
        found = []
        for entry in self.entries:
            for line in _values(entry["response"]["headers"], "set-cookie"):
                for cookie in line.split("\n"):
                    pair, _, attributes = cookie.partition(";")
                    name, _, value = pair.partition("=")
                    found.append((name.strip(), value, attributes.lower()))
        return found

    def cookie_values(self) -> set[str]:
        """Everything the session cookie said at any time."""
        return {
            str(held)
            for name, value, _ in self.cookies_set()
            if name == "shop" and value
            for held in session_of(value).values()
        }

    def own_keys(self) -> list[str]:
        """Keys of people or visits anywhere but in cookies: addresses, headers, forms, pages."""
        return [
            f"{entry['request']['method']} {entry['request']['url']}: {key}"
            for entry in self.entries
            for text in _everything_but_cookies(entry)
            for key in OWN_KEYS.findall(text)
        ]

    def linking_values(self) -> dict[str, set[str]]:
        """Values that were sent in more than one request, with the fields they were sent in."""
        sent: dict[str, set[tuple[int, str]]] = defaultdict(set)
        for number, entry in enumerate(self.entries):
            for field, value in _sent(entry["request"]):
                if len(value) >= SHORTEST:
                    sent[value].add((number, field))
        return {
            value: {field for _, field in places}
            for value, places in sent.items()
            if len({number for number, _ in places}) > 1
        }


def session_of(value: str) -> dict[str, Any]:
    """What the shop's session cookie says. It is signed, not hidden."""
    is_packed = value.startswith(".")
    payload = value.lstrip(".").split(".")[0]
    raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    return dict(json.loads(zlib.decompress(raw) if is_packed else raw))


def _sent(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every value of a request by the field it stands in: address, form, headers."""
    yield from _of_address(request["url"], "address")
    for header in request["headers"]:
        name = header["name"].lower()
        if name == "referer":
            yield from _of_address(header["value"], "referer")
        elif name != "cookie":
            yield f"header {name}", header["value"]
    text = (request.get("postData") or {}).get("text") or ""
    yield from ((f"form {name}", value) for name, value in parse_qsl(text))
    for match in re.finditer(r'name="(\w+)"\r\n\r\n(.*?)\r\n', text):
        yield f"form {match[1]}", match[2]


def _of_address(url: str, kind: str) -> Iterator[tuple[str, str]]:
    parts = urlsplit(url)
    yield from ((f"{kind} path", part) for part in parts.path.split("/"))
    yield from ((f"{kind} {name}", value) for name, value in parse_qsl(parts.query))


def _everything_but_cookies(entry: Mapping[str, Any]) -> Iterator[str]:
    request, response = entry["request"], entry["response"]
    yield request["url"]
    yield (request.get("postData") or {}).get("text") or ""
    yield from (header["value"] for header in request["headers"] if header["name"].lower() != "cookie")
    yield from (header["value"] for header in response["headers"] if header["name"].lower() != "set-cookie")
    if not re.match(r"image|font", response["content"].get("mimeType", "")):
        yield response["content"].get("text") or ""


def _values(headers: list[dict[str, str]], name: str) -> list[str]:
    return [header["value"] for header in headers if header["name"].lower() == name]
