"""Reading settings: stored values over the defaults, once per request."""

from dataclasses import fields, replace
from typing import Any

from sqlalchemy import select

from shop_app.core.errors import NotFound
from shop_app.extensions import db
from shop_app.site_settings.defaults import SLOTS, SlotSettings
from shop_app.site_settings.flags import surface_is_on
from shop_app.site_settings.models import SiteSetting
from shop_app.site_settings.stored import Stored, stored_settings

_EDITABLE = {f.name for f in fields(SlotSettings)} - {"slot", "version"}


def slot_settings(slot: str) -> SlotSettings:
    """What `slot` does now, at most a second behind another process's edit.

    Raises:
        NotFound: there is no such slot.

    """
    if slot not in SLOTS:
        raise NotFound(f"no slot called {slot}")
    return _merged(SLOTS[slot], stored_settings().get(f"surface:{slot}"))


def shown_slot(slot: str) -> SlotSettings:
    """The same as shoppers get it: off when its whole page is switched off.

    Raises:
        NotFound: there is no such slot.

    """
    settings = slot_settings(slot)
    if settings.is_on and not surface_is_on(slot.partition(".")[0]):
        return replace(settings, is_on=False)
    return settings


def all_slot_settings() -> list[SlotSettings]:
    """Every slot as it is stored now, in the order of the registry."""
    keys = [f"surface:{slot}" for slot in SLOTS]
    stored = {row.key: row for row in db.session.scalars(select(SiteSetting).where(SiteSetting.key.in_(keys)))}
    return [_merged(default, stored.get(f"surface:{slot}")) for slot, default in SLOTS.items()]


def _merged(default: SlotSettings, row: SiteSetting | Stored | None) -> SlotSettings:
    if row is None:
        return default
    values: dict[str, Any] = {name: value for name, value in row.values.items() if name in _EDITABLE}
    return replace(default, version=row.version, **values)
