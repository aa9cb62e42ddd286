"""A person who uses the whole shop and then asks to be forgotten."""

import json
import random
import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import JSON, String, Text, func, select

from recsys_engine.store.tables import metadata as engine_tables
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import Base, db
from shop_app.orders.models import Order
from shop_app.privacy import retention
from shop_app.privacy.models import Erasure
from shop_app.privacy.registry import ELSEWHERE, HARMLESS, HARMLESS_AT_RECSYS, HOLDINGS, Person
from shop_app.privacy.services import erase, erase_at_recsys, privacy_findings
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.sync.replay import replay
from shop_app.sync.services import Carrier, drain
from shop_app.tracking.models import TrackedEvent
from tests.factories.accounts import PASSWORD, a_member, sign_in
from tests.factories.catalog import a_product
from tests.factories.events import a_browser_event, a_shopper, tell_purchases
from tests.fakes import FakeGateway
from tests.integration.delivery.test_intake import report

CANARY = "canary-7f3a91"
EMAIL = f"{CANARY}@example.org"
ADDRESS = {
    "full_name": f"{CANARY} Person", "line1": f"1 {CANARY} Lane", "line2": "", "city": f"{CANARY}ville",
    "postcode": "YO1 7HH", "country": "GB",
}  # fmt: skip
SOUNDS_PERSONAL = re.compile(
    r"(?:^|_)(?:key|user|email|name|address|line1|line2|city|postcode|token|session|actor|by|unit|phone|checkout)(?:_|$|id)|_id_hash"
)
NOT_A_PERSON = {"lease_token", "text_hash", "chain_hash", "provider_ref", "session_epoch"}


def columns() -> list[tuple[str, str]]:
    return [
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, String | Text | JSON) or column.name == "user_id"
    ]


@pytest.mark.ticket("RS-018")
def test_every_column_that_can_name_a_person_is_in_the_registry() -> None:
    known = {(holding.name, column) for holding in HOLDINGS for column in holding.columns}
    missing = [
        f"{table}.{column}"
        for table, column in columns()
        if SOUNDS_PERSONAL.search(column)
        and column not in NOT_A_PERSON
        and (table, column) not in known
        and f"{table}.{column}" not in HARMLESS
    ]

    assert missing == []
    for holding in HOLDINGS:
        assert set(holding.columns) <= set(holding.model.__table__.columns.keys())
    existing = {f"{table.name}.{column.name}" for table in Base.metadata.sorted_tables for column in table.columns}
    assert set(HARMLESS) <= existing


AT_RECSYS = {"user_id", "user_hash", "traits", "meta", "body", "key", "payload", "bucket_key", "author"}


@pytest.mark.ticket("RS-018")
def test_every_column_of_the_engine_that_can_name_a_person_is_in_the_registry() -> None:
    held = {name for elsewhere in ELSEWHERE for name in elsewhere.names if name.startswith("engine_")}
    columns = {f"{table.name}.{column.name}" for table in engine_tables.sorted_tables for column in table.columns}

    assert {name for name in columns if name.partition(".")[2] in AT_RECSYS} - held - set(HARMLESS_AT_RECSYS) == set()
    assert (held | set(HARMLESS_AT_RECSYS)) - columns == set()


@pytest.fixture
def carrier(app: Flask, clock: FixedClock) -> Carrier:
    app.extensions["recsys"].inner = FakeGateway()
    return Carrier(app.extensions["recsys"].inner, clock, random.Random(1))  # type: ignore[arg-type]


@pytest.fixture
def canary(app: Flask, client: FlaskClient, clock: FixedClock, carrier: Carrier) -> str:
    """The key of a member who looked, wished, bought, and whose events have arrived."""
    with app.app_context(), unit_of_work(db.session):
        a_product("MUG-1", stock=9)
    client.post("/consent", data={"choice": "all"})
    report(client, a_browser_event(text=CANARY))
    _, key = a_member(app, EMAIL, name=f"{CANARY} Person", now=clock.now())
    sign_in(client, EMAIL)
    report(client, a_browser_event(type="click", kind="", text=CANARY))
    client.post("/wishlist", data={"sku": "MUG-1"})
    client.post("/cart/lines", data={"sku": "MUG-1"})
    page = client.get("/checkout").text
    hidden = dict(re.findall(r'type="hidden" name="(key|fingerprint)" value="([^"]+)"', page))
    placed = client.post(
        "/checkout", data={**hidden, **ADDRESS, "email": EMAIL, "delivery": "collect", "method": "card_ok"}
    )
    assert placed.status_code == 303
    with app.app_context(), unit_of_work(db.session):
        tell_purchases(2, clock.now(), "order:other")  # somebody else
    with app.app_context():
        drain(carrier)
    return key


