"""Changing experiments: plan, start, end, note who has seen what, and end by itself what does harm."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from shop_app.core.errors import Conflict, InvalidInput
from shop_app.core.events import EventKind
from shop_app.experiments.bucketing import HashRange, Split, Target, assign, free_range
from shop_app.experiments.errors import LayerIsFull
from shop_app.experiments.guardrails import FALSE_STOP, Direction, Guardrail, HarmWatch, look_for_harm
from shop_app.experiments.metrics import METRICS, moments_of
from shop_app.experiments.models import Experiment, ExperimentUnit
from shop_app.experiments.queries import experiment_by_key, running, split_of, target_of, unit_sums
from shop_app.extensions import db, insert_into
from shop_app.site_settings.defaults import SLOTS, SlotSettings
from shop_app.site_settings.flags import Flag, is_on
from shop_app.site_settings.services import audit
from shop_app.tracking.models import TrackedEvent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

LABEL = r"[a-z0-9._-]{1,40}"
"""Keys and variant names travel in attributes and event meta."""
ENGINE = "engine"
CHANGEABLE = frozenset(f.name for f in fields(SlotSettings)) - {"slot", "version", "experiment"} | {ENGINE}
"""What a variant may change: its slot's settings, and under `engine` some of the recommender's."""
ENGINE_KNOBS = {
    "mmr_lambda": (0.0, 1.0),
    "profile_boost": (0.0, 100.0),
    "blend_alpha": (0.0, 1000.0),
    "blend_beta": (0.0, 1000.0),
    "blend_gamma": (0.0, 1000.0),
    "exploration_rate": (0.0, 1.0),
}
"""The recommender's settings that travel with a single question, with their ranges."""
EVERYBODY = Target()
RANKING = frozenset({"brand_cap", "category_cap", ENGINE})
"""What changes the order of a list, and so may be interleaved."""
PRE_PERIOD = timedelta(days=28)
"""How far back CUPED looks before a shopper's first exposure."""
LONGEST_VISIT = timedelta(hours=12)
"""How far back the beginning of a visit is looked for."""


@dataclass(frozen=True, slots=True)
class Variant:
    """An arm; `changes` are slot settings such as {"k": 12} that go over the stored ones. The control has none."""

    name: str
    weight: float
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPlan:
    """What is written down before launch. `traffic` is the share of the layer, 0..1; the first arm is the control."""

    key: str
    hypothesis: str
    decision_rule: str
    slot: str
    variants: Sequence[Variant]
    primary_metric: str
    planned_units: int
    secondary_metrics: Sequence[str] = ()
    guardrails: Sequence[Guardrail] = ()
    layer: str = ""
    traffic: float = 1.0
    revenue_cap_minor: int = 0
    is_aa: bool = False
    is_interleaved: bool = False
    target: Target = EVERYBODY


def plan_experiment(plan: ExperimentPlan, *, actor: str, now: datetime) -> Experiment:
    """Store a draft and reserve its part of the layer (by default a layer of its own slot).

    Raises:
        InvalidInput: a field breaks a rule.
        Conflict: the key is taken.
        LayerIsFull: the layer has no free range of that width.

    """
    _check(plan)
    if db.session.scalars(select(Experiment.id).where(Experiment.key == plan.key)).one_or_none() is not None:
        raise Conflict(f"there is an experiment called {plan.key} already")
    layer = plan.layer or plan.slot
    traffic = _reserve(layer, plan.traffic)
    experiment = Experiment(
        key=plan.key,
        hypothesis=plan.hypothesis,
        decision_rule=plan.decision_rule,
        slot=plan.slot,
        layer=layer,
        traffic_start=traffic.start,
        traffic_end=traffic.end,
        variants=[asdict(variant) for variant in plan.variants],
        primary_metric=plan.primary_metric,
        secondary_metrics=list(plan.secondary_metrics),
        guardrails=[asdict(guardrail) for guardrail in plan.guardrails],
        planned_units=plan.planned_units,
        revenue_cap_minor=plan.revenue_cap_minor,
        is_aa=plan.is_aa,
        is_interleaved=plan.is_interleaved,
        targeting={"devices": list(plan.target.devices), "people": plan.target.people},
        status="draft",
        created_at=now,
        created_by=actor,
    )
    db.session.add(experiment)
    audit(actor=actor, action="experiment.plan", subject=plan.key, after={"hypothesis": plan.hypothesis}, now=now)
    return experiment


