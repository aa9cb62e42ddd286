"""The two promises of a checkout under fire, on real connections: no piece is sold twice, no form is paid twice."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import func, select

from shop_app.cart.services import add_line
from shop_app.catalog.models import Product, ProductSales, Variant
from shop_app.core.errors import OutOfStock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.orders.checkout import Outcome, pay
from shop_app.orders.models import Order, OrderLine, PaymentAttempt, SandboxPayment
from shop_app.orders.sandbox import SandboxProvider
from shop_app.orders.services import OrderRequest
from shop_app.tracking.models import TrackedEvent
from tests.conftest import NOW
from tests.factories.catalog import a_product
from tests.factories.shoppers import a_shopper, an_order_request

pytestmark = pytest.mark.timeout(400)  # hundreds of transactions on purpose; a busy machine takes its time
SHOPPERS, STOCK, SAME_KEY = 200, 10, 50
THREADS = 25


def requests_for(app: Flask, shoppers: int) -> list[OrderRequest]:
    """So many shoppers, each with one LAST-1 in the basket."""
    people = [a_shopper() for _ in range(shoppers)]
    with app.app_context():
        a_product("LAST-1", stock=STOCK)
        db.session.commit()
        with unit_of_work(db.session):
            for shopper in people:
                add_line(shopper, "LAST-1", 1, None, NOW)
        return [an_order_request(shopper) for shopper in people]


def pay_at_once(app: Flask, requests: list[OrderRequest]) -> list[Outcome]:
    """All of them, from threads that start together, each on a connection of its own."""
    provider, start = SandboxProvider("s"), Barrier(THREADS)

    def one(request: OrderRequest) -> Outcome:
        with app.app_context():
            return pay(request, "card_ok", "/back", provider, NOW)

    def batch(share: list[OrderRequest]) -> list[Outcome]:
        start.wait()
        return [one(request) for request in share]

    with ThreadPoolExecutor(THREADS) as pool:
        done = pool.map(batch, [requests[i::THREADS] for i in range(THREADS)])
        return [outcome for share in done for outcome in share]


@pytest.mark.ticket("RS-023")
def test_two_hundred_checkouts_on_a_stock_of_ten_make_ten_orders(app: Flask) -> None:
    requests = requests_for(app, SHOPPERS)

    outcomes = pay_at_once(app, requests)

    assert Counter(o.status for o in outcomes) == {"placed": STOCK, "refused": SHOPPERS - STOCK}
    assert all(isinstance(o.problem, OutOfStock) for o in outcomes if o.status == "refused")
    with app.app_context():
        assert db.session.scalars(select(func.count(Order.id))).one() == STOCK
        assert db.session.scalars(select(func.count(OrderLine.id))).one() == STOCK
        assert db.session.scalars(select(Variant.stock)).one() == 0
        assert db.session.scalars(select(Product.stock)).one() == 0
        assert db.session.scalars(select(ProductSales.units)).one() == STOCK
        kinds = Counter(db.session.scalars(select(TrackedEvent.type)))
        assert kinds == {2: SHOPPERS, 3: STOCK, 4: STOCK}
        attempts = Counter(db.session.scalars(select(PaymentAttempt.status)))
        assert attempts == {"captured": STOCK, "voided": SHOPPERS - STOCK}
        money = Counter(db.session.scalars(select(SandboxPayment.state)))
        assert money == {"captured": STOCK, "voided": SHOPPERS - STOCK}


@pytest.mark.ticket("RS-026")
def test_fifty_equal_keys_make_one_order(app: Flask) -> None:
    (request,) = requests_for(app, 1)

    outcomes = pay_at_once(app, [request] * SAME_KEY)

    assert len({(o.status, o.number) for o in outcomes}) == 1
    assert outcomes[0].status == "placed"
    with app.app_context():
        assert db.session.scalars(select(func.count(Order.id))).one() == 1
        assert db.session.scalars(select(Variant.stock)).one() == STOCK - 1
        assert Counter(db.session.scalars(select(TrackedEvent.type))) == {2: 1, 3: 1, 4: 1}
        assert db.session.scalars(select(SandboxPayment.state)).all() == ["captured"]
