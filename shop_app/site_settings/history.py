"""Every version of a setting, from the audit trail."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from shop_app.core.errors import NotFound
from shop_app.extensions import db
from shop_app.site_settings.models import AuditEntry

ENGINE_ACTION = "engine.config"
"""A change of the recommender's own configuration, which the shop keeps no copy of but this."""
SETTINGS_ACTIONS = ("settings.update", "settings.restore", ENGINE_ACTION)


@dataclass(frozen=True, slots=True)
class Version:
    """One saved state. `number` counts from 1; `changes` are (field, before, after)."""

    number: int
    at: datetime
    actor: str
    values: dict[str, Any]
    changes: tuple[tuple[str, Any, Any], ...]
    note: str = ""


def versions(key: str, defaults: dict[str, Any] | None = None) -> list[Version]:
    """Newest first. The first one is compared with `defaults`."""
    query = select(AuditEntry).where(AuditEntry.subject == key, AuditEntry.action.in_(SETTINGS_ACTIONS))
    found: list[Version] = []
    before = dict(defaults or {})
    for number, entry in enumerate(db.session.scalars(query.order_by(AuditEntry.id)), start=1):
        after = dict(entry.after or {})
        found.append(Version(number, entry.at, entry.actor, after, differences(before, after), entry.note))
        before = after
    return found[::-1]


def version(key: str, number: int) -> Version:
    """One version.

    Raises:
        NotFound: there is none with this number.

    """
    for one in versions(key):
        if one.number == number:
            return one
    raise NotFound("There is no such version.")


def differences(before: dict[str, Any], after: dict[str, Any]) -> tuple[tuple[str, Any, Any], ...]:
    """(field, before, after) of every field that is not the same, by name."""
    names = sorted(before.keys() | after.keys())
    return tuple((name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name))
