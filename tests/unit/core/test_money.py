"""Money: exact, one currency at a time, read for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_app.core.errors import InvalidInput
from shop_app.core.money import Money, parse_money


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(123450, "GBP"), "£1,234.50"),
        (Money(-5, "EUR"), "−€0.05"),
        (Money(1200, "CHF"), "12.00 CHF"),
        (Money(1200, "JPY"), "1,200 JPY"),
        (Money(1234, "KWD"), "1.234 KWD"),
    ],
)
def test_money_reads_as_people_write_it(money: Money, text: str) -> None:
    assert money.text() == text


@pytest.mark.ticket("RS-009")
@pytest.mark.parametrize(
    ("text", "currency", "minor"), [("12.345", "GBP", 1235), (" 7 ", "JPY", 7), ("0.0005", "KWD", 1)]
)
def test_halves_of_a_minor_unit_round_up(text: str, currency: str, minor: int) -> None:
    assert parse_money(text, currency) == Money(minor, currency)


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "1,50"])
def test_what_is_no_amount_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_money(text, "GBP")

    assert list(refusal.value.fields) == ["price"]


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="GBP with EUR"):
        Money(1, "GBP") + Money(1, "EUR")


@given(st.integers(-(10**12), 10**12), st.sampled_from(["GBP", "JPY", "KWD"]))
def test_reading_back_the_decimal_gives_the_same_money(minor: int, currency: str) -> None:
    money = Money(minor, currency)

    assert parse_money(str(money.decimal()), currency) == money
