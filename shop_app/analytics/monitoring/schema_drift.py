"""What changed in the shape of events: a renamed key, another type, a new currency, named by its exact path."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shop_app.core.lazily import Lazily

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

stats = Lazily("scipy.stats")

P_LIMIT = 1e-6  # tail probability below which a share has changed
SMALLEST_SHIFT = 0.02  # shares must also move by this much: two in a hundred events
MOST_VALUES = 30  # a text field with more different values than this is free text, not a category
FEWEST_EVENTS = 20  # events in the window needed before absence means anything


class Drift(StrEnum):
    """Kind of change."""

    MISSING = "missing"
    UNEXPECTED = "unexpected"
    TYPE = "type"
    VALUE = "value"


@dataclass(frozen=True)
class SchemaChange:
    """One change: `path` such as "purchase.meta.unit_price", what was usual, what is seen now and in which share of
    the events.
    """

    kind: Drift
    path: str
    usual: str
    seen: str
    share: float


@dataclass
class SchemaProfile:
    """Counts per event type and path; profiles of several windows can be added. Values: short texts only."""

    events: Counter[str] = field(default_factory=Counter)
    present: Counter[tuple[str, str]] = field(default_factory=Counter)
    types: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    values: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, event_type: str, payload: Mapping[str, Any]) -> None:
        """Count one event's paths, JSON types and short text values."""
        self.events[event_type] += 1
        for path, value in _leaves(payload, ()):
            self.present[event_type, path] += 1
            self.types[event_type, path, _json_type(value)] += 1
            if isinstance(value, str) and len(value) <= 12:
                self.values[event_type, path, value] += 1

    def merge(self, other: SchemaProfile) -> None:
        """Add another profile's counts to this one."""
        self.events += other.events
        self.present += other.present
        self.types += other.types
        self.values += other.values


def profile(events: Iterable[tuple[str, Mapping[str, Any]]]) -> SchemaProfile:
    """Profile of (event type, payload) pairs."""
    result = SchemaProfile()
    for event_type, payload in events:
        result.add(event_type, payload)
    return result


def drift(usual: SchemaProfile, window: SchemaProfile) -> list[SchemaChange]:
    """Changes of `window` against `usual`, largest share first. Types with fewer than 20 events are not judged."""
    changes: list[SchemaChange] = []
    for event_type, count in window.events.items():
        if count >= FEWEST_EVENTS and usual.events[event_type] >= FEWEST_EVENTS:
            changes += _presence_changes(usual, window, event_type)
            changes += _label_changes(usual.types, window.types, usual, window, event_type, Drift.TYPE)
            changes += _label_changes(usual.values, window.values, usual, window, event_type, Drift.VALUE)
    return sorted(changes, key=lambda change: (-change.share, change.path, change.kind))


def _presence_changes(usual: SchemaProfile, window: SchemaProfile, event_type: str) -> list[SchemaChange]:
    now, before = window.events[event_type], usual.events[event_type]
    paths = {path for kind, path in (*usual.present, *window.present) if kind == event_type}
    changes = []
    for path in sorted(paths):
        seen, known = window.present[event_type, path], usual.present[event_type, path]
        if not _share_changed(seen, now, known, before):
            continue
        missing = seen / now < known / before
        kind = Drift.MISSING if missing else Drift.UNEXPECTED
        shift = abs(seen / now - known / before)
        changes.append(
            SchemaChange(kind, f"{event_type}.{path}", f"in {known / before:.1%}", f"in {seen / now:.1%}", shift)
        )
    return changes


def _label_changes(  # noqa: PLR0917 - the same two profiles with the counter to look at
    usual_labels: Counter[tuple[str, str, str]],
    labels: Counter[tuple[str, str, str]],
    usual: SchemaProfile,
    window: SchemaProfile,
    event_type: str,
    kind: Drift,
) -> list[SchemaChange]:
    """Types or category values that were rare on a path and are not any more."""
    changes = []
    for (event, path, label), seen in sorted(labels.items()):
        now, before = window.present[event_type, path], usual.present[event_type, path]
        if event != event_type or now < FEWEST_EVENTS or before < FEWEST_EVENTS:
            continue
        known = {name: count for (e, p, name), count in usual_labels.items() if (e, p) == (event_type, path)}
        if not known or len(known) > MOST_VALUES:
            continue
        before_share = known.get(label, 0) / before
        if seen / now > before_share and _share_changed(seen, now, known.get(label, 0), before):
            commonest = max(sorted(known), key=lambda name: known[name])
            changes.append(SchemaChange(kind, f"{event_type}.{path}", commonest, label, seen / now - before_share))
    return changes


def _share_changed(seen: int, now: int, known: int, before: int) -> bool:
    """Both a real and a sizeable difference: binomial tail around the usual share (one event more than known), and ≥ 2
    points.
    """
    if abs(seen / now - known / before) < SMALLEST_SHIFT:
        return False
    usual = (known + 1) / (before + 2)
    law = stats.binom(now, usual)
    return bool(min(law.cdf(seen), law.sf(seen - 1)) < P_LIMIT)


def _leaves(value: Any, path: tuple[str, ...]) -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list):
        yield ".".join(path), value
        for inner in value:
            if isinstance(inner, dict):
                yield from _leaves(inner, (*path[:-1], f"{path[-1]}[]"))
    else:
        yield ".".join(path), value


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return {float: "number", str: "string", list: "array"}.get(type(value), type(value).__name__)
