"""How much is sent to Recsys at once: within which bounds workers may feel their way (RS-075)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from shop_app.core.errors import InvalidInput
from shop_app.extensions import db
from shop_app.site_settings.models import SiteSetting
from shop_app.site_settings.stored import stored_settings

KEY = "delivery"


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Rows a call, and calls of events under way at a time over all workers."""

    events_smallest: int = 10
    events_largest: int = 500
    events_at_once: int = 4
    items_largest: int = 200
    users_largest: int = 200


DEFAULTS = DeliverySettings()
LIMITS = {
    "events_smallest": (1, 500),
    "events_largest": (1, 1000),
    "events_at_once": (1, 16),
    "items_largest": (1, 500),
    "users_largest": (1, 1000),
}
"""What can be set: a call of Recsys takes 1000 events, 500 items, 1000 users."""
NAMES = tuple(field.name for field in fields(DeliverySettings))


def delivery_settings() -> DeliverySettings:
    """The bounds now, at most a second behind another process's edit."""
    stored = stored_settings().get(KEY)
    return _merged(stored.values) if stored else DEFAULTS


def delivery_settings_now() -> tuple[DeliverySettings, int]:
    """The bounds as stored, with their version (0: nobody changed them)."""
    row = db.session.get(SiteSetting, KEY)
    return (_merged(row.values), row.version) if row else (DEFAULTS, 0)


def parse_delivery(form: Mapping[str, str]) -> dict[str, int]:
    """The bounds of a form.

    Raises:
        InvalidInput: one is no whole number within its limits, or the smallest batch is larger than the largest.

    """
    problems: dict[str, list[str]] = {}
    values: dict[str, int] = {}
    for name, (least, most) in LIMITS.items():
        text = form.get(name, "").strip()
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            values[name] = int(text)
        else:
            problems[name] = [f"A whole number from {least} to {most}."]
    if not problems and values["events_smallest"] > values["events_largest"]:
        problems["events_smallest"] = ["Not more than the largest batch."]
    if problems:
        raise InvalidInput(problems)
    return values


def as_values(settings: DeliverySettings) -> dict[str, int]:
    """For storing, and for comparing two versions."""
    return asdict(settings)


def _merged(values: Mapping[str, object]) -> DeliverySettings:
    known = {name: value for name, value in values.items() if name in NAMES and isinstance(value, int)}
    return replace(DEFAULTS, **known)
