"""What leaves for Recsys."""

import pytest

from recsys_engine.contract.encoding import event_json, item_json, user_json
from recsys_engine.contract.schemas import EventSchema, ItemSchema, UserSchema
from shop_app.accounts.models import User as Member
from shop_app.catalog.models import Brand, Category, Product
from shop_app.catalog.tags import tag, tags
from shop_app.sync.payloads import event_payload, item_payload, major_price, user_payload
from shop_app.tracking.models import TrackedEvent
from tests.factories.catalog import LONG_AGO

SITE = "https://shop.example"


def a_loose_product(**overrides: object) -> Product:
    values = {
        "sku": "MUG-1", "slug": "blue-mug", "title": "Blue mug", "description": "Holds tea.", "price_minor": 1999,
        "currency": "GBP", "stock": 3, "status": "active", "facets": {}, "image_urls": [], "is_bundle": False,
        "category": Category(path="home/kitchen/mugs", slug="mugs", name="Mugs"), "created_at": LONG_AGO,
        "brand": Brand(slug="ostmark", name="Östmark & Söhne"), **overrides,
    }  # fmt: skip
    return Product(**values)


@pytest.mark.ticket("RS-010")
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Colour", "Jet  Black", "colour:jet-black"),
        ("color", "BLACK", "colour:black"),
        ("brand", "Östmark & Söhne", "brand:ostmark-sohne"),
        ("category", "home/kitchen/mugs", "category:home/kitchen/mugs"),
        ("size", "1.5 L", "size:1.5-l"),
        ("material", "  ", ""),
        ("", "oak", ""),
        ("brand", "Straße", "brand:strasse"),
        ("brand", "森田", "brand:森田"),
        ("note", "x" * 200, "note:" + "x" * 75),
        ("colour", "a:b,c|d", "colour:a-b-c-d"),
    ],
)
def test_a_tag_has_one_normal_form(name: str, value: str, expected: str) -> None:
    assert tag(name, value) == expected
    assert tag(*expected.split(":")) == expected if expected else True


@pytest.mark.ticket("RS-010")
def test_tags_name_brand_every_category_level_and_facets() -> None:
    product = a_loose_product(facets={"Color": ["Black", "black"], "material": "Oak", "empty": []})

    assert tags(product) == (
        "brand:ostmark-sohne", "cat:mugs", "category:home", "category:home/kitchen", "category:home/kitchen/mugs",
        "colour:black", "material:oak",
    )  # fmt: skip


@pytest.mark.ticket("RS-009")
@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(1999, "GBP", "19.99"), (1999, "JPY", "1999"), (1999, "KWD", "1.999"), (0, "EUR", "0.00")],
)
def test_a_price_is_rounded_by_its_currency(minor: int, currency: str, text: str) -> None:
    assert str(major_price(minor, currency)) == text


@pytest.mark.ticket("RS-008")
@pytest.mark.parametrize(
    ("status", "stock", "is_available"),
    [("active", 1, True), ("active", 0, False), ("hidden", 5, False), ("discontinued", 5, False)],
)
def test_only_active_products_in_stock_are_available(status: str, stock: int, *, is_available: bool) -> None:
    assert item_payload(a_loose_product(status=status, stock=stock), SITE).available is is_available


@pytest.mark.ticket("RS-011")
@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ([], f"{SITE}/media/products/MUG-1.svg"),
        (
            ["javascript:alert(1)", "//evil.example/x.png", "http://plain.example/x.png"],
            f"{SITE}/media/products/MUG-1.svg",
        ),
        (["/media/a b.png", "/media/a.png"], f"{SITE}/media/a.png"),
        (["https://cdn.example/a.png"], "https://cdn.example/a.png"),
    ],
)
def test_pictures_are_usable_addresses_or_the_drawn_one(urls: list[str], expected: str) -> None:
    item = item_payload(a_loose_product(image_urls=urls), SITE)

    assert item.image_url == expected
    assert item.props["image_url"] == expected  # type: ignore[index]
    assert item.props["url"] == f"{SITE}/products/blue-mug"  # type: ignore[index]


@pytest.mark.ticket("RS-005")
@pytest.mark.ticket("RS-084")
def test_every_payload_is_a_valid_item_user_or_event_of_the_contract() -> None:
    member = Member(
        id=1, key="u_one", email="a@example.org", name="A B", locale="en-GB", country="GB", device="phone",
        newsletter=True, loyalty_tier="gold", preferred_categories=["home"], created_at=LONG_AGO, last_seen_at=LONG_AGO,
    )  # fmt: skip
    row = TrackedEvent(
        source_event_id="order:RS-1:line:1", type=3, shopper_key="u_one", session_id="s_1", item_id="MUG-1", value=2.0,
        occurred_at=LONG_AGO, surface="home", widget="top_picks", rank=3, request_id="req-1", recommended=True,
        order_number="RS-1", is_bot=False, is_qa=True,
        meta={"unit_price": 1999, "currency": "GBP", "clock": "clamped", "href": "/a?x", "text": "mail a@example.org"},
    )  # fmt: skip

    item = ItemSchema().load(item_json(item_payload(a_loose_product(), SITE)))
    user = UserSchema().load(user_json(user_payload(member)))
    event = EventSchema().load(event_json(event_payload(row)))

    assert (item["item_id"], user["user_id"], event["source_event_id"]) == ("MUG-1", "u_one", "order:RS-1:line:1")
    assert set(user["traits"]) == {
        "locale", "country", "device", "loyalty_tier", "newsletter", "preferred_categories", "member_since", "last_seen",
    }  # fmt: skip
    assert event["meta"] == {
        "unit_price": 1999, "currency": "GBP", "href": "/a?x", "text": "mail [email]", "surface": "home",
        "widget": "top_picks", "rank": 3, "request_id": "req-1", "session_id": "s_1", "order_id": "RS-1",
        "recommended": True, "qa": True,
    }  # fmt: skip
