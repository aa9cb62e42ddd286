"""Stored settings of a tenant, read once per change and kept as plain values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from recsys_engine.contract.entities import EventTypeConfig
from recsys_engine.domain import Guardrail
from recsys_engine.service.recipes import (
    DEFAULT_GUARDRAILS,
    DEFAULT_HALF_LIVES_DAYS,
    DEFAULT_TYPE_NAMES,
    DEFAULT_TYPE_WEIGHTS,
    FALLBACK_HALF_LIFE_DAYS,
)
from recsys_engine.signals.decay import DAY_MS
from recsys_engine.signals.state import CounterSettings
from recsys_engine.store.documents import Document

EVENT_TYPE = "event_type"
CATEGORY_PACE = "category_pace"
GUARDRAIL = "guardrail"
FALSE_PAIR = "false_pair"
_NO_DOCUMENTS: Mapping[str, Mapping[str, Document]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """Every settings document by kind and key, the set as text, and a digest that names it."""

    by_kind: Mapping[str, Mapping[str, Document]] = field(default_factory=lambda: _NO_DOCUMENTS)
    digest: str = "0" * 8
    text: str = "[]"
    type_weights: Mapping[int, float] = field(default_factory=lambda: DEFAULT_TYPE_WEIGHTS)
    guardrails: tuple[Guardrail, ...] = DEFAULT_GUARDRAILS
    not_alike: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Item id → ids of the items people said are not like it."""

    def of_kind(self, kind: str) -> Mapping[str, Document]:
        return self.by_kind.get(kind, {})


def settings_from(found: list[Document]) -> StoredSettings:
    """Group documents and name the set."""
    by_kind: dict[str, dict[str, Document]] = {}
    for document in found:
        by_kind.setdefault(document.kind, {})[document.key] = document
    text = json.dumps([[d.kind, d.key, d.body] for d in found], sort_keys=True)
    settings = StoredSettings(by_kind, blake2b(text.encode(), digest_size=4).hexdigest(), text)
    return replace(
        settings, type_weights=type_weights(settings), guardrails=guardrails(settings), not_alike=_not_alike(settings)
    )


def settings_from_text(text: str) -> StoredSettings:
    """The set whose ``text`` this was; versions and times of its documents are not kept."""
    return settings_from([Document(kind, key, 0, body, 0, 0) for kind, key, body in json.loads(text)])


def event_types(settings: StoredSettings) -> tuple[EventTypeConfig, ...]:
    """Effective types, defaults under the tenant's own, ordered by type; inactive ones included."""
    effective = {
        type_: EventTypeConfig(
            type_, weight, DEFAULT_TYPE_NAMES[type_], DEFAULT_HALF_LIVES_DAYS[type_], True, "default"
        )
        for type_, weight in DEFAULT_TYPE_WEIGHTS.items()
    }
    for document in settings.of_kind(EVENT_TYPE).values():
        effective[document.body["type"]] = _event_type(document.body)
    return tuple(effective[type_] for type_ in sorted(effective))


def _event_type(body: Mapping[str, Any]) -> EventTypeConfig:
    return EventTypeConfig(
        body["type"], body["weight"], body.get("name"), body.get("half_life_days"), body.get("is_active", True)
    )


def with_kept_names(types: Sequence[EventTypeConfig], settings: StoredSettings) -> list[EventTypeConfig]:
    """An upsert on top of what is stored: a ``name`` or ``is_active`` left out stays."""
    known = {config.type: config for config in event_types(settings)}
    kept = []
    for config in types:
        stored = known.get(config.type, replace(config, is_active=True))
        is_active = stored.is_active if config.is_active is None else config.is_active
        kept.append(replace(config, name=config.name or stored.name, is_active=is_active))
    return kept


def type_weights(settings: StoredSettings) -> dict[int, float]:
    """Weight per active type."""
    return {config.type: config.weight for config in event_types(settings) if config.is_active}


def half_lives_ms(settings: StoredSettings) -> dict[int, int]:
    """Half-life per type in milliseconds."""
    return {
        config.type: round((config.half_life_days or FALLBACK_HALF_LIFE_DAYS) * DAY_MS)
        for config in event_types(settings)
    }


def _not_alike(settings: StoredSettings) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for document in settings.of_kind(FALSE_PAIR).values():
        one, other = document.body["item_id"], document.body["other_id"]
        found[one] = (*found.get(one, ()), other)
        found[other] = (*found.get(other, ()), one)
    return found


def category_pace(settings: StoredSettings) -> dict[str, float]:
    """Factor on the half-lives of each category that has its own, by folded name."""
    return {key: float(document.body["factor"]) for key, document in settings.of_kind(CATEGORY_PACE).items()}


def guardrails(settings: StoredSettings) -> tuple[Guardrail, ...]:
    """The guardrails, defaults under the tenant's own, by name; those of strength 0 are off."""
    stored = settings.of_kind(GUARDRAIL)
    own = {name: Guardrail(name=name, **document.body) for name, document in stored.items()}
    effective = {guard.name: guard for guard in DEFAULT_GUARDRAILS} | own
    return tuple(effective[name] for name in sorted(effective))


def shortest_half_life_ms(settings: StoredSettings) -> int:
    """The half-life that decides how long an epoch may last, at most 3 days."""
    fastest = min([1.0, *category_pace(settings).values()])
    return max(round(min(3 * DAY_MS, *half_lives_ms(settings).values()) * fastest), 1)


def counter_settings(settings: StoredSettings, epoch_ms: int) -> CounterSettings:
    """What the live counters are built with."""
    fallback_ms = round(FALLBACK_HALF_LIFE_DAYS * DAY_MS)
    return CounterSettings(epoch_ms, half_lives_ms(settings), fallback_ms, category_pace=category_pace(settings))
