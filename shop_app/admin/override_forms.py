"""Reading a manual override: one item up or away, for a while."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from recsys_engine.contract.control import ManualOverride
from shop_app.core.errors import InvalidInput
from shop_app.site_settings.defaults import SLOTS

EVERYWHERE = "*"
ACTIONS = {"boost": "Show higher", "suppress": "Never show"}
MAX_BOOST = 10.0
MAX_NOTE_CHARS = 300
_BOOST = re.compile(r"\d{1,2}(\.\d{1,3})?")


def parse_override(form: Mapping[str, str], *, created_by: str, now: datetime) -> ManualOverride:
    """An override as typed; whether the item exists is the caller's question.

    Raises:
        InvalidInput: names every field at fault.

    """
    problems: dict[str, list[str]] = {}
    item, action, boost = form.get("item_id", "").strip(), form.get("action", ""), form.get("boost_value", "").strip()
    if not item:
        problems["item_id"] = ["The SKU of one product."]
    if form.get("surface") not in {EVERYWHERE, *SLOTS}:
        problems["surface"] = ["There is no such slot."]
    if action not in ACTIONS:
        problems["action"] = ["Choose what to do."]
    if action == "boost" and not (_BOOST.fullmatch(boost) and 0 < float(boost) <= MAX_BOOST):
        problems["boost_value"] = [f"Above 0, at most {MAX_BOOST:g}: 0.5 is 50 % more score."]
    notes = form.get("notes", "").strip()
    if not 1 <= len(notes) <= MAX_NOTE_CHARS:
        problems["notes"] = [f"Say why, in up to {MAX_NOTE_CHARS} characters: somebody will ask."]
    expires_at = read_moment(form.get("expires_at", ""), "expires_at", problems)
    if expires_at and expires_at <= now:
        problems["expires_at"] = ["In the future, in UTC."]
    if problems:
        raise InvalidInput(problems)
    return ManualOverride(
        item_id=item,
        action=action,
        surface=form["surface"],
        boost_value=float(boost) if action == "boost" else None,
        notes=notes,
        created_by=created_by,
        expires_at=expires_at,
    )


def read_moment(text: str, field: str, problems: dict[str, list[str]]) -> datetime | None:
    """A moment in UTC as browsers send it (`2026-03-01T10:00`); empty means none."""
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        problems[field] = ["A day and time such as 2026-03-01 10:00."]
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def typed_moment(moment: datetime | None) -> str:
    """The other way round."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if moment else ""
