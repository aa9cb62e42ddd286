"""Catalogue files of every format become the same rows; a bad row names its line and field."""

import gzip
import json

import pytest

from shop_app.catalog.importing.fields import FieldError, price_from, sku_from, title_from
from shop_app.catalog.importing.files import format_of
from shop_app.catalog.importing.products import FIRST_STOCK, Defaults, product_rows
from shop_app.catalog.importing.rows import ProductRow, RowError
from shop_app.core.errors import InvalidInput

SHOP = Defaults("GBP", {})


def read(tmp_path, name, text, defaults=SHOP):
    path = tmp_path / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return list(product_rows(path, defaults))


@pytest.mark.parametrize("name", ["items.csv", "items.csv.gz"])
def test_a_plain_table(tmp_path, name):
    text = "item,title,brand,category,price,stock\nA/1,RED MUG  LARGE,Pottle,mugs,12.50,7\n"

    [row] = read(tmp_path, name, text)

    assert row == ProductRow("A-1", "Red mug large", ("Mugs",), 1250, "GBP", 7, brand="Pottle", line=2)


def test_a_bad_row_is_reported_with_line_and_field_and_the_rest_is_read(tmp_path):
    text = 'sku,title,category,price\nA,One,x,1\n,"Two\nlines",x,1\nC,Three,x,cheap\nD,,x,1\nE,Five,,1\nF,Six,x,-1\nG,Seven,x,2\n'

    rows = read(tmp_path, "items.csv", text)

    assert [row.sku for row in rows if isinstance(row, ProductRow)] == ["A", "G"]
    assert [str(row) for row in rows if isinstance(row, RowError)] == [
        "line 3, sku: is missing",
        "line 5, price: is not an amount: 'cheap'",
        "line 6, title: is missing",
        "line 7, category: is missing",
        "line 8, price: must not be negative or absurdly large",
    ]


def test_a_price_may_come_from_elsewhere_and_stock_is_a_first_guess(tmp_path):
    [row] = read(tmp_path, "items.csv", "sku,title,category\nA,One,x\n", Defaults("EUR", {"A": 99}))

    assert (row.price_minor, row.currency, row.stock, row.has_stock) == (99, "EUR", FIRST_STOCK, False)


def test_json_lines_with_variants_and_a_line_that_is_no_object(tmp_path):
    good = {
        "sku": "TEE",
        "title": "Tee",
        "category": ["Clothing", "Tops"],
        "facets": {"Colour": ["red", "blue"]},
        "variants": [
            {"sku": "TEE-R", "options": {"colour": "red"}, "price": 12, "stock": 3},
            {"sku": "TEE-B", "options": {"colour": "blue"}, "price": "11.50", "stock": 4},
        ],
    }

    row, error = read(tmp_path, "items.jsonl", f"{json.dumps(good)}\n[1, 2]\n")

    assert (row.category, row.price_minor, row.stock) == (("Clothing", "Tops"), 1150, 7)
    assert row.facets == {"colour": ("red", "blue")}
    assert error == RowError(2, "line", "is not a JSON object")


SHOPIFY = """Handle,Title,Body (HTML),Vendor,Product Category,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src,Status
tee,Tee,<p>Soft &amp; <b>warm</b></p>,Pottle,Apparel > Shirts,"soft, warm",true,Color,red,T-R,3,12.00,15.00,https://x.example/1.jpg,active
tee,,,,,,,,blue,T-B,4,11.00,,,
tee,,,,,,,,green,T-G,1,free,,,
tee,,,,,,,,,,,,,https://x.example/2.jpg,
cup,Cup,,Pottle,,,false,Title,Default Title,CUP,2,5.00,,,active
"""


def test_a_shopify_export_joins_its_lines_by_handle(tmp_path):
    error, tee, cup = read(tmp_path, "export.csv", SHOPIFY)

    assert str(error) == "line 4, variant price: is not an amount: 'free'"
    assert (tee.sku, tee.title, tee.description, tee.category) == ("tee", "Tee", "Soft & warm", ("Apparel", "Shirts"))
    assert [(v.sku, dict(v.options), v.price_minor, v.stock) for v in tee.variants] == [
        ("T-R", {"colour": "red"}, 1200, 3),
        ("T-B", {"colour": "blue"}, 1100, 4),
    ]
    assert (tee.price_minor, tee.compare_at_minor, tee.stock) == (1100, 1500, 7)
    assert tee.image_urls == ("https://x.example/1.jpg", "https://x.example/2.jpg")
    assert tee.facets == {"tags": ("soft", "warm"), "colour": ("red", "blue")}
    assert (cup.sku, cup.variants, cup.status) == ("CUP", (), "hidden")


GOOGLE = """<?xml version="1.0"?><rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>
<item><g:id>T-R</g:id><title>Tee</title><g:item_group_id>tee</g:item_group_id><g:color>red</g:color>
<g:price>12.00 GBP</g:price><g:sale_price>9.00 GBP</g:sale_price><g:availability>in_stock</g:availability>
<g:product_type>Clothing &gt; Tops</g:product_type><g:image_link>https://x.example/1.jpg</g:image_link></item>
<item><g:id>BAD</g:id><title>Bad</title><g:price>?</g:price></item>
<item><g:id>T-B</g:id><title>Tee</title><g:item_group_id>tee</g:item_group_id><g:color>blue</g:color>
<g:price>12.00 GBP</g:price><g:availability>out of stock</g:availability></item>
</channel></rss>"""


def test_a_google_feed_joins_its_groups(tmp_path):
    tee, error = read(tmp_path, "feed.xml", GOOGLE)

    assert (tee.sku, tee.category, tee.price_minor, tee.compare_at_minor) == ("tee", ("Clothing", "Tops"), 900, 1200)
    assert [(v.sku, v.stock) for v in tee.variants] == [("T-R", 50), ("T-B", 0)]
    assert error == RowError(2, "price", "is not an amount: '?'")


def test_a_google_feed_as_tabs(tmp_path):
    text = "id\ttitle\tprice\tavailability\tproduct_type\tquantity\nA\tMug\t3.50 EUR\tin_stock\tKitchen\t8\n"

    [row] = read(tmp_path, "feed.tsv", text)

    assert (row.sku, row.price_minor, row.currency, row.stock) == ("A", 350, "EUR", 8)


def test_a_feed_with_an_entity_bomb_is_refused(tmp_path):
    bomb = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "b">]><rss><channel><item><id>&a;</id></item></channel></rss>'

    with pytest.raises(InvalidInput, match="DTDForbidden"):
        read(tmp_path, "feed.xml", bomb)


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"expected \.csv"):
        format_of(tmp_path / "items.docx")


@pytest.mark.parametrize(
    ("text", "currency", "wanted"),
    [
        ("12.50", "GBP", (1250, "GBP")),
        ("£1,234.50", "GBP", (123450, "GBP")),
        ("12,50 EUR", "GBP", (1250, "EUR")),
        ("USD 9.99", "GBP", (999, "USD")),
        ("1200", "JPY", (1200, "JPY")),
        ("0.005", "GBP", (1, "GBP")),
    ],
)
def test_prices_as_people_write_them(text, currency, wanted):
    assert price_from("price", text, currency) == wanted


def test_a_sku_is_made_safe_for_a_url():
    assert sku_from("sku", " AB 1/2 ") == "AB-1-2"
    with pytest.raises(FieldError, match="is missing"):
        sku_from("sku", " / ")


def test_a_shouting_title_is_calmed():
    assert title_from("title", "HANGING HEART,  RED") == "Hanging heart, red"
    assert title_from("title", "DVD") == "DVD"
