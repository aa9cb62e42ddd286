"""The demo catalogue: big enough, varied enough, and the same every time."""

import re
from collections import Counter

from shop_app.catalog.demo.catalogue import demo_catalogue, kind_of
from shop_app.catalog.demo.deck import complements, houses, kinds

CATALOGUE = demo_catalogue()


def test_has_the_promised_breadth():
    assert len(CATALOGUE) >= 640
    assert len({row.category[0] for row in CATALOGUE}) >= 8
    assert len({row.brand for row in CATALOGUE}) >= 40
    assert {len(row.category) for row in CATALOGUE} <= {2, 3}


def test_same_seed_same_rows_and_another_seed_another_catalogue():
    assert demo_catalogue() == CATALOGUE
    assert demo_catalogue(8) != CATALOGUE


def test_skus_are_unique_and_safe_in_a_url():
    skus = [row.sku for row in CATALOGUE] + [variant.sku for row in CATALOGUE for variant in row.variants]

    assert len(skus) == len(set(skus))
    assert all(re.fullmatch(r"[A-Z0-9-]+", sku) for sku in skus)


def test_titles_and_descriptions_do_not_repeat():
    assert len({row.title for row in CATALOGUE}) == len(CATALOGUE)
    assert len({row.description for row in CATALOGUE}) == len(CATALOGUE)
    assert all(2 <= len(re.findall(r"[.!?](?:\s|$)", row.description)) <= 5 for row in CATALOGUE)


def test_a_product_is_priced_as_its_cheapest_variant_and_holds_their_stock():
    for row in CATALOGUE:
        if row.variants:
            assert row.price_minor == min(variant.price_minor for variant in row.variants)
            assert row.stock == sum(variant.stock for variant in row.variants)
        assert row.compare_at_minor is None or row.compare_at_minor > row.price_minor


def test_some_are_sold_out_hidden_or_discontinued_and_most_are_for_sale():
    states = Counter(row.status for row in CATALOGUE)

    assert states["active"] > 0.9 * len(CATALOGUE)
    assert states["hidden"] >= 5
    assert states["discontinued"] >= 5
    assert sum(row.stock == 0 for row in CATALOGUE) >= 10


def test_bundles_cost_less_than_their_parts():
    prices = {row.sku: row.price_minor for row in CATALOGUE}
    bundles = [row for row in CATALOGUE if row.components]

    assert len(bundles) >= 8
    for bundle in bundles:
        assert bundle.price_minor < sum(prices[sku] * quantity for sku, quantity in bundle.components)


def test_every_house_and_every_complement_names_something_that_exists():
    keys = {kind.key for kind in kinds()}
    codes = {kind.code for kind in kinds()}

    assert {code for house in houses() for code in house.departments} == codes
    assert {kind for pair in complements().items() for kind in (pair[0], *pair[1])} <= keys


def test_the_kind_is_readable_from_the_sku():
    assert kind_of("CMP-TENT-01") == "tent"
    assert kind_of("KIT-COFFEEMAKER-02-CREAM") == "coffee-maker"
    assert kind_of("85123A") == ""
