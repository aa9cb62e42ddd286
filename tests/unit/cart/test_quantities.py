"""Quantities, fingerprints and the free-delivery hint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_app.cart.forms import parse_quantity
from shop_app.cart.queries import CartView, LineView, fingerprint
from shop_app.core.errors import InvalidInput
from shop_app.core.money import Money


def a_line(**overrides: object) -> LineView:
    price = Money(10_00, "GBP")
    values = {
        "line_id": 1, "sku": "A", "item_id": "A", "slug": "a", "title": "A", "options": "", "picture_url": "/a.svg",
        "quantity": 1, "available": 5, "unit_price": price, "seen_price": price,
    }  # fmt: skip
    return LineView(**{**values, **overrides})  # type: ignore[arg-type]


@given(st.text(max_size=6))
def test_a_quantity_is_read_exactly_or_refused(text: str) -> None:
    try:
        quantity = parse_quantity(text)
    except InvalidInput:
        return
    assert 0 <= quantity <= 999
    assert int(text.strip()) == quantity


@pytest.mark.parametrize(("minor", "gap"), [(10_00, 40_00), (49_99, 1), (50_00, None), (90_00, None)])
def test_the_hint_says_what_is_missing_for_free_delivery(minor: int, gap: int | None) -> None:
    cart = CartView(1, (a_line(unit_price=Money(minor, "GBP")),), "GBP")

    assert cart.free_delivery_gap == (Money(gap, "GBP") if gap else None)


def test_an_empty_basket_costs_nothing_and_cannot_be_checked_out() -> None:
    cart = CartView(None, (), "EUR")

    assert cart.subtotal == Money(0, "EUR")
    assert cart.free_delivery_gap is None
    assert not cart.can_check_out


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(1, 20), st.integers(0, 9999)), max_size=5, unique=True))
def test_a_fingerprint_ignores_order_and_notices_every_change(lines: list[tuple[str, int, int]]) -> None:
    assert fingerprint(lines) == fingerprint(reversed(lines))
    for i, (sku, quantity, price) in enumerate(lines):
        assert fingerprint([*lines[:i], (sku, quantity + 1, price), *lines[i + 1 :]]) != fingerprint(lines)
        assert fingerprint([*lines[:i], (sku, quantity, price + 1), *lines[i + 1 :]]) != fingerprint(lines)
