"""What a word becomes before it is looked up, and how much it weighs."""

import pytest

from shop_app.catalog.search import posting_weights, terms


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Oatmeal & Honey Soaps", ["oatmeal", "honey", "soap"]),
        ("Crème brûlée dishes", ["creme", "brulee", "dish"]),
        ("The berries of the glass", ["berry", "glass"]),
        ("Pack of 100", ["pack", "100"]),
        ("", []),
        ("日本", []),
    ],
)
def test_words_are_folded(text: str, wanted: list[str]) -> None:
    assert terms(text) == wanted


def test_a_word_counts_more_in_the_title_than_in_the_brand_the_category_or_the_description() -> None:
    weights = posting_weights({"title": "lamp", "brand": "skarn", "category": "light", "description": "warm glow"})

    assert weights["lamp"] > weights["skarn"] > weights["light"] > weights["warm"] > 0


def test_repeating_a_word_saturates() -> None:
    once = posting_weights({"description": "oak"})["oak"]
    often = posting_weights({"description": "oak " * 50})["oak"]

    assert once < often < 2.2
