"""How often an item is regretted, and what that does to its score."""

from dataclasses import dataclass

import numpy as np

from recsys_engine.domain import FloatArray, Guardrail, IntArray, Query
from recsys_engine.signals.decay import read_factor
from recsys_engine.signals.popularity import TREND_LONG_MS
from recsys_engine.signals.state import LiveState

TRUST = 20.0
"""An item without events counts as this many with the tolerated rate."""


@dataclass(frozen=True, slots=True)
class Regret:
    """One guardrail on one item; ``bad`` and ``base`` are decayed counts of events."""

    guardrail: str
    bad: float
    base: float
    rate: float
    multiplier: float


class Guardrails:
    """Score multipliers in 0.2…1 from the live counters; 1 for everything while no such event was seen."""

    def __init__(self, state: LiveState, rules: tuple[Guardrail, ...] = ()) -> None:
        self._state = state
        self.rules = rules

    @property
    def are_active(self) -> bool:
        """Does any of them have something to say?"""
        return bool(self._active())

    def multipliers(self, query: Query, items: IntArray) -> FloatArray:
        """The product over all guardrails for each item."""
        found = np.ones(len(items))
        for rule in self._active():
            found *= self._judge(rule, round(query.now_s * 1000), items)[3]
        return found

    def regrets(self, now_ms: int, items: IntArray) -> list[tuple[int, Regret]]:
        """What the active guardrails say of each item, those without an effect left out."""
        return [
            (item, Regret(rule.name, bad, base, rate, multiplier))
            for rule in self._active()
            for item, bad, base, rate, multiplier in zip(
                items.tolist(), *(column.tolist() for column in self._judge(rule, now_ms, items)), strict=True
            )
            if multiplier < 1
        ]

    def _active(self) -> list[Guardrail]:
        seen = self._state.popularity.type_rows
        return [rule for rule in self.rules if rule.strength > 0 and rule.event_type in seen]

    def _judge(
        self, rule: Guardrail, now_ms: int, items: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        bad, base = (self._count(type_, now_ms, items) for type_ in (rule.event_type, rule.base_type))
        rate = (bad + TRUST * rule.tolerated) / (base + TRUST)
        excess = np.maximum(rate - rule.tolerated, 0.0)
        return bad, base, rate, np.maximum(1 - rule.strength * excess, rule.floor)

    def _count(self, type_: int, now_ms: int, items: IntArray) -> FloatArray:
        popularity = self._state.popularity
        factor = read_factor(now_ms, popularity.epoch_ms, TREND_LONG_MS)
        counted: FloatArray = np.maximum(popularity.counted(type_, items), 0) * factor
        return counted