def start_experiment(key: str, *, actor: str, now: datetime) -> Experiment:
    """Let shoppers in. Raises Conflict when it is not a draft."""
    experiment = experiment_by_key(key)
    if experiment.status != "draft":
        raise Conflict(f"{key} is {experiment.status}, only a draft can start")
    newest = db.session.scalars(select(TrackedEvent.id).order_by(TrackedEvent.id.desc()).limit(1)).first()
    experiment.status, experiment.started_at, experiment.last_event_id = "running", now, newest or 0
    audit(actor=actor, action="experiment.start", subject=key, after={"status": "running"}, now=now)
    return experiment


def end_experiment(key: str, *, because: str, actor: str, now: datetime, is_decided: bool = False) -> Experiment:
    """Send everybody back to the control at once. `is_decided`: the decision was taken, else it was stopped.

    Raises:
        Conflict: it does not run.

    """
    experiment = experiment_by_key(key)
    if experiment.status != "running":
        raise Conflict(f"{key} is {experiment.status}, only a running experiment can end")
    experiment.status, experiment.ended_at = "concluded" if is_decided else "stopped", now
    experiment.ended_because = because[:300]
    audit(actor=actor, action="experiment.end", subject=key, after={"status": experiment.status}, note=because, now=now)
    return experiment


def collect_exposures(*, limit: int = 1000) -> int:
    """Make units of the shoppers whose impressions of an experiment's slot have arrived since last time; returns how
    many.

    Interleaving has no arms and makes no units.
    First exposure per key; bots and QA are left out. May run twice or half: a key is inserted once. While experiments
    are switched off nobody is counted whose event names no arm: what they saw was the control.
    """
    is_shown = is_on(Flag.EXPERIMENTS)
    armed = [experiment for experiment in running() if not experiment.is_interleaved]
    return sum(_collect(experiment, limit, is_shown=is_shown) for experiment in armed)


def carry_over(anonymous_key: str, member_key: str) -> None:
    """Keep the arm through a login: the member's key joins the anonymous unit. Call it where the two are merged.

    A member who already is in another arm keeps that one; both units are then marked as having seen two arms.
    """
    for unit in db.session.scalars(select(ExperimentUnit).where(ExperimentUnit.shopper_key == anonymous_key)):
        known = db.session.get(ExperimentUnit, (unit.experiment_id, member_key))
        if known is None:
            db.session.add(_same_unit(unit, member_key))
        elif known.variant != unit.variant:
            unit.is_mixed = known.is_mixed = True
        else:
            unit.unit = known.unit


def stop_harmful(*, now: datetime) -> list[str]:
    """Look at every guardrail of every running experiment and stop what is proven harmful; returns the keys stopped."""
    watched = [experiment for experiment in running() if not experiment.is_interleaved]
    return [experiment.key for experiment in watched if _stop_if_harmful(experiment, now)]


def _stop_if_harmful(experiment: Experiment, now: datetime) -> bool:
    control, *treatments = [variant["name"] for variant in experiment.variants]
    units, watches = unit_sums(experiment), dict(experiment.watches)
    checks = list(product(treatments, guardrails_of(experiment)))
    for treatment, guardrail in checks:
        name = f"{treatment}:{guardrail.metric}"
        pair = moments_of(guardrail.metric, units, (control, treatment), cap_minor=experiment.revenue_cap_minor)
        if pair is None:
            continue
        watch = HarmWatch(experiment.planned_units, tuple(watches.get(name, ())))
        reading = look_for_harm(guardrail, *pair, watch, false_stop=FALSE_STOP / len(checks))
        watches[name] = list(reading.watch.fractions)
        if reading.stop:
            experiment.watches = watches
            end_experiment(experiment.key, because=f"{treatment}: {reading.reason}", actor="guardrail", now=now)
            return True
    experiment.watches = watches
    return False