def traces(app: Flask, *words: str) -> list[str]:
    """Where any of `words` still stands, in any column of any table."""
    found = []
    with app.app_context():
        for table in Base.metadata.sorted_tables:
            for row in db.session.execute(select(table)).mappings():
                text = json.dumps(dict(row), default=str)
                found += [f"{table.name}: {word}" for word in words if word in text]
    return found


@pytest.mark.ticket("RS-018")
def test_erasing_leaves_no_trace_here_or_there_and_the_order_without_a_person(
    app: Flask, client: FlaskClient, clock: FixedClock, carrier: Carrier, canary: str
) -> None:
    gateway: FakeGateway = carrier.gateway  # type: ignore[assignment]
    with client.session_transaction() as cookie:
        keys = {canary, cookie.get("anonymous", canary)}
    assert traces(app, CANARY)
    assert any(event.user_id in keys for event in gateway.events.values())

    answer = client.post("/account/data/erasure", data={"password": PASSWORD})

    assert answer.status_code == 303
    with app.app_context(), unit_of_work(db.session):
        erase_at_recsys(gateway, clock.now())  # type: ignore[arg-type]
    clock.advance(timedelta(minutes=3))
    with app.app_context(), unit_of_work(db.session):
        erase_at_recsys(gateway, clock.now())  # type: ignore[arg-type]
    assert traces(app, CANARY, *keys) == []
    assert gateway.forgotten.count(canary) == 2
    assert {event.user_id for event in gateway.events.values()} == {"a_one"}
    with app.app_context():
        order = db.session.scalars(select(Order)).one()
        assert (order.email, order.address, order.user_id, order.total_minor) == ("erased", {}, None, 1250)
        assert db.session.scalars(select(Erasure)).one().done_at == clock.now()


@pytest.mark.ticket("RS-018")
def test_old_queues_and_replays_do_not_bring_the_person_back(
    app: Flask, client: FlaskClient, clock: FixedClock, carrier: Carrier, canary: str
) -> None:
    gateway: FakeGateway = carrier.gateway  # type: ignore[assignment]
    client.post("/account/data/erasure", data={"password": PASSWORD})
    gateway.events.clear()

    with app.app_context():
        with unit_of_work(db.session):
            tell = a_shopper(key=canary)
            db.session.add(TrackedEvent(
                source_event_id="late", type=0, shopper_key=tell.key, item_id="MUG-1", occurred_at=clock.now(),
                received_at=clock.now(), next_attempt_at=clock.now(),
            ))  # fmt: skip
        drain(carrier)
        replay(carrier, sleep=lambda _: None)

        assert {event.user_id for event in gateway.events.values()} == {"a_one"}
        assert db.session.scalar(select(func.count()).where(TrackedEvent.shopper_key == canary)) == 0


@pytest.mark.ticket("RS-018")
@pytest.mark.usefixtures("canary")
def test_a_wrong_password_neither_exports_nor_erases(app: Flask, client: FlaskClient) -> None:
    for action in ("export", "erasure"):
        assert client.post(f"/account/data/{action}", data={"password": "wrong"}).status_code == 400
    assert traces(app, CANARY)


@pytest.mark.ticket("RS-018")
def test_the_export_holds_everything_and_no_secret(client: FlaskClient, canary: str) -> None:
    answer = client.post("/account/data/export", data={"password": PASSWORD})

    held = answer.json
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    assert {name for name, held_rows in held.items() if held_rows} >= {
        "user", "order", "tracked_event", "consent_record", "wishlist_item", "payment_attempt", "identity_merge",
    }  # fmt: skip
    assert held["user"][0]["key"] == canary
    assert held["at_recsys"]["users"][0]["user_id"] == canary
    assert {event["source_event_id"] for event in held["at_recsys"]["events"]} == {
        row["source_event_id"] for row in held["tracked_event"]
    }
    assert held["order"][0]["address"]["city"] == f"{CANARY}ville"
    assert not re.search(r"password_hash|totp|token_hash|access_token", answer.text)


