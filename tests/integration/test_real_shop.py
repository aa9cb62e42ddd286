"""A shop filled from a real shop's files: a click can be followed to the recommender, and what is gone stays away."""

import gzip
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from recsys_engine.contract import PageQuery
from shop_app.cart.models import CartLine
from shop_app.catalog.models import Category, Product, ProductSales
from shop_app.catalog.services import archive_product, set_stock
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.orders.models import Order
from shop_app.sync import loading
from shop_app.tracking.models import TrackedEvent
from tests.factories.shoppers import ADDRESS

ROOT = Path(__file__).parents[2]
DATA = (ROOT / os.environ.get("RECSYS_SHOP_DATA", "../shared/data")) / "online_retail"
LINES = 3000
"""Order lines of the slice: the last days of the real shop."""
PAGES = ("/", "/departments", "/search?q=red", "/w/home.top_picks", "/w/home.trending", "/w/listing.best_sellers")


def _real_slice(folder: Path) -> None:
    events = pyarrow.parquet.read_table(DATA / "events.parquet")
    last = events.slice(events.num_rows - LINES)
    pyarrow.parquet.write_table(last, folder / "events.parquet")
    sold = set(last["item"].to_pylist())
    with gzip.open(DATA / "items.csv.gz", "rt", encoding="utf-8") as file:
        header, *rows = file.readlines()
    (folder / "items.csv").write_text(header + "".join(row for row in rows if row.split(",")[0] in sold))


def _generated_slice(folder: Path) -> None:
    """The same form: titles in capitals, no brand, one level of categories, baskets of members and guests."""
    rows = [
        f"1{n:04d},RED RETROSPOT BAG {n},,{('bag', 'other')[n % 2]},{n % 9}.25,Red retrospot bag {n}\n"
        for n in range(60)
    ]
    (folder / "items.csv").write_text("item,title,brand,category,price,text\n" + "".join(rows))
    lines = ["user,item,basket,ts,type,value,price\n"]
    for basket in range(200):
        who = f"g{basket}" if basket % 4 == 0 else f"c{basket % 30}"
        items = [(basket * 7 + step * (1 + basket % 3)) % 60 for step in range(6)]
        lines += [f"{who},1{n:04d},o{basket},{1_320_000_000 + basket * 3600},3,2,1.25\n" for n in dict.fromkeys(items)]
    (folder / "events.csv").write_text("".join(lines))


@pytest.fixture
def shop(app: Flask, clock: FixedClock, tmp_path: Path) -> Iterator[Flask]:
    """The slice in the shop and at Recsys. Real data when it is there, rows of the same form otherwise."""
    folder = tmp_path / "data"
    folder.mkdir()
    (_real_slice if DATA.is_dir() else _generated_slice)(folder)
    gateway = app.extensions["recsys"]
    with app.app_context():
        products, history = loading.load_folder(folder, "GBP", gateway, clock.now())
        assert (products.errors, history.errors) == ([], [])
        assert history.events > 500
    _carry(app)
    yield app
    gateway.close()


def _carry(app: Flask) -> None:
    app.test_client().post("/__qa__/drain")


def _cards(page: str) -> list[tuple[str, str, str]]:
    """Item, rank and request of every card of a list."""
    request = re.search(r'data-request-id="([^"]+)"', page)
    found = re.findall(r'data-item-id="([^"]+)" data-rank="(\d+)"', page)
    return [(item, rank, request.group(1) if request else "") for item, rank in found]


def _buy(client: FlaskClient) -> str:
    page = client.get("/checkout").text
    hidden = dict(re.findall(r'type="hidden" name="(key|fingerprint)" value="([^"]+)"', page))
    form = {**hidden, "email": "ada@example.org", **ADDRESS, "delivery": "collect", "method": "card_ok"}
    answer = client.post("/checkout", data=form)
    assert answer.status_code == 303
    return re.findall(r"/orders/([^?]+)", answer.location)[0]


@pytest.mark.ticket("RS-025")
def test_a_click_is_followed_from_the_card_to_the_order_line_to_recsys(shop: Flask, client: FlaskClient) -> None:
    with client.session_transaction() as session:
        session["consent"] = [True, True]
    page = client.get("/w/home.trending").text
    assert 'data-widget-state="ready"' in page
    item, rank, request_id = next(card for card in _cards(page) if card[0])
    via = f"home.trending:{rank}:{request_id}"
    assert via.replace(":", "%3A") in page or via in page

    client.post("/cart/lines", data={"sku": item, "via": via})
    with shop.app_context():
        line = db.session.scalars(select(CartLine)).one()
        assert (line.request_id, line.surface, line.widget, line.rank) == (request_id, "home", "trending", int(rank))
    number = _buy(client)
    _carry(shop)

    with shop.app_context():
        order = db.session.scalars(select(Order).where(Order.number == number)).one()
        assert [(one.item_id, one.request_id, one.rank) for one in order.lines] == [(item, request_id, int(rank))]
        told = shop.extensions["recsys"].list_events(PageQuery(user_id=order.shopper_key)).rows
        bought = [event for event in told if event.type == 3]
        assert [event.source_event_id for event in bought] == [f"order:{number}:line:1"]
        assert (bought[0].item_id, bought[0].meta["request_id"], bought[0].meta["rank"]) == (
            item,
            request_id,
            int(rank),
        )
        added = [event for event in told if event.type == 2]
        assert [event.meta["request_id"] for event in added] == [request_id]
        assert db.session.scalar(select(func.count(TrackedEvent.id)).where(TrackedEvent.delivery != "sent")) == 0


@pytest.mark.ticket("RS-044")
def test_what_is_sold_out_or_archived_appears_nowhere(shop: Flask, client: FlaskClient, clock: FixedClock) -> None:
    with shop.app_context():
        best = select(Product.sku).join(ProductSales).group_by(Product.id).order_by(func.sum(ProductSales.units).desc())
        sold_out, archived, partner = db.session.scalars(best.limit(3)).all()
    slots = (f"/w/pdp.similar?item={partner}", f"/w/pdp.bought_together?item={partner}")
    before = "".join(client.get(path).text for path in PAGES)
    with shop.app_context():
        set_stock(sold_out, 0, clock.now())
        archive_product(archived, clock.now())
        db.session.commit()
    _carry(shop)

    after = {path: client.get(path).text for path in (*PAGES, *slots)}

    assert f'data-item-id="{sold_out}"' in before
    assert f'data-item-id="{archived}"' in before
    shown = {path: {card[0] for card in _cards(page)} for path, page in after.items()}
    assert all(not {sold_out, archived} & items for items in shown.values()), shown
    assert all(shown[path] for path in slots)


def test_the_catch_all_department_comes_last_and_no_title_shouts(shop: Flask) -> None:
    with shop.app_context():
        names = db.session.scalars(
            select(Category.path).where(Category.parent_id.is_(None)).order_by(Category.position)
        )
        assert names.all()[-1] == "other"
        products = db.session.scalars(select(Product)).all()
        assert [one.title for one in products if one.title.isupper() and len(one.title) > 4] == []
        assert [one.sku for one in products if one.description == one.title] == []
        assert all(one.price_minor > 0 for one in products)
