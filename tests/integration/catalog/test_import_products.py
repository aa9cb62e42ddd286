"""Storing a catalogue: all of it the first time, nothing the second, only the difference the third."""

import random
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from shop_app.catalog.demo.catalogue import demo_catalogue
from shop_app.catalog.importing.rows import ProductRow, RowError, VariantRow
from shop_app.catalog.importing.uploads import plan_import
from shop_app.catalog.importing.writer import ProductWriter, batches
from shop_app.catalog.models import BundleComponent, Product, SearchPosting, Variant
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db
from shop_app.outbox.models import ChangedEntity

SMALL = demo_catalogue(per_kind=1)


def stored(rows, now):
    writer = ProductWriter()
    for batch in batches(rows):
        with unit_of_work(db.session):
            writer.store(batch, now)
    return writer.tally


def test_every_product_is_stored_with_variants_search_rows_and_marks(app, clock):
    with app.app_context():
        tally = stored(SMALL, clock.now())

        assert (tally.created, tally.changed, tally.errors) == (len(SMALL), 0, [])
        assert db.session.scalar(select(func.count(Product.id))) == len(SMALL)
        assert db.session.scalar(select(func.count(Variant.id))) == sum(len(row.variants) or 1 for row in SMALL)
        assert db.session.scalar(select(func.count(ChangedEntity.id))) == len(SMALL)
        assert db.session.scalar(select(func.count()).select_from(SearchPosting)) > 1000
        parts = sum(len(row.components) for row in SMALL)
        assert db.session.scalar(select(func.count(BundleComponent.id))) == parts > 0


def test_a_second_import_changes_nothing(app, clock):
    with app.app_context():
        stored(SMALL, clock.now())
        before = db.session.execute(select(Product.sku, Product.updated_at, Product.slug)).all()
        clock.advance(clock.now() - clock.now().replace(hour=1))

        tally = stored(SMALL, clock.now())

        assert (tally.created, tally.changed, tally.unchanged) == (0, 0, len(SMALL))
        assert db.session.execute(select(Product.sku, Product.updated_at, Product.slug)).all() == before


def test_only_what_differs_is_changed(app, clock):
    with app.app_context():
        stored(SMALL, clock.now())
        first = replace(SMALL[0], title="A new name")

        tally = stored([first, *SMALL[1:]], clock.now())

        assert (tally.changed, tally.unchanged) == (1, len(SMALL) - 1)
        assert db.session.scalar(select(Product.title).where(Product.sku == first.sku)) == "A new name"


def row(sku, line, **values):
    return ProductRow(sku, f"Thing {sku}", ("Things",), 100, "GBP", 5, line=line, **values)


def test_a_repeated_sku_and_a_broken_row_are_reported_and_the_rest_goes_in(app, clock):
    with app.app_context():
        tally = stored([row("A", 2), RowError(3, "price", "is missing"), row("A", 4), row("B", 5)], clock.now())

        assert tally.created == 2
        assert [str(error) for error in tally.errors] == [
            "line 3, price: is missing",
            "line 4, sku: A was on line 2 already",
        ]


def test_a_bundle_of_something_unknown_is_reported(app, clock):
    with app.app_context():
        tally = stored([row("A", 2), row("SET", 3, components=(("NOPE", 1),))], clock.now())

        assert tally.created == 1
        assert tally.errors == [RowError(3, "components", "there is no product NOPE")]


def test_a_file_without_stock_leaves_the_counted_stock_alone(app, clock):
    with app.app_context():
        stored([row("A", 2)], clock.now())

        tally = stored([replace(row("A", 2), stock=50, has_stock=False)], clock.now())

        assert tally.unchanged == 1
        assert db.session.scalar(select(Product.stock).where(Product.sku == "A")) == 5


def test_a_stored_product_has_a_picture_from_every_side_and_in_every_colour(app, client, clock):
    with app.app_context():
        stored(SMALL, clock.now())
    mug = next(row for row in SMALL if row.kind == "mug")

    whole = client.get(f"/media/products/{mug.sku}.svg")
    close = client.get(f"/media/products/{mug.sku}.svg?view=detail")
    coloured = {client.get(f"/media/products/{mug.sku}.svg?colour={c}").data for c in mug.facets["colour"]}

    assert whole.mimetype == "image/svg+xml"
    assert "immutable" in whole.headers["Cache-Control"]
    assert close.data != whole.data
    assert len(coloured) == len(mug.facets["colour"])
    assert client.get("/media/products/NOPE.svg").status_code == 404


