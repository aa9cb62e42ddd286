"""One shopper, many tabs: baskets under simultaneous writes on real connections."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from flask import Flask
from sqlalchemy import select

from shop_app.cart.models import Cart, CartLine
from shop_app.cart.services import MAX_QUANTITY, add_line
from shop_app.core.errors import OutOfStock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.tracking.models import TrackedEvent
from tests.conftest import NOW
from tests.factories.catalog import a_product
from tests.factories.shoppers import a_shopper

TABS = 25


def test_adds_from_many_tabs_make_one_basket_with_one_line_and_never_pass_the_limit(app: Flask) -> None:
    shopper, start = a_shopper(), Barrier(TABS)
    with app.app_context():
        a_product("MUG-1", stock=500)
        db.session.commit()

    def add(_: int) -> bool:
        with app.app_context():
            start.wait()
            try:
                with unit_of_work(db.session):
                    add_line(shopper, "MUG-1", 1, None, NOW)
            except OutOfStock:
                return False
            return True

    with ThreadPoolExecutor(TABS) as pool:
        added = list(pool.map(add, range(TABS)))

    assert sum(added) == MAX_QUANTITY
    with app.app_context():
        assert len(db.session.scalars(select(Cart)).all()) == 1
        assert db.session.scalars(select(CartLine.quantity)).all() == [MAX_QUANTITY]
        assert len(db.session.scalars(select(TrackedEvent)).all()) == MAX_QUANTITY
