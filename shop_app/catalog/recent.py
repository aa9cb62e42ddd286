"""What this browser looked at lately, kept in its signed cookie and only for people who agreed to personalisation."""

from flask import session

from shop_app.core.shopper import Shopper

MOST_RECENT = 12


def recent_skus(shopper: Shopper) -> list[str]:
    """Item ids, newest first; empty without consent to personalisation."""
    kept = session.get("recent") if shopper.consent.personalisation else None
    return [sku for sku in kept if isinstance(sku, str)] if isinstance(kept, list) else []


def remember_viewed(sku: str, shopper: Shopper) -> None:
    """Put `sku` first. Does nothing without consent, and forgets what was kept before it was withdrawn."""
    if not shopper.consent.personalisation:
        session.pop("recent", None)
        return
    known = recent_skus(shopper)
    if known[:1] != [sku]:  # looked at again: no new cookie
        session["recent"] = [sku, *(other for other in known if other != sku)][:MOST_RECENT]
