"""Every stored setting, read once for a moment: the table is small, and each list needs several of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from shop_app.extensions import db
from shop_app.site_settings.kept import Kept
from shop_app.site_settings.models import SiteSetting


@dataclass(frozen=True, slots=True)
class Stored:
    """The values under one key."""

    values: Mapping[str, Any]
    version: int


def _read() -> dict[str, Stored]:
    columns = select(SiteSetting.key, SiteSetting.values, SiteSetting.version)
    return {key: Stored(values, version) for key, values, version in db.session.execute(columns)}


stored_settings = Kept(_read, SiteSetting)
"""By key, at most a second behind another process's edit."""
