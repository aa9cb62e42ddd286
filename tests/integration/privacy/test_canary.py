"""A canary: a person with a word of their own in every field, who uses the whole shop and is then erased.

Afterwards no byte of theirs is in the databases, in Redis, in any file of the shop or in its memory, nothing that comes
late brings them back, and everybody else sees the lists of a world in which the canary never was.
"""

import json
import logging
import random
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import make_url, select

from recsys_engine.contract import Context, Overrides, PageQuery, RecommendRequest
from shop_app.accounts.models import IdentityMerge, User
from shop_app.accounts.services import create_user
from shop_app.app import create_app
from shop_app.config import Settings
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.experiments.services import Variant, collect_exposures, plan_experiment, start_experiment
from shop_app.extensions import Base, db
from shop_app.jobs.alarm import connect_queue
from shop_app.jobs.privacy import forget, retain
from shop_app.logs import JsonFormatter
from shop_app.orders.models import Order
from shop_app.privacy.registry import ELSEWHERE, HOLDINGS
from shop_app.recsys.embedded import EmbeddedGateway
from shop_app.sync.replay import replay
from shop_app.sync.services import Carrier, drain
from shop_app.tracking.models import TrackedEvent
from tests.factories.accounts import PASSWORD
from tests.factories.catalog import a_category, a_product
from tests.factories.events import a_browser_event
from tests.factories.experiments import a_plan
from tests.integration.delivery.test_intake import report

SLOTS = ("home.top_picks", "pdp.similar", "cart.also_like", "home.trending")
WORDS: set[str] = set()


def word(field: str) -> str:
    """A word that stands nowhere but in the canary's `field`."""
    made = f"kanari{field}vogel"
    WORDS.add(made)
    return made


EMAIL = f"{word('mail')}@{word('host')}.example"
AGENT = {"User-Agent": f"Mozilla/5.0 (X11; Linux) {word('agent')} Firefox/130.0"}
ADDRESS = {
    "full_name": word("fullname"), "line1": f"1 {word('street')}", "line2": word("floor"), "city": word("city"),
    "postcode": "YO1 7HH", "country": "GB",
}  # fmt: skip


@pytest.fixture
def database_url(empty_database_url: str) -> str:
    """A database of this test's own: the engine's tables stand in it too, and a dump must hold nothing else."""
    return empty_database_url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Rate limits write to Redis; with PostgreSQL both databases are there."""
    is_pg = settings.database_url.startswith("postgresql")
    return replace(
        settings, rate_limits=True, recsys_database_url=settings.database_url if is_pg else settings.recsys_database_url
    )


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    """Redis as `make run` starts it: every command on disk."""
    connection = Redis.from_url(settings.redis_url)
    connection.flushdb()  # other tests' counts of requests are not this shop's
    connection.config_set("rdbcompression", "no")
    connection.config_set("appendonly", "yes")
    yield connection
    connection.config_set("appendonly", "no")
    connection.flushdb()
    connection.close()


@pytest.fixture
def app(settings: Settings, clock: FixedClock, redis: Redis, tmp_path: Path) -> Iterator[Flask]:
    """The shop with its own engine, a dozen products, and a log file that takes everything."""
    assert redis.ping()
    app = create_app(settings, clock=clock)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    handler = logging.FileHandler(tmp_path / "web.log")
    handler.setFormatter(JsonFormatter())
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with app.app_context():
        db.create_all()
        with unit_of_work(db.session):
            for n in range(12):
                a_product(f"P-{n}", stock=500, price=1000 + n, category=a_category(f"room{n % 3}"))
            create_user("help@shop.example", PASSWORD, "Support", "owner", now=clock.now())
    yield app
    root.removeHandler(handler)
    root.setLevel(before)
    handler.close()
    app.extensions["recsys"].inner.close()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def shop_around(client: FlaskClient, numbers: range, text: str) -> None:
    """Look at pages and lists, and report what was seen and clicked."""
    for n in numbers:
        client.get(f"/products/p-{n}")
        client.get(f"/w/pdp.similar?item=P-{n}")
        client.get(f"/search?q={text}", headers={"Referer": f"http://localhost/search?q={text}"})
        report(
            client,
            a_browser_event(item_id=f"P-{n}", surface="pdp", widget=None, rank=None, kind="", type="view",
                            request_id="", recommended=False, referrer=f"https://{text}.example/{text}?q={text}"),
            a_browser_event(item_id=f"P-{n}", kind="", type="click", text=text, href=f"/products/{text}"),
            a_browser_event(item_id=f"P-{n}", surface="home", experiment="more-cards", ab_bucket="twelve"),
        )  # fmt: skip


def buy(client: FlaskClient, email: str, address: dict[str, str], *skus: str, method: str = "card_ok") -> None:
    for sku in skus:
        assert client.post("/cart/lines", data={"sku": sku}).status_code == 303
    page = client.get("/checkout").text
    hidden = dict(re.findall(r'type="hidden" name="(key|fingerprint)" value="([^"]+)"', page))
    form = {**hidden, **address, "email": email, "delivery": "standard", "method": method, "save_address": "on"}
    client.post("/checkout", data=form)


def agree_and_join(client: FlaskClient, email: str, name: str) -> None:
    client.post("/consent", data={"choice": "all"})
    answer = client.post("/sign-up", data={"email": email, "password": PASSWORD, "name": name})
    assert answer.status_code == 303, answer.text


def live_a_life(app: Flask, client: FlaskClient) -> None:
    """The canary's: two browsers, an account, a failed payment, an order, wishes, an export."""
    phone = app.test_client()
    for browser in (client, phone):
        for name, value in AGENT.items():
            browser.environ_base[f"HTTP_{name.upper().replace('-', '_')}"] = value
    phone.post("/consent", data={"choice": "all"})
    shop_around(phone, range(2, 5), word("text"))
    phone.post("/cart/lines", data={"sku": "P-3"})
    client.post("/consent", data={"choice": "all"})
    shop_around(client, range(4), word("query"))
    agree_and_join(client, EMAIL, word("name"))
    assert phone.post("/sign-in", data={"email": EMAIL, "password": PASSWORD}).status_code == 303
    client.post("/account/profile", data={"name": word("newname"), "country": "GB", "categories": "room1"})
    client.post("/account/addresses", data=ADDRESS)
    client.post("/wishlist", data={"sku": "P-5"})
    shop_around(client, range(6, 8), word("more"))
    buy(client, EMAIL, ADDRESS, "P-1", method="card_declined")
    buy(client, EMAIL, ADDRESS, "P-2")
    export = client.post("/account/data/export", data={"password": PASSWORD}).text
    assert {w for w in WORDS if w in export} >= {word("street"), word("newname"), word("text"), word("query")}


