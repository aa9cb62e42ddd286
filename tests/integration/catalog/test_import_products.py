"""Storing a catalogue: all of it the first time, nothing the second, only the difference the third."""

from dataclasses import replace

from sqlalchemy import func, select

from shop_app.catalog.demo.catalogue import demo_catalogue
from shop_app.catalog.importing.rows import ProductRow, RowError
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
