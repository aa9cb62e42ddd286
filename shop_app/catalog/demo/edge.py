"""Awkward products for tests and for the eyes of QA: the longest, the emptiest, the strangest that is still allowed."""

from shop_app.catalog.importing.rows import ProductRow, VariantRow

LONG = (
    "The Extraordinarily Long-Winded, Hand-Finished, Double-Glazed, Triple-Stitched "
    "Umbrella Stand of Great Aunt Wilhelmina"
)


def edge_catalogue() -> tuple[ProductRow, ...]:
    """A dozen products, each awkward in one way that its SKU names."""
    group = ("Edge Cases", "One of Each")
    return (
        ProductRow("EDGE-LONG-TITLE", LONG, group, 123_456_00, "GBP", 3, description=LONG * 8, brand=LONG[:60]),
        ProductRow("EDGE-SHORT", "X", group, 1, "GBP", 1),
        ProductRow("EDGE-NO-BRAND", "Plain mug without a maker", group, 9_00, "GBP", 12, kind="mug"),
        ProductRow("EDGE-FREE", "Free sample", group, 0, "GBP", 500, description="Costs nothing."),
        ProductRow("EDGE-SOLD-OUT", "Sold-out lantern", group, 24_00, "GBP", 0, kind="lantern"),
        ProductRow("EDGE-LAST-ONE", "The very last teapot", group, 31_50, "GBP", 1, kind="teapot"),
        ProductRow("EDGE-HIDDEN", "Hidden clock", group, 40_00, "GBP", 5, status="hidden", kind="clock"),
        ProductRow("EDGE-GONE", "Discontinued kettle", group, 55_00, "GBP", 0, status="discontinued", kind="kettle"),
        ProductRow("EDGE-SCRIPT", "<script>alert('mug')</script> & \"quotes\"", group, 5_00, "GBP", 9),
        ProductRow("EDGE-UNICODE", "Crème brûlée — Größe ½ 日本語 🫖", group, 7_25, "GBP", 9, brand="Ærø & Søn"),
        ProductRow("EDGE-REDUCED", "Almost given away", group, 1_00, "GBP", 9, compare_at_minor=999_00),
        ProductRow(
            "EDGE-MANY",
            "Jumper in every size and colour",
            (*group, "Deep", "Deeper"),
            45_00,
            "GBP",
            24,
            kind="jumper",
            variants=tuple(
                VariantRow(f"EDGE-MANY-{colour}-{size}".upper(), {"colour": colour, "size": size}, 45_00 + step, stock)
                for colour, stock in (("rust", 2), ("navy", 0), ("moss", 1), ("cream", 1))
                for step, size in enumerate(("XS", "S", "M", "L", "XL", "XXL"))
            ),
        ),
    )
