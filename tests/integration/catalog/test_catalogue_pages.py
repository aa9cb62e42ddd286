"""Pages of the catalogue as a browser without JavaScript sees them."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shop_app.catalog.services import ProductDraft, VariantDraft, create_product, set_status
from shop_app.core.clock import FixedClock
from shop_app.core.unit_of_work import unit_of_work
from shop_app.extensions import db


@pytest.fixture(autouse=True)
def _shelf(app: Flask, clock: FixedClock) -> None:
    shirt = ProductDraft(
        sku="SHIRT", title="Harbour Shirt", brand="Skarn", category=("Clothing", "Shirts"), description="Woven <b>linen</b>.",
        price_minor=4000, compare_at_minor=6000, currency="GBP", stock=0, facets={"material": ("linen",)},
        variants=(
            VariantDraft("SHIRT-S", 4000, 0, {"colour": "sage", "size": "S"}),
            VariantDraft("SHIRT-M", 4500, 3, {"colour": "rust", "size": "M"}),
        ),
    )  # fmt: skip
    mug = ProductDraft(
        sku="MUG", title="Arrow Mug", brand="Tindale", category=("Kitchen",), price_minor=1200, currency="GBP", stock=9
    )
    with app.app_context(), unit_of_work(db.session):
        create_product(shirt, clock.now())
        create_product(mug, clock.now())


def status(app: Flask, clock: FixedClock, sku: str, value: str) -> None:
    with app.app_context(), unit_of_work(db.session):
        set_status(sku, value, clock.now())


def test_the_front_page_leads_to_every_department(client: FlaskClient) -> None:
    page = client.get("/").text

    assert page.count("<h1") == 1
    for path in ("/departments/clothing", "/departments/kitchen"):
        assert f'href="{path}"' in page


def test_a_department_shows_what_lies_below_it(client: FlaskClient) -> None:
    page = client.get("/departments/clothing").text

    assert 'href="/products/harbour-shirt?via=listing.grid:1"' in page
    assert "Arrow Mug" not in page
    assert 'href="/departments/clothing/shirts"' in page


def test_facets_in_the_address_narrow_the_list(client: FlaskClient) -> None:
    assert "Harbour Shirt" in client.get("/departments?colour=sage&colour=blue&brand=skarn").text
    narrowed = client.get("/departments?colour=blue").text
    assert "No products match your filters" in narrowed
    assert 'href="/departments"' in narrowed


def test_a_chosen_value_can_be_taken_back_by_a_link(client: FlaskClient) -> None:
    page = client.get("/departments?colour=sage&brand=skarn&sort=new").text

    assert 'href="/departments?brand=skarn&amp;sort=new"' in page


@pytest.mark.parametrize("path", ["/departments/none", "/products/none", "/help/none", "/media/products/none.svg"])
def test_what_is_not_there_is_a_404(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_product_page_offers_each_variant_by_a_link_and_the_basket_by_a_form(client: FlaskClient) -> None:
    page = client.get("/products/harbour-shirt?variant=SHIRT-M&via=home.top_picks:2:req-1").text

    assert "£45.00" in page
    assert "£60.00" in page
    assert "Only 3 left" in page
    assert 'href="?variant=SHIRT-S&amp;via=home.top_picks%3A2%3Areq-1"' in page
    assert 'action="/cart/lines"' in page
    assert '<input type="hidden" name="sku" value="SHIRT-M">' in page
    assert '<input type="hidden" name="via" value="home.top_picks:2:req-1">' in page
    assert 'data-page-item="SHIRT"' in page
    assert "&lt;b&gt;linen" in page


def test_the_canonical_link_carries_no_attribution(client: FlaskClient) -> None:
    page = client.get("/products/arrow-mug?via=home.top_picks:2:req-1").text

    assert 'rel="canonical" href="http://127.0.0.1:8000/products/arrow-mug"' in page


def test_a_mangled_via_is_dropped(client: FlaskClient) -> None:
    assert 'name="via"' not in client.get('/products/arrow-mug?via="><script>').text


def test_a_sold_out_variant_cannot_be_put_into_the_basket(client: FlaskClient) -> None:
    page = client.get("/products/harbour-shirt?variant=SHIRT-S").text

    assert "Sold out" in page
    assert 'action="/cart/lines"' not in page


@pytest.mark.ticket("RS-012")
def test_a_discontinued_product_says_so_and_a_hidden_one_is_not_there(
    app: Flask, client: FlaskClient, clock: FixedClock
) -> None:
    status(app, clock, "SHIRT", "discontinued")
    status(app, clock, "MUG", "hidden")

    gone = client.get("/products/harbour-shirt")

    assert gone.status_code == 410
    assert "no longer sold" in gone.text
    assert client.get("/products/arrow-mug").status_code == 404
    assert "Harbour Shirt" not in client.get("/departments").text + client.get("/search?q=harbour").text


@pytest.mark.ticket("RS-011")
def test_a_product_without_pictures_gets_drawn_ones_that_may_be_kept_for_good(client: FlaskClient) -> None:
    main = client.get("/media/products/MUG.svg")

    assert main.status_code == 200
    assert main.mimetype == "image/svg+xml"
    assert "immutable" in main.headers["Cache-Control"]
    assert main.text.startswith("<svg")
    assert main.text != client.get("/media/products/MUG.svg?view=room").text
    assert main.text != client.get("/media/products/MUG.svg?colour=teal").text
    assert client.get("/media/products/MUG.svg?view=none").status_code == 404
    assert client.get('/media/products/MUG.svg?colour="/>').status_code == 404


def test_search_says_what_it_searched_instead(client: FlaskClient) -> None:
    page = client.get("/search?q=harbuor").text

    assert "Results for “harbour”" in page
    assert "No results for “harbuor”" in page
    assert "/products/harbour-shirt?via=search.results:1" in page


def test_a_search_that_finds_nothing_offers_a_rescue(client: FlaskClient) -> None:
    page = client.get("/search?q=qqqq").text

    assert "Nothing found for “qqqq”" in page
    assert "/w/search.rescue" in page


def test_suggestions_are_options_of_a_listbox(client: FlaskClient) -> None:
    part = client.get("/search/suggestions?q=arr").text

    assert 'role="listbox"' in part
    assert 'href="/products/arrow-mug?via=search.suggestions:1"' in part
    assert "<html" not in part
    assert client.get("/search/suggestions?q=a").text.strip() == ""


def test_the_colours_are_a_cookie_that_the_server_renders(client: FlaskClient) -> None:
    response = client.post("/preferences/theme", data={"theme": "dark", "next": "/departments?page=2"})

    assert (response.status_code, response.headers["Location"]) == (303, "/departments?page=2")
    assert '<html lang="en" data-theme="dark">' in client.get("/").text
    assert client.post("/preferences/theme", data={"theme": "pink"}).status_code == 400


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_the_way_back_stays_in_the_shop(client: FlaskClient, target: str) -> None:
    assert client.post("/preferences/theme", data={"theme": "dark", "next": target}).headers["Location"] == "/"


def test_files_asked_for_by_version_are_kept_for_good(client: FlaskClient) -> None:
    page = client.get("/").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]

    with client.get(address) as versioned, client.get(address.split("?")[0]) as plain:
        assert "immutable" in versioned.headers["Cache-Control"]
        assert "immutable" not in plain.headers["Cache-Control"]


def test_the_style_guide_shows_every_component(client: FlaskClient) -> None:
    assert client.get("/styleguide").status_code == 200
