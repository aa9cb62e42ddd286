"""Preview a slot as anybody, with the reason for every place; the settings as they are beside a draft."""

from dataclasses import replace

from flask import request

from shop_app.admin.charts import share
from shop_app.admin.queries import lists as found
from shop_app.admin.views.base import bp, gateway, page
from shop_app.core.errors import InvalidInput
from shop_app.recsys.gateway import RecsysError
from shop_app.site_settings.defaults import SLOTS, SlotSettings
from shop_app.site_settings.forms import MAX_K
from shop_app.site_settings.queries import slot_settings

MAX_CART = 20


@bp.get("/preview")
def preview() -> str | tuple[str, int]:
    """The list now, beside the list a draft would give, and why one item is missing."""
    slot = request.args.get("slot", "home.top_picks")
    settings = slot_settings(slot)
    asked, draft = _asked(), _draft(settings)
    try:
        live = found.list_story(gateway(), settings, asked)
        drafted = found.list_story(gateway(), draft, asked) if draft != settings else None
        sku = request.args.get("missing", "").strip()
        missing = found.why_missing(gateway(), settings, asked, sku) if sku else ""
    except RecsysError as error:
        return page("admin/unreachable.html", what="The lists", error=str(error)), 503
    return page(
        "admin/preview.html",
        slots=list(SLOTS),
        settings=settings,
        draft=draft,
        asked=asked,
        live=live,
        drafted=drafted,
        ranks={place.item_id: place.rank for place in live.places},
        sku=sku,
        missing=missing,
        share=share,
    )


def _asked() -> found.Asked:
    cart = [sku.strip() for sku in request.args.get("cart", "").split(",") if sku.strip()]
    return found.Asked(
        shopper_key=request.args.get("shopper", "").strip()[:40],
        item=request.args.get("item", "").strip()[:100],
        category=request.args.get("category", "").strip()[:300],
        cart=tuple(cart[:MAX_CART]),
    )


def _draft(settings: SlotSettings) -> SlotSettings:
    changes: dict[str, int] = {}
    for name, least in (("k", 1), ("brand_cap", 0), ("category_cap", 0)):
        text = request.args.get(f"draft_{name}", "").strip()
        if not text:
            continue
        if not (text.isascii() and text.isdigit() and least <= int(text) <= MAX_K):
            raise InvalidInput({name: [f"A whole number from {least} to {MAX_K}."]})
        changes[name] = int(text)
    return replace(settings, **changes)  # type: ignore[arg-type]  # every name above is a whole number