@pytest.mark.ticket("RS-018")
@pytest.mark.usefixtures("canary")
def test_an_export_says_when_recsys_did_not_answer(client: FlaskClient, carrier: Carrier) -> None:
    carrier.gateway.trouble = RecsysUnavailable("gone")  # type: ignore[attr-defined]  # the fake

    held = client.post("/account/data/export", data={"password": PASSWORD}).json

    assert "did not answer" in held["at_recsys"]
    assert held["user"]


def test_while_recsys_is_away_the_erasure_waits(
    app: Flask, client: FlaskClient, clock: FixedClock, canary: str
) -> None:
    client.post("/account/data/erasure", data={"password": PASSWORD})
    away = FakeGateway(trouble=RecsysUnavailable("gone"))

    with app.app_context():
        with unit_of_work(db.session):
            assert erase_at_recsys(away, clock.now()) == 0  # type: ignore[arg-type]
        waiting = db.session.scalars(select(Erasure)).one()
        assert canary in waiting.keys
        assert (waiting.rounds_left, waiting.last_error, waiting.due_at) == (
            2,
            "gone",
            clock.now() + timedelta(minutes=1),
        )


@pytest.mark.ticket("RS-018")
@pytest.mark.usefixtures("carrier")
def test_support_erases_a_guest_by_the_number_of_an_order(app: Flask, client: FlaskClient) -> None:
    with app.app_context(), unit_of_work(db.session):
        a_product("MUG-1", stock=9)
    client.post("/cart/lines", data={"sku": "MUG-1"})
    hidden = dict(re.findall(r'type="hidden" name="(key|fingerprint)" value="([^"]+)"', client.get("/checkout").text))
    client.post("/checkout", data={**hidden, **ADDRESS, "email": EMAIL, "delivery": "collect", "method": "card_ok"})
    with app.app_context():
        number = db.session.scalars(select(Order.number)).one()
    assert traces(app, CANARY)

    runner = app.test_cli_runner()
    done, again, unknown = (runner.invoke(args=["forget-order", one]) for one in (number.lower(), number, "RS-NONE"))

    assert done.output.startswith("Erased: ")
    assert traces(app, CANARY) == []
    assert (again.exit_code, unknown.exit_code) == (1, 1)
    with app.app_context():
        assert db.session.scalars(select(Order)).one().total_minor == 1250


@pytest.mark.ticket("RS-018")
@pytest.mark.ticket("RS-073")
def test_what_is_not_obeyed_in_time_is_an_alert(app: Flask, clock: FixedClock, canary: str) -> None:
    with app.app_context():
        with unit_of_work(db.session):
            erase(Person(("a_somebody",), None), clock.now())
        clock.advance(timedelta(minutes=14))
        assert privacy_findings(clock.now()) == []
        clock.advance(timedelta(minutes=2))
        assert [(one.subject, one.details) for one in privacy_findings(clock.now())] == [("erasures", {"waiting": 1})]
        clock.advance(timedelta(days=410))
        kept = {one.subject: one.details for one in privacy_findings(clock.now())}["retention"]

    assert kept["browsing events"] > 0
    assert canary


@pytest.mark.ticket("RS-073")
@pytest.mark.usefixtures("canary")
def test_what_is_older_than_its_window_goes_and_orders_stay(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        assert sum(retention.overdue(clock.now()).values()) == 0
        clock.advance(timedelta(days=401))
        late = retention.overdue(clock.now())
        with unit_of_work(db.session):
            gone = retention.apply(clock.now())

        assert gone == late
        assert gone["browsing events"] > 0
        assert sum(retention.overdue(clock.now()).values()) == 0
        assert db.session.scalar(select(func.count()).select_from(Order)) == 1
        kinds = set(db.session.scalars(select(TrackedEvent.type)))
        assert kinds == {3, 4}


def test_the_registry_is_told_in_the_docs() -> None:
    page = Path("docs/privacy.md").read_text(encoding="utf-8")

    assert [holding.name for holding in HOLDINGS if f"`{holding.name}`" not in page] == []
    assert [one.place for one in ELSEWHERE if one.place not in page] == []
    windows = {f"{window.name} {window.keep.days} days" for window in retention.windows()}
    assert {line for line in windows if line not in page} == set()
