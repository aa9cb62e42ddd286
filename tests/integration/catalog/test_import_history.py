"""Past events: orders with their own times, purchase events at Recsys, and nothing twice."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from shop_app.accounts.models import User
from shop_app.accounts.passwords import is_correct
from shop_app.catalog.importing.history import read_history
from shop_app.catalog.importing.rows import ProductRow
from shop_app.catalog.models import Product
from shop_app.core.errors import InvalidInput
from shop_app.extensions import db
from shop_app.orders.models import Order, OrderLine
from shop_app.recsys.gateway import RecsysUnavailable
from shop_app.sync import loading
from shop_app.tracking.models import TrackedEvent

CSV = """user,item,basket,ts,type,value,price
c1,A,o1,1259653500,3,2,1.25
c1,B,o1,1259653500,purchase,1,5.00
g77,A,o2,1259740000,3,1,1.20
c1,A,,1259740100,view,1,
c1,NOPE,o3,1259740200,3,1,1
,A,o4,1259740300,3,1,1
c1,A,o5,yesterday,3,1,1
c1,A,o6,1259740400,3,0,1
"""


class Listener:
    """Remembers the events it was sent; `is_away` makes it unreachable."""

    def __init__(self, *, is_away=False):
        self.events = []
        self.is_away = is_away

    def send_events(self, events):
        if self.is_away:
            raise RecsysUnavailable("away")
        self.events += events
        return type("Result", (), {"rejected": ()})


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text(CSV)
    return read_history(path)


@pytest.fixture
def shop(app, clock):
    with app.app_context():
        rows = [ProductRow(sku, f"Thing {sku}", ("Things",), 100, "GBP", 5) for sku in "AB"]
        loading.load_catalogue(rows, clock.now())
        yield app


@pytest.mark.ticket("RS-066")
def test_baskets_become_orders_with_their_own_time(shop, clock, history):
    listener = Listener()

    tally = loading.load_history(history, listener, clock.now())

    assert (tally.orders, tally.events) == (2, 4)
    orders = db.session.scalars(select(Order).order_by(Order.placed_at)).all()
    assert [(o.total_minor, o.is_imported, o.placed_at) for o in orders] == [
        (750, True, datetime.fromtimestamp(1259653500, UTC)),
        (120, True, datetime.fromtimestamp(1259740000, UTC)),
    ]
    assert [(line.item_id, line.quantity, line.unit_price_minor) for line in orders[0].lines] == [
        ("A", 2, 125),
        ("B", 1, 500),
    ]
    assert sorted((e.item_id, e.type, e.value) for e in listener.events) == [
        ("A", 0, 1.0),
        ("A", 3, 1.0),
        ("A", 3, 2.0),
        ("B", 3, 1.0),
    ]
    assert {e.source_event_id for e in listener.events if e.type == 3} == {
        f"order:{o.number}:line:{line.position}" for o in orders for line in o.lines
    }
    assert db.session.scalars(select(TrackedEvent.delivery).distinct()).all() == ["sent"]


def test_a_member_gets_an_account_nobody_can_open_and_a_guest_gets_none(shop, clock, history):
    loading.load_history(history, None, clock.now())

    [member] = db.session.scalars(select(User)).all()
    by_member, by_guest = db.session.scalars(select(Order).order_by(Order.placed_at)).all()
    assert by_member.user_id == member.id
    assert not is_correct(member.password_hash, "!")
    assert "c1" not in member.key + member.email
    assert by_guest.user_id is None
    assert by_guest.shopper_key.startswith("a_h")


def test_bad_rows_are_reported_with_line_and_field(shop, clock, history):
    tally = loading.load_history(history, None, clock.now())

    assert [str(error) for error in tally.errors] == [
        "line 7, user: is missing",
        "line 8, ts: is not a time",
        "line 9, value: must be above 0 and at most a million",
        "line 6, item: there is no product NOPE",
    ]


def test_a_second_import_adds_nothing(shop, clock, history):
    loading.load_history(history, Listener(), clock.now())
    listener = Listener()

    tally = loading.load_history(history, listener, clock.now())

    assert (tally.orders, tally.events, tally.repeated) == (0, 0, 4)
    assert listener.events == []
    assert db.session.scalar(select(func.count(OrderLine.id))) == 3


def test_when_recsys_is_away_the_events_wait_for_the_worker(shop, clock, history):
    tally = loading.load_history(history, Listener(is_away=True), clock.now())

    assert tally.waiting == 4
    assert db.session.scalars(select(TrackedEvent.delivery).distinct()).all() == ["pending"]


def test_a_shifted_history_keeps_its_weekdays_and_ends_lately(shop, clock, history):
    loading.load_history(history, None, clock.now(), is_shifted=True)

    last = db.session.scalar(select(func.max(TrackedEvent.occurred_at)))
    was = datetime.fromtimestamp(1259740100, UTC)
    assert timedelta(0) <= clock.now() - last < timedelta(weeks=1)
    assert (last - was) % timedelta(weeks=1) == timedelta(0)


def test_a_table_without_the_needed_columns_is_refused(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("a,b\n1,2\n")

    with pytest.raises(InvalidInput, match="no column named user"):
        read_history(path)


def test_the_small_scenario_fills_a_shop_once(app, clock):
    with app.app_context():
        products, history = loading.seed("small", Listener(), clock.now())
        again, more = loading.seed("small", Listener(), clock.now() + timedelta(days=1))

        assert products.created == db.session.scalar(select(func.count(Product.id))) >= 50
        assert history.orders > 10
        assert (again.created, again.changed, more.events) == (0, 0, 0)
        shopper = db.session.scalars(select(User).where(User.email == "shopper@example.com")).one()
        assert db.session.scalar(select(func.count(Order.id)).where(Order.user_id == shopper.id)) >= 3


def test_the_edge_scenario_goes_in_whole(app, clock):
    with app.app_context():
        tally, _ = loading.seed("edge", None, clock.now())

        assert (tally.created, tally.errors) == (len(loading.scenario_catalogue("edge")), [])


def test_a_folder_is_told_by_its_names(tmp_path):
    for name in ("items.csv", "events.parquet", "notes.md"):
        (tmp_path / name).touch()

    found = loading.find_data(tmp_path)

    assert found == loading.DataFolder((tmp_path / "items.csv",), tmp_path / "events.parquet")
    with pytest.raises(InvalidInput, match="is not a folder"):
        loading.find_data(tmp_path / "nowhere")
