"""Changing the catalogue keeps everything that hangs on it in step."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.catalog.models import Product, SearchPosting, Variant
from shop_app.catalog.search import search
from shop_app.catalog.services import (
    ProductDraft,
    VariantDraft,
    archive_product,
    change_product,
    create_product,
    set_price,
    set_stock,
)
from shop_app.core.clock import FixedClock
from shop_app.core.errors import Conflict, InvalidInput, NotFound
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity


@pytest.fixture(autouse=True)
def _in_context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def a_draft(**overrides: Any) -> ProductDraft:
    plain = ProductDraft(
        sku="SHIRT", title="Harbour Shirt", category=("Clothing", "Shirts"), price_minor=4000, currency="GBP", stock=0,
        brand="Skarn", description="Woven in linen.",
        variants=(
            VariantDraft("SHIRT-S", 4000, 3, {"size": "S", "colour": "sage"}),
            VariantDraft("SHIRT-M", 4500, 4, {"size": "M", "colour": "sage"}),
        ),
    )  # fmt: skip
    return replace(plain, **overrides)


def created(clock: FixedClock, **overrides: Any) -> Product:
    with unit_of_work(db.session):
        return create_product(a_draft(**overrides), clock.now())


def change_and_stumble(clock: FixedClock) -> None:
    change_product("SHIRT", a_draft(title="Quay Blouse"), clock.now())
    set_stock("NONE", 1, clock.now())


def version(product: Product) -> int:
    query = select(ChangedEntity.version).where(ChangedEntity.kind == "item", ChangedEntity.entity_id == product.id)
    return db.session.scalars(query).one()


def test_a_new_product_has_its_totals_facets_places_and_mark(clock: FixedClock) -> None:
    product = created(clock)

    assert (product.price_minor, product.stock) == (4000, 7)
    assert product.facets == {"size": ["S", "M"], "colour": ["sage"]}
    assert (product.category.path, product.slug) == ("clothing/shirts", "harbour-shirt")
    assert version(product) == 1
    assert list(search("linen").relevance) == [product.id]


def test_a_product_without_choice_gets_the_one_variant(clock: FixedClock) -> None:
    product = created(clock, variants=(), stock=6)

    assert [(v.sku, v.price_minor, v.stock, v.options) for v in product.variants] == [("SHIRT", 4000, 6, {})]
    assert product.stock == 6


def test_the_same_title_twice_gives_two_addresses(clock: FixedClock) -> None:
    created(clock)
    second = created(clock, sku="SHIRT2", variants=())

    assert second.slug == "harbour-shirt-shirt2"


def test_a_taken_sku_is_a_conflict_and_leaves_nothing(clock: FixedClock) -> None:
    created(clock)

    with pytest.raises(Conflict):
        created(clock, sku="SHIRT-S", variants=())

    assert db.session.scalars(select(Product.sku)).all() == ["SHIRT"]


def test_stock_and_price_of_a_variant_reach_the_product_and_the_mark(clock: FixedClock) -> None:
    product = created(clock)

    with unit_of_work(db.session):
        set_stock("SHIRT-S", 0, clock.now())
        set_price("SHIRT-M", 3500, clock.now())

    db.session.refresh(product)
    assert (product.price_minor, product.stock) == (3500, 4)
    assert version(product) == 3


def test_a_change_is_found_under_its_new_words_only(clock: FixedClock) -> None:
    product = created(clock)

    with unit_of_work(db.session):
        change_product("SHIRT", a_draft(title="Quay Blouse", description="Cotton."), clock.now())

    assert search("harbour").relevance == {}
    assert list(search("blouse").relevance) == [product.id]
    assert product.slug == "harbour-shirt"


def test_a_variant_left_out_is_sold_out_and_kept(clock: FixedClock) -> None:
    product = created(clock)
    only_m = a_draft().variants[1:]

    with unit_of_work(db.session):
        change_product("SHIRT", a_draft(variants=only_m), clock.now())

    stocks = {sku: stock for sku, stock in db.session.execute(select(Variant.sku, Variant.stock))}  # noqa: C416
    assert stocks == {"SHIRT-S": 0, "SHIRT-M": 4}
    db.session.refresh(product)
    assert product.stock == 4


@pytest.mark.ticket("RS-012")
def test_archiving_takes_it_out_of_search_and_keeps_the_row(clock: FixedClock) -> None:
    product = created(clock)

    with unit_of_work(db.session):
        archive_product("SHIRT", clock.now())

    assert search("harbour").relevance == {}
    assert db.session.scalars(select(SearchPosting)).all() == []
    assert db.session.get(Product, product.id) is product
    assert version(product) == 2


def test_a_rolled_back_change_leaves_index_and_mark_alone(clock: FixedClock) -> None:
    product = created(clock)

    with pytest.raises(NotFound), unit_of_work(db.session):
        change_and_stumble(clock)

    assert list(search("harbour").relevance) == [product.id]
    assert version(product) == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"sku": "a b"}, {"sku"}),
        ({"title": " "}, {"title"}),
        ({"category": ()}, {"category"}),
        ({"price_minor": -1}, {"price"}),
        ({"currency": "pounds", "status": "lost"}, {"currency", "status"}),
        ({"components": (("NONE", 1),)}, {"components"}),
    ],
)
def test_a_draft_against_the_rules_is_refused_by_field(
    clock: FixedClock, wrong: dict[str, Any], named: set[str]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        created(clock, **wrong)

    assert set(caught.value.fields) == named


def test_unknown_skus_are_not_found(clock: FixedClock) -> None:
    with pytest.raises(NotFound):
        set_stock("NONE", 1, clock.now())
    with pytest.raises(NotFound):
        archive_product("NONE", clock.now())


def test_a_bundle_keeps_its_parts(clock: FixedClock) -> None:
    created(clock)

    bundle = created(clock, sku="SET", title="Harbour Set", variants=(), stock=2, components=(("SHIRT", 2),))

    db.session.refresh(bundle)
    assert bundle.is_bundle
    assert [(part.product.sku, part.quantity) for part in bundle.components] == [("SHIRT", 2)]
