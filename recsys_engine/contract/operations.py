"""What keeps the recommender good, and what a console shows of it: evaluations, guardrails, category pace."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """A stored evaluation. ``config_digest`` names the settings and the ranker's recipe it was made with.

    ``report["engines"][engine][task]`` holds ``cases``, ``ndcg``, ``low``, ``high``, ``recall``, ``hit``, ``mrr``,
    ``coverage``, ``novelty``, ``diversity``, ``segments`` (name → ndcg) and, for baselines, ``against``: the paired
    95 % interval of our ndcg minus theirs. Engines: ``ranking`` (ours), ``popularity``, ``personal_frequency``,
    ``item_knn``. Tasks: ``next_basket``, ``repeats``, ``new_items``.
    """

    evaluation_id: str
    made_at: datetime
    cut: datetime
    seconds: float
    config_digest: str
    report: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EvaluationDrop:
    """A task of our ranking that fell by more than allowed; ndcg@10 then and now."""

    task: str
    before: float
    now: float


@dataclass(frozen=True, slots=True)
class GuardrailSetting:
    """A guardrail as configured: events of ``event_type`` against those of ``base_type``, both decayed (120 days).

    An item whose rate exceeds ``tolerated`` (0–1) keeps max(``floor``, 1 − ``strength`` · excess) of its score.
    Strength 0 is off, at most 10.
    """

    name: str
    event_type: int
    base_type: int
    tolerated: float
    strength: float
    floor: float = 0.2


@dataclass(frozen=True, slots=True)
class RegrettedItem:
    """An item a guardrail holds down now; ``bad`` and ``base`` are decayed counts."""

    item_id: str
    guardrail: str
    bad: float
    base: float
    rate: float
    multiplier: float