def be_looked_at(app: Flask, clock: FixedClock, user_id: int) -> None:
    """Support opens every page that shows the canary."""
    staff = app.test_client()
    with app.app_context():
        login = db.session.scalars(select(User).where(User.role == "owner")).one().get_id()
        number = db.session.scalars(select(Order.number).where(Order.email == EMAIL)).one()
    with staff.session_transaction() as session:
        session.update(_user_id=login, _fresh=True, confirmed_at=clock.now().timestamp())
    for path in (f"/admin/members?q={EMAIL}", f"/admin/members/{user_id}", f"/admin/orders?q={EMAIL}",
                 f"/admin/orders/{number}", "/admin/events"):  # fmt: skip
        answer = staff.get(path)
        assert answer.status_code == 200, path
    assert EMAIL in staff.get(f"/admin/members/{user_id}").text


def work(app: Flask, clock: FixedClock, redis: Redis) -> None:
    """The worker: what the queue asks for, then everything that waits."""
    with app.app_context():
        queue = connect_queue(app.extensions["settings"].redis_url)
        SimpleWorker([queue], connection=redis, serializer=JSONSerializer).work(burst=True, logging_level="WARNING")
        for _ in range(3):
            drain(Carrier(app.extensions["recsys"], clock, random.Random(1)))
        with unit_of_work(db.session):
            collect_exposures()


def forget_twice(app: Flask, clock: FixedClock, redis: Redis) -> None:
    with app.app_context():
        for _ in range(2):
            assert forget()["erasures"] == 1
            clock.advance(timedelta(minutes=3))
        while (
            redis.info("persistence")["aof_rewrite_in_progress"] or redis.info("persistence")["aof_rewrite_scheduled"]
        ):
            time.sleep(0.01)


def at_rest(app: Flask, redis: Redis, tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """Every byte the shop keeps, by where it lies."""
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(tmp_path)), path.read_bytes()
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"])
    if url.get_backend_name() == "postgresql":
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        yield "pg_dump", subprocess.run(["pg_dump", plain], check=True, capture_output=True).stdout
    redis.save()
    folder = Path(redis.config_get("dir")["dir"])
    files = [folder / "dump.rdb", *folder.glob("appendonlydir/*")]
    assert len(files) >= 2
    for path in files:
        yield f"redis {path.name}", path.read_bytes()
    for key in redis.scan_iter():
        yield f"redis key {key!r}", key + (redis.dump(key) or b"")


def traces(app: Flask, redis: Redis, tmp_path: Path, words: set[str]) -> set[tuple[str, str]]:
    """Which of `words` stands where, however it is spelled."""
    return {
        (place, one)
        for place, content in at_rest(app, redis, tmp_path)
        for one in words
        if one.encode() in content or one.encode().upper() in content.upper()
    }


def columns_with(app: Flask, words: set[str]) -> set[str]:
    """`table.column` of the shop wherever one of `words` stands."""
    with app.app_context():
        return {
            f"{table.name}.{name}"
            for table in Base.metadata.sorted_tables
            for row in db.session.execute(select(table)).mappings()
            for name, value in row.items()
            if any(one in json.dumps(value, default=str) for one in words)
        }