def guardrails_of(experiment: Experiment) -> list[Guardrail]:
    """The stored guardrails as values."""
    return [
        Guardrail(entry["metric"], Direction(entry["direction"]), float(entry["margin"]))
        for entry in experiment.guardrails
    ]


def _collect(experiment: Experiment, limit: int, *, is_shown: bool) -> int:
    surface, _, widget = experiment.slot.partition(".")
    seen = db.session.scalars(
        select(TrackedEvent)
        .where(TrackedEvent.id > experiment.last_event_id, TrackedEvent.type == int(EventKind.VIEW))
        .where(TrackedEvent.surface == surface, TrackedEvent.widget == widget)
        .order_by(TrackedEvent.id)
        .limit(limit)
    ).all()
    if not seen:
        return 0
    experiment.last_event_id = seen[-1].id
    split = split_of(experiment)
    exposed = {
        event.shopper_key: (event, variant)
        for event in reversed(seen)
        if not (event.is_bot or event.is_qa)
        and experiment.started_at is not None
        and event.occurred_at >= experiment.started_at
        and (variant := _shown_variant(experiment, split, event, is_shown=is_shown)) is not None
    }
    if not exposed:
        return 0
    landings = _landings([event for event, _ in exposed.values()])
    rows = [_unit_row(experiment, event, variant, landings) for event, variant in exposed.values()]
    keys = [ExperimentUnit.experiment_id, ExperimentUnit.shopper_key]
    statement = insert_into(ExperimentUnit).values(rows).on_conflict_do_nothing(index_elements=keys)
    return len(db.session.scalars(statement.returning(ExperimentUnit.shopper_key)).all())


def _landings(events: Sequence[TrackedEvent]) -> dict[tuple[str, str | None], str]:
    """The surface of the first event of each of these visits, by shopper and session."""
    began = min(event.occurred_at for event in events) - LONGEST_VISIT
    found = db.session.execute(
        select(TrackedEvent.shopper_key, TrackedEvent.session_id, TrackedEvent.surface)
        .where(TrackedEvent.shopper_key.in_({event.shopper_key for event in events}))
        .where(TrackedEvent.occurred_at >= began, TrackedEvent.surface.is_not(None))
        .order_by(TrackedEvent.occurred_at.desc(), TrackedEvent.id.desc())
    )
    return {(shopper, visit): surface or "" for shopper, visit, surface in found}


def _shown_variant(experiment: Experiment, split: Split, event: TrackedEvent, *, is_shown: bool) -> str | None:
    """The arm the event says was shown; a login may have moved the event to another key since. Else by the hash."""
    named = event.meta.get("ab_bucket") if event.meta.get("experiment") == experiment.key else None
    if named in split.variants:
        return str(named)
    is_meant = target_of(experiment).fits(event.shopper_key, event.device)
    return assign(split, event.shopper_key) if is_shown and is_meant else None


def _unit_row(
    experiment: Experiment, event: TrackedEvent, variant: str, landings: Mapping[tuple[str, str | None], str]
) -> dict[str, Any]:
    return {
        "experiment_id": experiment.id,
        "shopper_key": event.shopper_key,
        "unit": event.shopper_key,
        "variant": variant,
        "exposed_at": event.occurred_at,
        "looks_back_to": event.occurred_at - PRE_PERIOD,
        "device": event.device,
        "landing": landings.get((event.shopper_key, event.session_id), ""),
        "is_mixed": False,
    }


