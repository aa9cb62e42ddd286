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


@dataclass(frozen=True, slots=True)
class DraftQuestion:
    """What would ``surface`` have earned between two moments with ``knobs`` on top of the settings of then?

    ``knobs`` are named as in policies and profiles. At most ``most`` logged lists are looked at, the newest first.
    """

    surface: str
    from_: datetime
    to: datetime
    knobs: Mapping[str, Any]
    most: int = 3000


@dataclass(frozen=True, slots=True)
class DraftEstimate:
    """One estimator's value an impression with its 95 % interval: clicks, or money in minor units."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DraftAnswer:
    """What the log says of a draft. ``rows`` are impressions; weights are draft odds over logged odds.

    ``problem`` says why no estimate is given and what to log; then both lists are empty. ``same_share``: impressions of
    an item that the draft shows in that very place. ``redone_share``: places that the settings of then fill as then
    when the list is made again; below 1 the log is not whole, and the draft's lists are not what they would have been.
    ``replay`` uses only places that are the same, and is unbiased only for a log drawn at random.
    """

    lists: int
    rows: int
    measured_clicks: float
    measured_revenue: float
    explored_share: float
    same_share: float
    redone_share: float
    effective: float
    mean_weight: float
    largest_weight: float
    problem: str | None
    replay_clicks: float | None
    clicks: tuple[DraftEstimate, ...] = ()
    revenue: tuple[DraftEstimate, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddingHealth:
    """The state of the catalogue's vectors. ``own`` were sent by the shop; the lists name at most 100 items each.

    ``wrong`` counts missing, zero and stale ones; from 5 % of the catalogue on a rebuild is due (the background job
    does it anyway, in small steps).
    """

    model: str
    is_sentence_model: bool
    total: int
    own: int
    wrong: int
    missing: tuple[str, ...]
    zero: tuple[str, ...]
    stale: tuple[str, ...]
    needs_rebuild: bool


@dataclass(frozen=True, slots=True)
class TextNeighbour:
    """An item near another by text; ``similarity`` is the cosine. Blacklisted ones are shown here, and only here."""

    item_id: str
    similarity: float
    is_blacklisted: bool


@dataclass(frozen=True, slots=True)
class FalsePair:
    """Two items that look alike to the model but not to people."""

    item_id: str
    other_id: str
    noted_by: str | None = None


@dataclass(frozen=True, slots=True)
class RefitStatus:
    """How the learned ranking stands. ``state``: never, running, done, failed or interrupted (its process died).

    ``done``/``total`` are steps of the current or last run. ``purchases`` were learned from; ``new_purchases`` and
    ``erasures`` came since. ``is_due`` says whether the next look starts a run.
    """

    state: str
    is_due: bool
    started_at: datetime | None = None
    finished_at: datetime | None = None
    done: int = 0
    total: int = 0
    what: str = ""
    purchases: int = 0
    new_purchases: int = 0
    erasures: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class InputCoverage:
    """How much of the catalogue has an input: ``share`` of the available items. ``used_by`` says what reads it."""

    name: str
    share: float
    used_by: str


@dataclass(frozen=True, slots=True)
class SignalCoverage:
    """One signal on one surface over the sampled lists.

    ``answers``: share of lists in which it found a candidate or scored an item; ``candidates``: mean found;
    ``score_share``: its part of the listed items' scores. Weight 0 or ``answers`` 0 means that it does not reach them.
    """

    surface: str
    name: str
    weight: float
    answers: float
    candidates: float
    score_share: float


@dataclass(frozen=True, slots=True)
class ColumnCoverage:
    """One column of a learned ranker: share of its splits' gain (0–1). 0 means that it was never used."""

    recipe: str
    name: str
    gain_share: float


@dataclass(frozen=True, slots=True)
class FeatureAudit:
    """Which inputs reach the ranking, over ``lists`` sampled lists of real shoppers and guests."""

    lists: int
    items: int
    inputs: tuple[InputCoverage, ...]
    signals: tuple[SignalCoverage, ...]
    columns: tuple[ColumnCoverage, ...]