def lists(gateway: EmbeddedGateway, people: list[str | None]) -> dict[tuple[str | None, str], list[Any]]:
    found = {}
    for person in people:
        for slot in SLOTS:
            asked = RecommendRequest(person, 8, Context(slot, "P-1"), overrides=Overrides(exploration_rate=0.0))
            answer = gateway.recommend(asked)
            found[person, slot] = [(item.item_id, round(item.score, 9)) for item in answer.items]
    return found


def world_without(app: Flask, clock: FixedClock, tmp_path: Path) -> EmbeddedGateway:
    """A fresh engine that only ever heard what the others did, in the order they did it."""
    real: EmbeddedGateway = app.extensions["recsys"].inner
    fresh = EmbeddedGateway(f"sqlite:///{tmp_path}/without.sqlite3", "other", "default", clock.now)
    fresh.upsert_items([stored.item for stored in real.list_items(PageQuery(limit=200)).rows])
    fresh.upsert_users([stored.user for stored in real.list_users(PageQuery(limit=200)).rows])
    events = real.list_events(PageQuery(limit=500))
    assert not events.has_more
    fresh.send_events(list(reversed(events.rows)))
    return fresh


@pytest.mark.ticket("RS-018")
@pytest.mark.timeout(120)
def test_an_erased_person_leaves_no_byte_and_no_mark_on_anybodys_lists(
    app: Flask, client: FlaskClient, clock: FixedClock, redis: Redis, tmp_path: Path
) -> None:
    with app.app_context(), unit_of_work(db.session):
        plan = a_plan(slot="home.trending", variants=(Variant("control", 0.5), Variant("twelve", 0.5, {"k": 12})))
        plan_experiment(plan, actor="ana", now=clock.now())
        db.session.flush()
        start_experiment("more-cards", actor="ana", now=clock.now())
    other = {
        "full_name": "Bob Stone",
        "line1": "2 Low Lane",
        "line2": "",
        "city": "York",
        "postcode": "YO1 7HH",
        "country": "GB",
    }
    bob, cat = app.test_client(), app.test_client()
    agree_and_join(bob, "bob@stone.example", "Bob")
    shop_around(bob, range(5), "boulder")
    live_a_life(app, client)
    work(app, clock, redis)
    clock.advance(timedelta(minutes=1))
    agree_and_join(cat, "cat@stone.example", "Cat")
    shop_around(cat, range(3, 9), "pebble")
    buy(cat, "cat@stone.example", other, "P-2", "P-4")
    work(app, clock, redis)
    with app.app_context():
        canary = db.session.scalars(select(User).where(User.email == EMAIL)).one()
        user_id, key = canary.id, canary.key
        others = list(db.session.scalars(select(User.key).where(User.role == "shopper", User.id != user_id)))
    be_looked_at(app, clock, user_id)
    everywhere = WORDS | {key} | merged(app, key)
    registered = [pattern for elsewhere in ELSEWHERE for pattern in elsewhere.names]
    strangers = [key for key in redis.scan_iter() if not any(fnmatch(key.decode(), one) for one in registered)]
    assert strangers == [], "keys of Redis that are in no entry of the registry"
    assert list(redis.scan_iter("LIMIT*"))
    held = {f"{holding.name}.{column}" for holding in HOLDINGS for column in holding.columns}
    assert columns_with(app, everywhere) - held == set(), "columns that hold a person and are in no entry"
    known = {one for _, one in traces(app, redis, tmp_path, everywhere)}
    assert known >= {word("mail"), word("street"), word("text"), word("query"), word("newname"), key}
    with_canary = lists(app.extensions["recsys"].inner, [None, *others])

    assert client.post("/account/data/erasure", data={"password": PASSWORD}).status_code == 303
    forget_twice(app, clock, redis)

    assert traces(app, redis, tmp_path, everywhere) == set()
    bring_back(app, clock, redis, key)
    assert traces(app, redis, tmp_path, everywhere) == set()
    fresh = world_without(app, clock, tmp_path)
    without = lists(fresh, [None, *others])
    assert lists(app.extensions["recsys"].inner, [None, *others]) == without
    assert with_canary != without, "the canary left no mark to begin with"
    fresh.close()


def merged(app: Flask, key: str) -> set[str]:
    """The keys of the browsers that became the canary."""
    with app.app_context():
        found = set(db.session.scalars(select(IdentityMerge.anonymous_key).where(IdentityMerge.member_key == key)))
    assert len(found) == 2
    return found


def bring_back(app: Flask, clock: FixedClock, redis: Redis, key: str) -> None:
    """An old queue's row arrives late, everything is replayed, everybody is sent again; files are tidied as always."""
    with app.app_context():
        with unit_of_work(db.session):
            db.session.add(TrackedEvent(
                source_event_id="late", type=0, shopper_key=key, item_id="P-1", occurred_at=clock.now(),
                received_at=clock.now(), next_attempt_at=clock.now(),
            ))  # fmt: skip
        replay(Carrier(app.extensions["recsys"], clock, random.Random(1)), sleep=lambda _: None)
    work(app, clock, redis)
    with app.app_context():
        retain()