def _same_unit(unit: ExperimentUnit, member_key: str) -> ExperimentUnit:
    return ExperimentUnit(
        experiment_id=unit.experiment_id,
        shopper_key=member_key,
        unit=unit.unit,
        variant=unit.variant,
        exposed_at=unit.exposed_at,
        looks_back_to=unit.looks_back_to,
        device=unit.device,
        landing=unit.landing,
        is_mixed=unit.is_mixed,
    )


def _reserve(layer: str, share: float) -> HashRange:
    """A free range of the layer among drafts and running experiments; ended ones have given theirs back."""
    taken = db.session.scalars(
        select(Experiment)
        .where(Experiment.layer == layer, Experiment.status.in_(("draft", "running")))
        .with_for_update()
    )
    found = free_range([HashRange(other.traffic_start, other.traffic_end) for other in taken], share)
    if found is None:
        raise LayerIsFull(layer, share)
    return found


def _check(plan: ExperimentPlan) -> None:
    problems: dict[str, list[str]] = {}
    metrics = [plan.primary_metric, *plan.secondary_metrics, *(guardrail.metric for guardrail in plan.guardrails)]
    unknown = sorted(set(metrics) - set(METRICS))
    rare = [name for name in metrics[: 1 + len(plan.secondary_metrics)] if name not in unknown]
    rare = [name for name in rare if METRICS[name].is_guardrail_only]
    if unknown or rare:
        problems["metrics"] = [f"unknown, or good as a guardrail only: {', '.join((*unknown, *rare))}"]
    if not all(re.fullmatch(LABEL, name) for name in (plan.key, *(v.name for v in plan.variants))):
        problems["key"] = ["keys and variant names: small letters, digits, dot, dash, underscore, at most 40"]
    if plan.slot not in SLOTS:
        problems["slot"] = ["there is no such slot"]
    if not 0 < plan.traffic <= 1:
        problems["traffic"] = ["must lie above 0 and not above 1"]
    if plan.planned_units < 2:
        problems["planned_units"] = ["two shoppers at least; the power calculator says how many"]
    if not plan.decision_rule.strip():
        problems["decision_rule"] = ["is written before launch"]
    names, weights = [v.name for v in plan.variants], [v.weight for v in plan.variants]
    unknown_changes = sorted({name for variant in plan.variants for name in variant.changes} - CHANGEABLE)
    if unknown_changes:
        problems["changes"] = [f"not a setting of a slot: {', '.join(unknown_changes)}"]
    if len(names) < 2 or len(set(names)) < len(names):
        problems["variants"] = ["name every variant, each differently; the control is there already"]
    elif min(weights) <= 0 or abs(sum(weights) - 1) > 1e-9:
        problems["variants"] = ["weights are positive and sum to 1"]
    elif plan.variants[0].changes or (plan.is_aa and any(variant.changes for variant in plan.variants)):
        problems["variants"] = ["the control changes nothing, nor does any arm of an A/A test"]
    if wrong := [problem for variant in plan.variants for problem in _engine_problems(variant)]:
        problems["changes"] = wrong
    if plan.is_interleaved and not (len(names) == 2 and plan.variants[1].changes.keys() <= RANKING and not plan.is_aa):
        problems["is_interleaved"] = ["mixes the control with one other ranking: one variant that changes nothing else"]
    if problems:
        raise InvalidInput(problems)


def _engine_problems(variant: Variant) -> list[str]:
    knobs = variant.changes.get(ENGINE, {})
    unknown = [f"not a knob of the ranking: {name}" for name in sorted(set(knobs) - set(ENGINE_KNOBS))]
    ranges = [(name, *ENGINE_KNOBS[name], value) for name, value in knobs.items() if name in ENGINE_KNOBS]
    return unknown + [
        f"{name}: from {low:g} to {high:g}" for name, low, high, value in ranges if not low <= value <= high
    ]
