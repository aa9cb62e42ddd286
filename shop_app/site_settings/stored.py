"""Every stored setting, read once for a moment: the table is small, and each list needs several of its rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
    updated_at: datetime | None = None


def _read() -> dict[str, Stored]:
    columns = select(SiteSetting.key, SiteSetting.values, SiteSetting.version, SiteSetting.updated_at)
    return {key: Stored(*row) for key, *row in db.session.execute(columns)}


ENGINE_KEY = "engine"
"""The row whose version goes up with every change of the recommender's own settings; see `services.mark_engine`."""
stored_settings = Kept(_read, SiteSetting)
"""By key, at most a second behind another process's edit."""


def engine_settings() -> Stored:
    """The version grows with every change that staff make to the recommender's settings: an answer from before is out
    of date. The values are the recommender's and not here.
    """
    return stored_settings().get(ENGINE_KEY, _NEVER_CHANGED)


_NEVER_CHANGED = Stored({}, 0)
