"""What people type and what they find."""

from collections.abc import Iterator

import pytest
from flask import Flask

from shop_app.catalog.models import Product
from shop_app.catalog.search import search
from shop_app.catalog.services import ProductDraft, create_product
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db

SHELF = (
    ("TEAPOT", "Brathay Teapot", "Hollin & Wade", "Kitchen", "Pours without a drip. Goes with our mugs."),
    ("MUG", "Arrow Everyday Mug", "Tindale", "Kitchen", "Stoneware."),
    ("LAMP", "Mushroom Table Lamp", "Skarn", "Home", "A warm light for reading, and a mug beside it."),
    ("TENT", "Wenlock Bell Tent", "Bothy", "Camping", "Canvas for six."),
    ("CREME", "Crème Caramel Dish", "Pottle", "Kitchen", "Ovenproof."),
)


@pytest.fixture(autouse=True)
def _shelf(app: Flask, clock: FixedClock) -> Iterator[None]:
    with app.app_context():
        with unit_of_work(db.session):
            for sku, title, brand, category, text in SHELF:
                create_product(
                    ProductDraft(
                        sku=sku, title=title, brand=brand, category=(category,), description=text,
                        price_minor=1000, currency="GBP", stock=3,
                    ),
                    clock.now(),
                )  # fmt: skip
        yield


def found(text: str) -> list[str]:
    relevance = search(text).relevance
    return [db.session.get_one(Product, i).sku for i in sorted(relevance, key=lambda i: -relevance[i])]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mug", ["MUG", "LAMP", "TEAPOT"]),  # title before description
        ("mugs", ["MUG", "LAMP", "TEAPOT"]),
        ("tea", ["TEAPOT"]),  # a beginning
        ("skarn lamp", ["LAMP"]),
        ("hollin wade", ["TEAPOT"]),
        ("CREME", ["CREME"]),
        ("bell tent xyzzy", ["TENT"]),  # most words win when no product has all
        ("", []),
        ("%", []),
        ("the", []),
    ],
)
def test_words_find(text: str, wanted: list[str]) -> None:
    assert found(text) == wanted


@pytest.mark.parametrize(
    ("typed", "meant", "wanted"),
    [
        ("teapto", "teapot", ["TEAPOT"]),  # two letters swapped
        ("wenlok", "wenlock", ["TENT"]),
        ("mushrooom lamp", "mushroom lamp", ["LAMP"]),
        ("stonware", "stoneware", ["MUG"]),
    ],
)
def test_slips_are_forgiven_and_said(typed: str, meant: str, wanted: list[str]) -> None:
    assert found(typed) == wanted
    assert search(typed).corrected == meant


@pytest.mark.parametrize("typed", ["qzx", "xx", "zzzzzzzz"])
def test_nothing_near_finds_nothing(typed: str) -> None:
    assert found(typed) == []
    assert search(typed).corrected == ""
