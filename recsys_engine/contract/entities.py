"""Items, users and events as they cross the boundary."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any, Final


class Unset(Enum):
    """Marks a field the caller left out, so that it keeps its stored value (``None`` clears it)."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET


class EventType(IntEnum):
    """The event dictionary. Other non-negative numbers are allowed and weigh nothing until configured."""

    VIEW = 0
    CLICK = 1
    ADD = 2
    PURCHASE = 3
    CUSTOM = 4


OUT_OF_STOCK_CLICK, RETURN = 10, 11
"""Event types a shop reports regrets with: a click on something that was not there, and goods sent back."""


@dataclass(frozen=True, slots=True)
class Item:
    """A product. ``price`` is in major units of the namespace's currency.

    Tags ``brand:x`` and ``category:x`` (or ``cat:x``) drive caps and rules when ``brand``/``category`` are absent.
    ``props.parent_id`` groups variants for de-duplication; ``props.stock`` and ``props.title`` are read when present.
    On insert a field left out means: available true, everything else empty.
    """

    item_id: str
    available: bool | Unset = UNSET
    price: float | Unset | None = UNSET
    tags: tuple[str, ...] | Unset | None = UNSET
    props: Mapping[str, Any] | Unset | None = UNSET
    embedding: tuple[float, ...] | Unset | None = UNSET
    brand: str | Unset | None = UNSET
    category: str | Unset | None = UNSET
    category_path: tuple[str, ...] | Unset | None = UNSET
    description: str | Unset | None = UNSET
    image_url: str | Unset | None = UNSET
    metadata_version: str | Unset | None = UNSET


@dataclass(frozen=True, slots=True)
class User:
    """A shopper. ``traits`` hold no personal data; ``traits.segment`` (string) is read by ranking."""

    user_id: str
    traits: Mapping[str, Any] | Unset | None = UNSET


EVENT_SCHEMA_VERSION = 1
"""Of the published schema of events. It goes up with every change of that schema; a test compares fingerprints."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a shopper did.

    ``item_id`` is empty for order-level events. ``value`` is a quantity (1 when absent). ``ts`` is aware UTC; absent
    means "now" by the engine's clock. ``source_event_id`` makes a repeat harmless; without it nothing is deduplicated.
    """

    user_id: str
    item_id: str = ""
    type: int = EventType.VIEW
    value: float = 1.0
    ts: datetime | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    source_event_id: str | None = None


@dataclass(frozen=True, slots=True)
class EventTypeConfig:
    """How much one event type counts. ``half_life_days`` None means the engine's default half-life.

    In an upsert a ``name`` or ``is_active`` of None keeps what is stored.
    """

    type: int
    weight: float
    name: str | None = None
    half_life_days: float | None = None
    is_active: bool | None = True
    source: str = "tenant"


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as stored: every field is set (``embedding`` is never returned)."""

    item: Item
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user as stored."""

    user: User
    created_at: datetime
    updated_at: datetime
