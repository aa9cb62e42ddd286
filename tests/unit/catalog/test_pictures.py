"""Every product can be drawn, small, well-formed and the same each time."""

import re
from xml.etree import ElementTree as ET

import pytest

from shop_app.catalog.demo.catalogue import demo_catalogue
from shop_app.catalog.demo.deck import house_named, kinds
from shop_app.catalog.pictures import VIEWS, HouseStyle, picture_for
from shop_app.catalog.pictures.colours import NAMED
from shop_app.catalog.pictures.drawing import Paint, Pen, shapes
from shop_app.catalog.pictures.titles import KEYWORDS, STILL_LIFES, colour_in, shape_for

CATALOGUE = demo_catalogue()


def drawn(row, view="main"):
    house = house_named(row.brand)
    style = HouseStyle(house.colour, house.pattern)
    colour = row.facets.get("colour", ("",))[0]
    return picture_for(row.title, row.category, row.sku, kind=row.kind, colour=colour, house=style, view=view)


@pytest.mark.parametrize("name", sorted(shapes()))
def test_every_shape_is_well_formed_and_closes_its_groups(name):
    svg = f"<svg>{Pen(Paint('#336699', '#cc9933')).draw(name)}</svg>"

    root = ET.fromstring(svg)

    assert len(list(root.iter())) >= 4


def test_every_demo_product_has_a_shape_of_its_own_kind():
    wanted = {shape for row in CATALOGUE for shape in row.kind.split("+")}

    assert wanted <= set(shapes())
    assert len(wanted) >= 60


def test_every_colour_of_the_decks_is_mixed():
    assert {colour for kind in kinds() for colour in kind.colours} <= set(NAMED)


def test_pictures_are_small():
    sizes = sorted(len(drawn(row).encode()) for row in CATALOGUE)

    assert sizes[-1] < 6_000  # sets of four
    assert sizes[int(len(sizes) * 0.95)] < 4_000


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_a_whole_document_without_anything_from_outside(view):
    svg = drawn(CATALOGUE[0], view)

    assert ET.fromstring(svg).get("viewBox") == "0 0 600 600"
    assert re.findall(r"(?:href|src|<script|<style|https?://(?!www\.w3\.org))", svg) == []
    used = set(re.findall(r"url\(#(\w+)\)", svg))
    assert used <= set(re.findall(r'id="(\w+)"', svg))


def test_the_same_product_is_drawn_the_same_and_another_colour_differs():
    row = next(row for row in CATALOGUE if row.kind == "mug")

    assert drawn(row) == drawn(row)
    red = picture_for(row.title, row.category, row.sku, kind="mug", colour="crimson")
    blue = picture_for(row.title, row.category, row.sku, kind="mug", colour="navy")
    assert red != blue


def test_an_unknown_view_is_refused():
    with pytest.raises(KeyError):
        picture_for("Mug", ("Kitchen",), "X", view="upside-down")


@pytest.mark.parametrize(
    ("title", "shape"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "lantern"),
        ("PACK OF 72 RETROSPOT CAKE CASES", "cakecase"),
        ("JUMBO BAG RED RETROSPOT", "tote"),
        ("HOT WATER BOTTLE TEA AND SYMPATHY", "hotwater"),
        ("WHITE BIRD GARDEN DESIGN MUG", "mug"),
        ("SET OF 3 CAKE TINS PANTRY DESIGN", "caddy"),
        ("Adventure-Ready Expedition Backpack", "rucksack"),
        ("FLUID MILK WHITE ONLY", "milk"),
    ],
)
def test_a_title_is_drawn_by_its_head_noun(title, shape):
    assert shape_for(title, (), "1") == shape


def test_the_category_helps_when_the_title_does_not():
    assert shape_for("Grand Imperial 2000", ("Groceries", "Bread"), "1") == "bread"
    assert shape_for("Zzyzx", ("Other",), "1") in STILL_LIFES


def test_every_keyword_leads_to_a_shape_that_exists():
    lines = [line for line in KEYWORDS.read_text().splitlines() if line and not line.startswith("#")]

    assert {line.partition(":")[0] for line in lines} <= set(shapes())


def test_the_first_colour_word_counts():
    assert colour_in("RED AND BLUE CHARLIE+LOLA") == "red"
    assert colour_in("Sea-Green Vase") == "sea-green"
    assert colour_in("Plain thing") == ""
