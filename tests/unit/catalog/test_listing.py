"""Narrowing, counting and sorting, without a database."""

from dataclasses import replace

import pytest
from werkzeug.datastructures import MultiDict

from shop_app.catalog import listing
from shop_app.catalog.listing import ListingRow, Narrowing, narrow
from shop_app.catalog.schemas import address_args, plain_amount, read_narrowing


@pytest.fixture(autouse=True)
def _no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "cards_by_id", list)


def a_row(number: int, *, price: int = 1000, stock: int = 5, units: int = 0, **facets: list[str]) -> ListingRow:
    return ListingRow(number, price, stock, units, 0.0, "Oak & Sons", facets)


def counts(page: listing.Listing, name: str) -> dict[str, int]:
    return {value.value: value.count for facet in page.facets if facet.name == name for value in facet.values}


ROWS = [
    a_row(1, price=500, units=3, colour=["black"], size=["S", "M"]),
    a_row(2, price=1500, units=9, colour=["black", "sage"], size=["M"]),
    a_row(3, price=2500, units=1, colour=["sage"], size=["L"]),
    a_row(4, price=3500, stock=0, colour=["rose"], size=["XL"]),
]


def test_values_of_one_facet_are_alternatives_and_facets_add_up() -> None:
    either = narrow(ROWS, Narrowing(chosen={"colour": frozenset({"black", "sage"})}))
    both = narrow(ROWS, Narrowing(chosen={"colour": frozenset({"black", "sage"}), "size": frozenset({"M"})}))

    assert sorted(either.cards) == [1, 2, 3]
    assert sorted(both.cards) == [1, 2]


def test_a_facet_counts_as_if_nothing_were_chosen_in_it() -> None:
    page = narrow(ROWS, Narrowing(chosen={"colour": frozenset({"sage"})}))

    assert counts(page, "colour") == {"black": 2, "sage": 2}
    assert counts(page, "size") == {"M": 1, "L": 1}


def test_the_price_range_is_inclusive_and_touches_every_count() -> None:
    page = narrow(ROWS, Narrowing(min_minor=1500, max_minor=2500))

    assert sorted(page.cards) == [2, 3]
    assert counts(page, "colour") == {"sage": 2, "black": 1}
    assert (page.lowest, page.highest) == (500, 2500)


def test_sold_out_products_stay_away_until_asked_for_and_then_come_last() -> None:
    assert 4 not in narrow(ROWS, Narrowing()).cards
    assert narrow(ROWS, Narrowing(with_sold_out=True, sort="price-down")).cards == [3, 2, 1, 4]


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [("", [2, 1, 3]), ("popular", [2, 1, 3]), ("new", [3, 2, 1]), ("price-up", [1, 2, 3]), ("price-down", [3, 2, 1])],
)
def test_every_order(sort: str, wanted: list[int]) -> None:
    assert narrow(ROWS, Narrowing(sort=sort)).cards == wanted


def test_sizes_go_from_small_to_large_and_numbers_ascend() -> None:
    rows = [a_row(n, size=[size]) for n, size in enumerate(["XL", "10 cm", "S", "9 cm", "M"], start=1)]

    assert list(counts(narrow(rows, Narrowing()), "size")) == ["S", "M", "XL", "9 cm", "10 cm"]


def test_a_page_beyond_the_last_is_the_last() -> None:
    rows = [a_row(n) for n in range(1, 51)]

    page = narrow(rows, Narrowing(page=99))

    assert (page.page, page.pages, page.total, len(page.cards)) == (3, 3, 50, 2)


def test_an_empty_listing_has_one_empty_page() -> None:
    page = narrow([], Narrowing())

    assert (page.cards, page.total, page.pages, page.facets) == ([], 0, 1, [])


def test_the_address_is_the_state() -> None:
    narrowing = Narrowing(
        chosen={"colour": frozenset({"sage", "black"}), "brand": frozenset({"skarn"})},
        min_minor=1250,
        max_minor=9900,
        with_sold_out=True,
        sort="new",
        page=3,
    )

    args = address_args(narrowing, "GBP", "mug")

    assert args == {
        "q": "mug", "brand": ["skarn"], "colour": ["black", "sage"],
        "min": "12.5", "max": "99", "stock": "all", "sort": "new", "page": "3",
    }  # fmt: skip
    assert read_narrowing(MultiDict(args), "GBP") == narrowing


@pytest.mark.parametrize("bad", ["abc", "-5", "NaN", "Infinity", "1e99", ""])
def test_a_price_that_cannot_be_read_is_no_price(bad: str) -> None:
    assert read_narrowing(MultiDict({"min": bad, "page": bad, "sort": bad}), "GBP") == Narrowing()


def test_taking_the_last_value_out_takes_the_facet_out() -> None:
    narrowing = Narrowing(chosen={"colour": frozenset({"sage"})}, page=4)

    assert listing.without(narrowing, "colour", "sage") == replace(narrowing, chosen={}, page=1)


def test_amounts_are_shown_without_needless_zeros() -> None:
    assert [plain_amount(m, "GBP") for m in (1200, 1250, 5)] == ["12", "12.5", "0.05"]
    assert plain_amount(1200, "JPY") == "1200"
