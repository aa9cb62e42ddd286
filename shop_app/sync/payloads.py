"""From rows of the shop to the contract: the only place where what leaves is put together."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from recsys_engine.contract import OUT_OF_STOCK_CLICK, RETURN, Event, Item, User
from shop_app.accounts.models import User as Member
from shop_app.catalog.models import Product
from shop_app.catalog.tags import tags
from shop_app.core.events import META_KEYS, EventKind, Regret
from shop_app.core.money import Money
from shop_app.core.redaction import scrub
from shop_app.tracking.models import TrackedEvent

MAX_DESCRIPTION = 5000
REGRET_TYPES: Mapping[str | None, int] = {Regret.SOLD_OUT_CLICK: OUT_OF_STOCK_CLICK, Regret.RETURN: RETURN}
"""Which type on the wire a regretted product is told with; Recsys's guardrails lower the scores of what has many."""
FREE_TEXT = {"text", "href", "referrer"}
"""Meta that people or browsers wrote: imported rows have not been through the intake."""


def item_payload(product: Product, site_url: str) -> Item:
    """What Recsys knows of a product. Every field is sent, so that clearing one here clears it there.

    Price is in major units, rounded by the currency. Hidden and discontinued products are unavailable.
    """
    path = tuple(product.category.path.split("/"))
    return Item(
        item_id=product.sku,
        available=product.status == "active" and product.stock > 0,
        price=float(major_price(product.price_minor, product.currency)),
        tags=tags(product),
        props={
            "title": product.title,
            "url": f"{site_url}/products/{product.slug}",
            "image_url": image_url(product, site_url),
            "parent_id": product.sku,
            "currency": product.currency,
            "stock": product.stock,
            "is_bundle": product.is_bundle,
            "status": product.status,
        },
        brand=product.brand.name if product.brand else None,
        category=path[-1],
        category_path=path,
        description=product.description[:MAX_DESCRIPTION],
        image_url=image_url(product, site_url),
    )


def user_payload(member: Member) -> User:
    """A member as Recsys may know them: an opaque key and traits that name nobody."""
    return User(
        user_id=member.key,
        traits={
            "locale": member.locale,
            "country": member.country,
            "device": member.device,
            "loyalty_tier": member.loyalty_tier,
            "newsletter": member.newsletter,
            "preferred_categories": list(member.preferred_categories),
            "member_since": member.created_at.date().isoformat(),
            "last_seen": member.last_seen_at.date().isoformat(),
        },
    )


def event_payload(row: TrackedEvent) -> Event:
    """A logged event. `meta` holds allowed keys only, and none that says nothing."""
    said = (
        *((key, _clean(key, value)) for key, value in row.meta.items() if key in META_KEYS),
        ("surface", row.surface),
        ("widget", row.widget),
        ("rank", row.rank),
        ("request_id", row.request_id),
        ("session_id", row.session_id),
        ("order_id", row.order_number),
    )
    meta: dict[str, Any] = {key: value for key, value in said if value is not None and value != ""}
    meta["recommended"] = row.recommended
    meta |= {name: True for name, is_set in (("bot", row.is_bot), ("qa", row.is_qa)) if is_set}
    return Event(
        user_id=row.shopper_key,
        item_id=row.item_id or "",
        type=REGRET_TYPES.get(row.meta.get("kind"), row.type) if row.type == EventKind.CUSTOM else row.type,
        value=row.value,
        ts=row.occurred_at,
        meta=meta,
        source_event_id=row.source_event_id,
    )


def major_price(minor: int, currency: str) -> Decimal:
    """`1999` pence → `19.99`, `1999` yen → `1999`: exact, with the currency's own number of digits."""
    return Money(minor, currency).decimal()


def _clean(key: str, value: Any) -> Any:
    return scrub(value) if key in FREE_TEXT and isinstance(value, str) else value


def image_url(product: Product, site_url: str) -> str:
    """The first usable picture; a drawn one when there is none. Looks at the text only and fetches nothing."""
    first = next((url for url in product.image_urls if _is_picture_address(url)), f"/media/products/{product.sku}.svg")
    return first if first.startswith("https://") else site_url + first


def _is_picture_address(url: str) -> bool:
    is_path = url.startswith("/") and not url.startswith("//")
    return (is_path or url.startswith("https://")) and not any(c.isspace() or ord(c) < 32 for c in url)
