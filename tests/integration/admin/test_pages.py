"""Every page answers: on an empty shop with words that teach, and on a full one with the right rows."""

import re

import pytest
from flask import Flask

from shop_app.analytics.services import credit_order_lines
from shop_app.core.clock import FixedClock
from shop_app.core.events import EventKind
from shop_app.extensions import db
from tests.factories.analytics import an_event, an_order, random_days
from tests.factories.catalog import a_product
from tests.integration.admin.conftest import SignIn

PAGES = (
    "/admin/", "/admin/funnel", "/admin/funnel?by=rank", "/admin/funnel?by=device&slot=home.top_picks", "/admin/attribution",
    "/admin/products", "/admin/orders", "/admin/members", "/admin/events", "/admin/slots", "/admin/slots/home.top_picks",
    "/admin/event-types", "/admin/rules", "/admin/delivery", "/admin/delivery/bounds", "/admin/dead-letters", "/admin/audit", "/admin/alerts", "/admin/service-levels", "/admin/costs", "/admin/differences",
    "/admin/preview", "/admin/experiments", "/admin/experiments/new",
)  # fmt: skip


@pytest.mark.parametrize("visits", [0, 60], ids=["empty shop", "full shop"])
def test_every_page_answers_with_one_heading_and_no_inline_style(
    app: Flask, clock: FixedClock, sign_in: SignIn, visits: int
) -> None:
    if visits:
        with app.app_context():
            random_days(clock.now(), [a_product(f"P-{n}") for n in range(6)], days=20, visits=visits, seed=1)
            db.session.commit()
    browser = sign_in("owner")

    for address in PAGES:
        response = browser.get(address)

        assert response.status_code == 200, address
        assert len(re.findall(r"<h1[ >]", response.text)) == 1, address
        assert " style=" not in response.text, address
        assert "<script>" not in response.text, address


@pytest.mark.ticket("RS-048")
def test_an_answer_is_followed_from_the_card_to_the_order_line_and_its_delivery(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    with app.app_context():
        product = a_product("MUG-1")
        place = {"surface": "home", "widget": "top_picks", "rank": 3, "request_id": "r_followed", "recommended": True}
        an_event(EventKind.VIEW, clock.now(), **place)
        an_event(EventKind.CLICK, clock.now(), **place)
        order = an_order(clock.now(), [product])
        for name, value in {**place, "clicked_at": clock.now()}.items():
            setattr(order.lines[0], name, value)
        db.session.commit()
        number = order.number
    browser = sign_in("owner")

    trail = browser.get("/admin/answers/r_followed").text
    detail = browser.get(f"/admin/orders/{number}").text

    assert trail.index("seen") < trail.index("clicked") < trail.index(f"order {number}, line 1")
    assert "/admin/answers/r_followed" in detail
    assert "home.top_picks" in detail
    assert detail.count(">sent<") == 1


@pytest.mark.ticket("RS-046")
def test_the_overview_counts_events_by_type_without_bots_and_qa(app: Flask, clock: FixedClock, sign_in: SignIn) -> None:
    with app.app_context():
        for _ in range(3):
            an_event(EventKind.CLICK, clock.now())
        an_event(EventKind.CLICK, clock.now(), is_bot=True)
        an_event(EventKind.CLICK, clock.now(), is_qa=True)
        db.session.commit()

    page = sign_in("viewer").get("/admin/").text

    figures = dict(re.findall(r'events\?type=(\d)">([\d,]+)</a>', page))
    assert figures == {"0": "0", "1": "3", "2": "0", "3": "0", "4": "0"}
    assert ">Clicks<" in page


def test_looking_at_a_person_is_written_down_and_a_viewer_may_not(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    with app.app_context():
        number = an_order(clock.now(), [a_product()]).number
        db.session.commit()
    support, viewer = sign_in("support"), sign_in("viewer")

    assert viewer.get(f"/admin/orders/{number}").status_code == 403
    assert support.get(f"/admin/orders/{number}").status_code == 200
    trail = sign_in("owner").get("/admin/audit").text
    assert trail.count("<td>orders.opened</td>") == 1
    assert "The chain of hashes is whole" in trail


def test_the_funnel_comes_as_a_file_no_spreadsheet_runs(app: Flask, clock: FixedClock, sign_in: SignIn) -> None:
    with app.app_context():
        an_event(EventKind.VIEW, clock.now(), surface="=cmd()", widget="x", rank=1)
        db.session.commit()

    response = sign_in("analyst").get("/admin/funnel.csv?by=surface")

    assert response.mimetype == "text/csv"
    assert '"\'=cmd()"' in response.text
    assert response.text.count("\r\n") == 2


@pytest.mark.parametrize(
    ("slot", "seen"), [("", 6), ("home", 5), ("home.picks", 2), ("home.trending", 3), ("cart.picks", 1)]
)
def test_the_sums_of_the_funnel_page_are_those_of_the_place_asked_for(
    app: Flask, clock: FixedClock, sign_in: SignIn, slot: str, seen: int
) -> None:
    with app.app_context():
        for surface, widget, times in (("home", "picks", 2), ("home", "trending", 3), ("cart", "picks", 1)):
            for _ in range(times):
                an_event(EventKind.VIEW, clock.now(), surface=surface, widget=widget, rank=1)
        db.session.commit()

    browser = sign_in("analyst")
    pages = [browser.get(f"/admin/funnel?by={by}&slot={slot}").text for by in ("slot", "rank")]

    shown = [re.search(r'Impressions</span><span class="funnel-number">(\d+)<', page)[1] for page in pages]
    assert shown == [str(seen)] * 2


def test_credits_show_on_the_attribution_page_and_the_proof_holds(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    with app.app_context():
        an_order(clock.now(), [a_product("A-1"), a_product("A-2")])
        db.session.commit()
        clock.at = clock.at.replace(hour=11)
        assert credit_order_lines(clock.now()) == 2
        db.session.commit()

    assert "The proof holds." in sign_in("viewer").get("/admin/attribution").text


def test_differences_of_the_proof_are_a_file_no_spreadsheet_calculates(
    app: Flask, clock: FixedClock, sign_in: SignIn
) -> None:
    with app.app_context():
        an_event(EventKind.PURCHASE, clock.now(), item_id="X-1", order_number="=1+1")
        db.session.commit()
    browser = sign_in("viewer")

    table = browser.get("/admin/attribution.csv").text.splitlines()

    assert len(table) == 2
    assert "=1+1" in table[1]
    assert not table[1].lstrip('"').startswith("=")
    assert "/admin/attribution.csv?from=" in browser.get("/admin/attribution").text
