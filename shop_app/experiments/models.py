"""Experiments, who is in which arm, and who has seen it."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from shop_app.extensions import Base, UtcDateTime


class Experiment(Base):
    """One question put to the shoppers of one slot. Everything about its plan is frozen when it starts.

    `status` is draft → running → stopped (by a guardrail or a person) or concluded (the decision was taken).
    `variants` is a list of {name, weight, changes}; the first is the control, `changes` are slot settings over the
    stored ones, with the recommender's own knobs under `engine`. `guardrails` is a list of {metric, direction, margin}.
    `planned_units` counts shoppers over both arms. `revenue_cap_minor` is where revenue per shopper is cut,
    0 = not. `watches` is what earlier looks at the guardrails have used. `targeting` may hold `devices`, a list of
    phone, tablet, desktop, and `people`, members or guests; empty: everybody.
    """

    __tablename__ = "experiment"
    __table_args__ = (Index("ix_experiment_slot", "slot", "status"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(60), unique=True)
    hypothesis: Mapped[str] = mapped_column(Text)
    decision_rule: Mapped[str] = mapped_column(Text)
    slot: Mapped[str] = mapped_column(String(80))
    layer: Mapped[str] = mapped_column(String(60))
    traffic_start: Mapped[float]
    traffic_end: Mapped[float]
    variants: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    primary_metric: Mapped[str] = mapped_column(String(40))
    secondary_metrics: Mapped[list[str]] = mapped_column(JSON, default=list)
    guardrails: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    planned_units: Mapped[int]
    revenue_cap_minor: Mapped[int] = mapped_column(default=0)
    is_aa: Mapped[bool] = mapped_column(default=False)
    targeting: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    is_interleaved: Mapped[bool] = mapped_column(default=False)  # both rankings in one list (team draft), no arms
    status: Mapped[str] = mapped_column(String(10), default="draft")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(80))
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_because: Mapped[str] = mapped_column(String(300), default="")
    last_event_id: Mapped[int] = mapped_column(default=0)  # exposures are collected up to this tracked event
    watches: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class ExperimentUnit(Base):
    """A shopper key and the arm it belongs to since its first exposure.

    `unit` is the key that was exposed first; after a login the member's key points to the same unit. `landing` is the
    surface on which the visit of that exposure began: what was so before any arm could show. `is_mixed`: this person
    has seen two arms and is left out of the results.
    """

    __tablename__ = "experiment_unit"
    __table_args__ = (Index("ix_experiment_unit_unit", "experiment_id", "unit"),)

    experiment_id: Mapped[int] = mapped_column(ForeignKey(Experiment.id, ondelete="CASCADE"), primary_key=True)
    shopper_key: Mapped[str] = mapped_column(String(40), primary_key=True)
    unit: Mapped[str] = mapped_column(String(40))
    variant: Mapped[str] = mapped_column(String(40))
    exposed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    looks_back_to: Mapped[datetime] = mapped_column(UtcDateTime)  # start of the pre-period for CUPED
    device: Mapped[str] = mapped_column(String(10), default="")
    landing: Mapped[str] = mapped_column(String(60), default="", server_default="")
    is_mixed: Mapped[bool] = mapped_column(default=False)


class BanditRun(Base):
    """A bandit on one slot: which policies it chooses among, since when, and why it ended.

    `policies` are ids of the recommender's policies; the first is the incumbent and sets nothing, so that a slot
    without a bandit is ranked as the incumbent ranks. `guardrails` and `watches` as in `Experiment`; `planned_units`
    counts answers that were seen. `last_event_id`: clicks up to this tracked event were rewarded.
    """

    __tablename__ = "bandit_run"
    __table_args__ = (Index("ix_bandit_run_slot", "slot", "ended_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    slot: Mapped[str] = mapped_column(String(80))
    policies: Mapped[list[str]] = mapped_column(JSON)
    guardrails: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    planned_units: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_by: Mapped[str] = mapped_column(String(80))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_because: Mapped[str] = mapped_column(String(300), default="")
    last_event_id: Mapped[int] = mapped_column(default=0)
    watches: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)

    @property
    def key(self) -> str:
        """How its events name it."""
        return f"bandit-{self.id}"


class Study(Base):
    """A long question to the recommender that runs in a process of its own: an evaluation, or a draft in the lab.

    `status` is waiting → running → done, failed or cancelled. `told_at` is its last sign of life.
    """

    __tablename__ = "study"
    __table_args__ = (Index("ix_study_status", "status", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    question: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    status: Mapped[str] = mapped_column(String(10), default="waiting")
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=100)
    step: Mapped[str] = mapped_column(String(80), default="")
    wants_cancel: Mapped[bool] = mapped_column(default=False)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    problem: Mapped[str] = mapped_column(String(500), default="")
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    asked_by: Mapped[str] = mapped_column(String(80))
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