def test_a_preview_names_every_field_that_an_import_then_changes_and_writes_nothing(app, clock):
    with app.app_context():
        shirt = replace(
            row("SHIRT", 2),
            brand="Old Mill",
            facets={"colour": ("red",)},
            variants=(VariantRow("SHIRT-S", {"size": "S"}, 100, 3), VariantRow("SHIRT-M", {"size": "M"}, 100, 4)),
        )
        stored([row("A", 1), shirt], clock.now())
        rows = [
            replace(row("A", 1), title="Other", price_minor=150, stock=7, compare_at_minor=200, image_urls=("/a.svg",)),
            replace(
                shirt,
                category=("Clothes", "Shirts"),
                facets={"material": ("wool",)},
                variants=(VariantRow("SHIRT-M", {"size": "M"}, 120, 4), VariantRow("SHIRT-L", {"size": "L"}, 120, 1)),
            ),
            row("NEW", 3),
            replace(row("STOLEN", 4), variants=(VariantRow("A", {}, 1, 1),)),
            replace(row("SET", 5), components=(("NEW", 1),)),
            replace(row("PART", 6), components=(("NOWHERE", 1),)),
        ]
        before = db.session.execute(select(Product.sku, Product.title, Product.updated_at)).all()
        marked = db.session.scalar(select(func.count(ChangedEntity.id)))
        plan = plan_import(rows)
        again = plan_import(rows)

        assert db.session.execute(select(Product.sku, Product.title, Product.updated_at)).all() == before
        assert db.session.scalar(select(func.count(ChangedEntity.id))) == marked
        assert plan.fingerprint == again.fingerprint
        assert [one.sku for one in plan.created] == ["NEW", "SET"]
        assert {one.row.sku: [(c.name, c.before, c.after) for c in one.changes] for one in plan.changed} == {
            "A": [
                ("title", "Thing A", "Other"),
                ("price before", "", "£2.00"),
                ("pictures", "", "/a.svg"),
                ("price", "£1.00", "£1.50"),
                ("stock", "5", "7"),
            ],
            "SHIRT": [
                ("category", "things", "clothes/shirts"),
                ("colour", "red", ""),
                ("size", "S, M", "M, L"),
                ("material", "", "wool"),
                ("price of SHIRT-M", "£1.00", "£1.20"),
                ("price of SHIRT-L", "", "£1.20"),
                ("stock of SHIRT-L", "", "1"),
                ("options of SHIRT-L", "", "size: L"),
                ("stock of SHIRT-S", "3", "0"),
            ],
        }
        assert [str(error) for error in plan.errors] == [
            "line 4, variant sku: A belongs to another variant",
            "line 6, components: there is no product NOWHERE",
        ]

        tally = stored(rows, clock.now())

        assert (tally.created, tally.changed, tally.unchanged) == (2, 2, 0)
        assert sorted(map(str, tally.errors)) == [str(error) for error in plan.errors]
        assert plan_import(rows).is_empty


@pytest.mark.parametrize("seed", range(5))
def test_a_preview_and_its_import_agree_on_any_file(app, clock, seed):
    rng = random.Random(seed)

    def any_row(line):
        sku = rng.choice("ABCDEFGH")
        own = rng.choice(([], [f"{sku}-1", f"{sku}-2"], [f"{rng.choice('ABC')}-1"]))
        variants = tuple(VariantRow(name, {"size": name[-1]}, rng.randrange(1, 4), rng.randrange(3)) for name in own)
        if rng.random() < 0.1:
            return RowError(line, "price", "is missing")
        changes = {"title": rng.choice("xy"), "brand": rng.choice(("", "Mill")), "price_minor": rng.randrange(1, 4)}
        return replace(row(sku, line), **changes, variants=variants, has_stock=rng.random() < 0.5)

    with app.app_context():
        for _ in range(4):
            rows = [any_row(line) for line in range(1, 12)]
            plan = plan_import(rows)
            tally = stored(rows, clock.now())

            assert (tally.created, tally.changed) == (len(plan.created), len(plan.changed))
            assert tally.unchanged == plan.unchanged
            assert sorted(map(str, tally.errors)) == sorted(map(str, plan.errors))
            assert plan_import(rows).is_empty
