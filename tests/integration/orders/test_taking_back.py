"""Sending, cancelling and refunding an order: what staff do."""

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.cart.services import add_line
from shop_app.catalog.models import Product, ProductSales, Variant
from shop_app.core.errors import Conflict, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.orders.checkout import cancel, pay, refund
from shop_app.orders.models import Order, SandboxPayment
from shop_app.orders.sandbox import SandboxProvider
from shop_app.orders.services import ship_order
from shop_app.outbox.models import ChangedEntity
from shop_app.sync.payloads import event_payload
from shop_app.tracking.models import TrackedEvent
from tests.conftest import NOW
from tests.factories.catalog import a_product
from tests.factories.shoppers import a_shopper, an_order_request

BANK = SandboxProvider("s")


@pytest.fixture
def number(app: Flask) -> str:
    """A placed order of three mugs out of seven."""
    shopper = a_shopper()
    with app.app_context():
        a_product("MUG-1", stock=7)
        db.session.commit()
        with unit_of_work(db.session):
            add_line(shopper, "MUG-1", 3, None, NOW)
        return pay(an_order_request(shopper), "card_ok", "/back", BANK, NOW).number


def ship(number: str) -> None:
    with unit_of_work(db.session):
        ship_order(number, NOW)


def test_cancelling_gives_stock_and_money_back_and_is_told(app: Flask, number: str) -> None:
    with app.app_context():
        before = db.session.scalars(select(ChangedEntity.version).where(ChangedEntity.kind == "item")).one()

        cancel(number, BANK, NOW)

        assert db.session.scalars(select(Order.status)).one() == "cancelled"
        assert db.session.scalars(select(Variant.stock)).one() == 7
        assert db.session.scalars(select(Product.stock)).one() == 7
        assert db.session.scalars(select(ProductSales.units)).one() == 0
        assert db.session.scalars(select(SandboxPayment.state)).one() == "refunded"
        assert db.session.scalars(select(ChangedEntity.version).where(ChangedEntity.kind == "item")).one() == before + 1
        event = db.session.scalars(select(TrackedEvent).order_by(TrackedEvent.id.desc())).first()
        assert event is not None
        assert (event.type, event.source_event_id, event.item_id) == (4, f"order:{number}:refund", None)
        assert (event.meta["kind"], event.meta["total"]) == ("refund", 3 * 12_50)
        assert not db.session.scalars(
            select(TrackedEvent).where(TrackedEvent.source_event_id.contains(":return:"))
        ).all()
        assert event.shopper_key == db.session.scalars(select(Order.shopper_key)).one()


def test_a_sent_order_is_refunded_and_not_cancelled(app: Flask, number: str) -> None:
    with app.app_context():
        ship(number)

        with pytest.raises(Conflict):
            cancel(number, BANK, NOW)
        refund(number, BANK, NOW)

        assert db.session.scalars(select(Order.status)).one() == "refunded"
        assert db.session.scalars(select(Variant.stock)).one() == 7


@pytest.mark.ticket("RS-058")
def test_goods_that_come_back_are_told_line_by_line_and_what_was_never_sent_is_not(app: Flask, number: str) -> None:
    with app.app_context():
        ship(number)
        refund(number, BANK, NOW)
        told = [event_payload(row) for row in db.session.scalars(select(TrackedEvent).where(TrackedEvent.type == 4))]

    assert [(event.type, event.item_id, event.value) for event in told if event.item_id] == [(11, "MUG-1", 3.0)]
    assert [event.meta["kind"] for event in told if not event.item_id] == ["order", "refund"]


@pytest.mark.parametrize("verb", [cancel, refund])
def test_nothing_is_given_back_twice(app: Flask, number: str, verb: object) -> None:
    with app.app_context():
        cancel(number, BANK, NOW)

        with pytest.raises(Conflict):
            verb(number, BANK, NOW)  # type: ignore[operator]

        assert db.session.scalars(select(Variant.stock)).one() == 7
        assert len([e for e in db.session.scalars(select(TrackedEvent.source_event_id)) if e.endswith(":refund")]) == 1


def test_an_unknown_number_is_not_found(app: Flask) -> None:
    with app.app_context(), pytest.raises(NotFound):
        cancel("RS-XXXX-XXXX", BANK, NOW)
