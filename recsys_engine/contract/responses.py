"""What the recommender answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

Row = TypeVar("Row")


class ScoredItem(NamedTuple):
    """One place in a list. ``rank`` starts at 1; ``score`` has no fixed range and need not fall along the ranks."""

    item_id: str
    score: float
    rank: int
    reasons: tuple[str, ...] = ()
    explain: Mapping[str, Any] | None = None


quick_place: Callable[[tuple[str, float, int, tuple[str, ...], Mapping[str, Any] | None]], ScoredItem] = partial(
    tuple.__new__, ScoredItem
)
"""A ``ScoredItem`` of all its fields, without the Python frame of its constructor: each list makes twenty and more."""


@dataclass(frozen=True, slots=True)
class Recommendations:
    """A ranked list. ``request_id`` is stored with the decision and belongs on every event the list causes."""

    request_id: str
    model_version: str
    items: tuple[ScoredItem, ...]
    segment_id: str | None = None
    profile_id: str | None = None
    trace: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SimilarItems:
    """Neighbours of one item, best first."""

    request_id: str
    items: tuple[ScoredItem, ...]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How many rows a call wrote."""

    accepted: int


@dataclass(frozen=True, slots=True)
class EventRejection:
    """Why one event of a batch was refused; ``index`` is its place in the batch, ``path`` the field at fault."""

    index: int
    code: str
    message: str
    source_event_id: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class EventsResult:
    """Verdict on a batch: accepted + duplicates + rejected = sent."""

    accepted: int
    duplicates: int = 0
    rejected: tuple[EventRejection, ...] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of rows. ``next_offset`` and ``next_cursor`` are None on the last page."""

    rows: tuple[Row, ...]
    total: int
    limit: int
    offset: int
    has_more: bool
    next_offset: int | None = None
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """How many rows went."""

    deleted_count: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class ForgetResult:
    """What erasing people removed, counted per kind."""

    users: int
    events: int
    decisions: int
    bandit_contexts: int


@dataclass(frozen=True, slots=True)
class Health:
    """``status`` is ok or degraded; ``failing`` names the parts at fault."""

    status: str
    failing: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        return self.status == "ok"
