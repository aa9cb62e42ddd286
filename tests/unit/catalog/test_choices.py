"""Choosing a variant by links."""

from shop_app.catalog.choices import choices, chosen_variant
from shop_app.catalog.models import Variant


def variant(colour: str, size: str, stock: int = 3) -> Variant:
    return Variant(sku=f"T-{colour}-{size}", options={"colour": colour, "size": size}, price_minor=100, stock=stock)


SHIRTS = [variant("sage", "S", 0), variant("sage", "M"), variant("rust", "M"), variant("rust", "L", 0)]


def test_without_a_wish_the_first_that_can_be_bought_is_chosen() -> None:
    assert chosen_variant(SHIRTS, "").sku == "T-sage-M"
    assert chosen_variant(SHIRTS, "T-rust-L").sku == "T-rust-L"
    assert chosen_variant(SHIRTS, "unknown").sku == "T-sage-M"


def test_each_value_leads_to_the_variant_that_differs_in_it_alone() -> None:
    colour, size = choices(SHIRTS, SHIRTS[1])

    assert [(v.text, v.sku, v.is_chosen) for v in colour.values] == [
        ("sage", "T-sage-M", True),
        ("rust", "T-rust-M", False),
    ]
    assert [(v.text, v.sku, v.is_available) for v in size.values] == [
        ("S", "T-sage-S", False),
        ("M", "T-sage-M", True),
        ("L", "T-rust-L", False),
    ]


def test_a_product_without_options_offers_no_choice() -> None:
    only = Variant(sku="MUG", options={}, price_minor=100, stock=1)

    assert choices([only], only) == []
