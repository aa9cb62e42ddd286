"""Somebody who said no, or whose browser says it for them, walks through the whole shop: nothing they send names them.

Two people walk the same way. Whatever one of them sent more than once and the other never sent tells them apart; besides
what they typed and what an order needs, there must be nothing of the kind.
"""

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from scripts.local_shop import LocalShop
from scripts.tour import FILLED, find_examples
from tests.e2e.pages.har import Har, session_of
from tests.e2e.pages.qa import Qa
from tests.e2e.pages.shop import ADD, CUSTOM, PURCHASE, fill_address, put_in_basket

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_MS = 30_000
ESSENTIAL = frozenset({"csrf_token", "consent", "_permanent", "_fresh", "_flashes"})
"""In the session cookie of everybody: the token that guards forms, the choice itself, what the next page should say."""
FOR_A_BASKET = frozenset({"anonymous", "orders"})
"""From the first thing put aside: which basket and which orders are this browser's. It ends with the browser."""
FOR_A_SIGN_IN = frozenset({"member_session", "_user_id", "_id"})
NEEDED = re.compile(
    r"form (csrf_token|key|fingerprint|email|password|name|full_name|line1|city|postcode)"  # typed, or guards a form
    r"|(address|referer) (path|next|key|order)"  # where the order or the payment stands
    r"|(form|address|referer) via|form request_id"  # which list a card stood in: new for every list
)
"""Fields that may differ between two people: none of them is sent before the person asks for what needs it."""
ORDER_OR_LIST = re.compile(r"RS-\w{4}-\w{4}|[\w.:-]{8,}")


def walk(page: Page, shop: LocalShop, who: str) -> None:
    """Browse, search, steer, keep, buy, become a member, look at everything that is theirs, leave."""
    examples = find_examples(shop)
    page.goto("/")
    if page.get_by_role("button", name="Essential only").count():
        with page.expect_navigation():
            page.get_by_role("button", name="Essential only").click()
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function(FILLED)
    page.goto(examples.department)
    page.goto("/search?q=mug")
    page.goto(examples.plain)
    page.wait_for_function(FILLED)
    page.get_by_role("button", name=re.compile("wishlist", re.IGNORECASE)).first.click()
    expect(page.get_by_text("Added to your wishlist.")).to_be_visible()
    page.goto(examples.plain)
    page.wait_for_function(FILLED)  # everybody's record holds the same requests, however fast the machine
    put_in_basket(page)
    page.wait_for_function(FILLED)
    page.goto("/checkout")
    page.get_by_label("E-mail").fill(f"{who}@example.com")
    fill_address(page)
    page.get_by_label("Test card that pays", exact=True).check()
    page.get_by_role("button", name="Pay and place the order").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Order RS-"))
    become_a_member(page, who)
    for path in (
        "/account",
        "/account/profile",
        "/account/addresses",
        "/account/data",
        "/orders",
        "/wishlist",
        "/cart",
    ):
        page.goto(path)
    page.wait_for_function(FILLED)


def become_a_member(page: Page, who: str) -> None:
    page.goto("/sign-up")
    page.get_by_label("Name").fill(f"{who} Person")
    page.get_by_label("E-mail").fill(f"{who}@example.com")
    page.get_by_label("Password").fill(f"a long walk of {who} at noon")
    with page.expect_navigation():
        page.get_by_role("button", name="Create account").click()


def leave(page: Page) -> None:
    page.goto("/account")
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").first.click()


@pytest.fixture(scope="module")
def walks(browser: Browser, shop: LocalShop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Har]:
    """Ada and Bea said no; Gil's browser sends Sec-GPC."""
    folder, found = tmp_path_factory.mktemp("har"), {}
    Qa(shop.url).post("events/reset")
    for who, headers in (("ada", {}), ("bea", {}), ("gil", {"Sec-GPC": "1"})):
        path: Path = folder / f"{who}.har"
        context: BrowserContext = browser.new_context(
            base_url=shop.url,
            record_har_path=path,
            extra_http_headers=headers,
            viewport={"width": 1280, "height": 1000},
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        walk(page, shop, who)
        assert page.evaluate("() => Object.keys(localStorage)") == []
        assert page.evaluate("() => Object.keys(sessionStorage)") in ([], ["htmx-current-path-for-history"])
        assert page.evaluate("async () => (await indexedDB.databases()).length") == 0
        leave(page)
        context.close()
        found[who] = Har(path)
    return found


@pytest.fixture(scope="module")
def arrived(walks: dict[str, Har], shop: LocalShop) -> list[dict[str, Any]]:
    """What Recsys has heard of the three."""
    assert walks
    return Qa(shop.url).arrived()


@pytest.mark.ticket("RS-017")
@pytest.mark.timeout(400)
def test_no_report_and_no_key_of_a_person_or_visit_is_in_the_record(walks: dict[str, Har], shop: LocalShop) -> None:
    for har in walks.values():
        assert len(har.entries) > 100, "the record is of the whole walk"
        assert {"/", "/cart", "/checkout", "/account", "/consent"} - {"/consent"} <= set(har.paths)
        assert any(path.startswith("/w/") for path in har.paths)
        assert "/t/events" not in har.paths
        assert {f"http://{host}" for host in har.hosts} == {shop.url}
        assert har.own_keys() == []


@pytest.mark.ticket("RS-017")
def test_cookies_hold_the_essential_only_and_the_session_ends_with_the_browser(walks: dict[str, Har]) -> None:
    for who, har in walks.items():
        at_sign_up = signed_in = False
        seen: set[str] = set()
        for name, value, attributes in har.cookies_set():
            if name == "refused":
                assert value == "yes"  # the same for everybody
            elif name == "known_browser":
                at_sign_up = True  # guards the member's account against guessed passwords
            else:
                assert name == "shop"
                held = set(session_of(value)) if value else set()
                signed_in = bool(held & FOR_A_SIGN_IN)
                seen |= held
                assert held <= ESSENTIAL | FOR_A_BASKET | FOR_A_SIGN_IN, (who, held)
                assert signed_in or not re.search("expires|max-age", attributes) or not value, (who, attributes)
        assert at_sign_up
        assert seen >= FOR_A_BASKET | FOR_A_SIGN_IN
        assert not signed_in


@pytest.mark.ticket("RS-017")
def test_before_the_basket_nothing_tells_two_people_apart_but_the_token_of_forms(walks: dict[str, Har]) -> None:
    for who, other in (("ada", "bea"), ("bea", "ada"), ("gil", "ada")):
        alike = walks[other].linking_values()
        apart = {value: fields for value, fields in walks[who].linking_values().items() if value not in alike}
        odd = {value: fields for value, fields in apart.items() if not all(map(NEEDED.fullmatch, fields))}

        assert odd == {}
        typed = {value for value, fields in apart.items() if not any("token" in field for field in fields)}
        assert all(who in value or ORDER_OR_LIST.fullmatch(value) for value in typed), typed


@pytest.mark.ticket("RS-017")
def test_recsys_hears_of_the_order_and_of_nobody(walks: dict[str, Har], arrived: list[dict[str, Any]]) -> None:
    known = {value for har in walks.values() for value in har.cookie_values()}

    assert sorted(event["type"] for event in arrived) == sorted([ADD, PURCHASE, CUSTOM] * len(walks))
    assert all("session_id" not in event["meta"] for event in arrived)
    people = [event["user_id"] for event in arrived]
    assert known.isdisjoint(people)
    assert len(set(people)) == 2 * len(walks)  # a basket's and an order's events carry keys made for them alone
