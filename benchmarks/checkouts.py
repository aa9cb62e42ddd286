"""Baskets ready to be paid for: what a checkout needs before the one request that is measured."""

import html
import re
import urllib.parse

import requests

from benchmarks.load import Call

ADDRESS = {
    "full_name": "Ada Byron",
    "line1": "12 St James Square",
    "city": "London",
    "postcode": "SW1Y 4JH",
    "country": "GB",
}
HIDDEN = re.compile(r'type="hidden" name="(key|fingerprint|csrf_token)" value="([^"]+)"')


def checkout_calls(url: str, product_paths: list[str], number: int) -> list[Call]:
    """`number` payments of one-line baskets, each of a visitor of its own with an idempotency key of its own."""
    return [_ready(url, product_paths[n % len(product_paths)]) for n in range(number)]


def _ready(url: str, product_path: str) -> Call:
    with requests.Session() as visitor:
        visitor.post(f"{url}/__qa__/session", json={})
        product = visitor.get(url + product_path).text
        sku = re.findall(r'action="/cart/lines".*?name="sku" value="([^"]+)"', product)[0]
        token = dict(HIDDEN.findall(product))["csrf_token"]
        origin = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
        added = visitor.post(f"{url}/cart/lines", {"sku": sku, "quantity": "1", "csrf_token": token}, headers=origin)
        added.raise_for_status()
        hidden = {name: html.unescape(value) for name, value in HIDDEN.findall(visitor.get(f"{url}/checkout").text)}
        form = {**hidden, **ADDRESS, "email": "ada@example.org", "delivery": "collect", "method": "card_ok"}
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in visitor.cookies)
    headers = (
        ("Cookie", cookies),
        ("Content-Type", "application/x-www-form-urlencoded"),
        *origin.items(),
    )
    return Call("/checkout", "POST", urllib.parse.urlencode(form), headers)
