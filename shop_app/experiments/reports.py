"""Everything the results page says about one experiment, computed in one place."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shop_app.experiments.guardrails import Direction
from shop_app.experiments.interleaving import Preference, preference
from shop_app.experiments.metrics import METRICS, moments_of, revenue
from shop_app.experiments.queries import experiment_by_key, interleaved_credits, mixed_share, unit_sums
from shop_app.experiments.services import guardrails_of
from shop_app.experiments.statistics import group_sequential, srm
from shop_app.experiments.statistics.comparisons import Comparison, Lift, lift, welch_test, z_test
from shop_app.experiments.statistics.multiplicity import holm
from shop_app.experiments.statistics.variance import cuped
from shop_app.experiments.verdict import (
    Decision,
    Evidence,
    GuardrailReading,
    Verdict,
    decide,
    read_guardrail,
    read_metric,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shop_app.experiments.models import Experiment
    from shop_app.experiments.queries import UnitSums
    from shop_app.experiments.statistics.moments import Moments
    from shop_app.experiments.statistics.sequences import Interval


@dataclass(frozen=True, slots=True)
class MetricReport:
    """One metric of one arm against the control.

    `sequence` is valid at any look, `fixed` only at the planned end, `stage_bound` is the O'Brien–Fleming z that a
    planned look now would have to reach. `p_holm` is corrected over the success metrics. `cuped` is revenue adjusted
    for earlier revenue.
    """

    name: str
    title: str
    definition: str
    unit: str
    control: Moments
    treatment: Moments
    fixed: Comparison
    sequence: Interval
    stage_bound: float
    lift: Lift | None
    p_holm: float
    cuped: Comparison | None


@dataclass(frozen=True, slots=True)
class ArmReport:
    """A treatment: its metrics (the primary first), guardrails, and what to do with it."""

    variant: str
    metrics: Sequence[MetricReport]
    guardrails: Sequence[GuardrailReading]
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """`units` counts exposed shoppers per variant; `progress` is their number over the plan, and may exceed 1.

    `splits` are the counts by day of exposure, device and the surface where the visit began, the oddest first.
    """

    key: str
    status: str
    hypothesis: str
    decision_rule: str
    is_aa: bool
    units: dict[str, int]
    progress: float
    ratio: srm.RatioCheck
    sequential_ratio: srm.SequentialRatioCheck
    splits: Sequence[srm.SegmentSplit]
    mixed_share: float
    arms: Sequence[ArmReport]

    @property
    def mismatches(self) -> list[srm.SegmentSplit]:
        """Where the arms are not split as planned."""
        return [split for split in self.splits if split.mismatch]


def report(key: str, *, now: datetime) -> ExperimentReport:
    """Read one experiment. Raises NotFound."""
    experiment = experiment_by_key(key)
    units = unit_sums(experiment)
    names = [variant["name"] for variant in experiment.variants]
    weights = [float(variant["weight"]) for variant in experiment.variants]
    counts = {name: sum(unit.variant == name for unit in units) for name in names}
    ratio = srm.check_ratio(list(counts.values()), weights)
    mixed = mixed_share(experiment)
    return ExperimentReport(
        key=experiment.key,
        status=experiment.status,
        hypothesis=experiment.hypothesis,
        decision_rule=experiment.decision_rule,
        is_aa=experiment.is_aa,
        units=counts,
        progress=len(units) / experiment.planned_units,
        ratio=ratio,
        sequential_ratio=srm.check_ratio_sequentially(list(counts.values()), weights),
        splits=srm.split_by_segment(_segments(units, names), weights),
        mixed_share=mixed,
        arms=[_arm(experiment, units, (names[0], name), ratio, mixed, now) for name in names[1:]],
    )


@dataclass(frozen=True, slots=True)
class InterleavingReport:
    """`rival` is the other ranking. `low`, `high` is the 95 % interval (Wilson) of its share of the shoppers who
    preferred one at all.
    """

    rival: str
    shoppers: int
    preference: Preference
    low: float
    high: float

    @property
    def winner(self) -> str:
        """control, the rival's name, or nothing while the interval holds one half."""
        return self.rival if self.low > 0.5 else "control" if self.high < 0.5 else ""


def interleaving_report(experiment: Experiment) -> InterleavingReport:
    """Who won more shoppers; to be read once, at the planned number, like any fixed test."""
    pairs = interleaved_credits(experiment)
    found = preference(pairs)
    decided = found.wins_a + found.wins_b
    low, high = (0.0, 1.0) if not decided else _wilson(found.wins_b, decided)
    return InterleavingReport(experiment.variants[1]["name"], len(pairs), found, low, high)


def _wilson(successes: int, n: int) -> tuple[float, float]:
    """Interval of a share (Wilson 1927), 95 %."""
    z = 1.959964
    centre = (successes + z * z / 2) / (n + z * z)
    half = z * math.sqrt(successes * (n - successes) / n + z * z / 4) / (n + z * z)
    return centre - half, centre + half


def _arm(  # noqa: PLR0917 - one arm needs all of the experiment's readings
    experiment: Experiment,
    units: Sequence[UnitSums],
    pair: tuple[str, str],
    ratio: srm.RatioCheck,
    mixed: float,
    now: datetime,
) -> ArmReport:
    metrics = _with_holm(
        [_metric(experiment, units, pair, name) for name in (experiment.primary_metric, *experiment.secondary_metrics)]
    )
    readings = [
        read_guardrail(guardrail, *both, planned_units=experiment.planned_units)
        for guardrail in guardrails_of(experiment)
        if (both := moments_of(guardrail.metric, units, pair, cap_minor=experiment.revenue_cap_minor)) is not None
    ]
    has_primary = bool(metrics) and metrics[0].name == experiment.primary_metric
    if not has_primary or experiment.started_at is None:
        return ArmReport(pair[1], metrics, readings, None)
    titled = [replace(reading, metric=METRICS[reading.metric].title) for reading in readings]
    evidence = Evidence(
        primary=read_metric(
            metrics[0].title,
            Direction.HIGHER_IS_BETTER,
            metrics[0].control,
            metrics[0].treatment,
            planned_units=experiment.planned_units,
        ),
        guardrails=titled,
        ratio_is_clean=not ratio.mismatch,
        running_for=(experiment.ended_at or now) - experiment.started_at,
        mixed_share=mixed,
    )
    verdict = decide(evidence)
    if experiment.status == "stopped" and verdict.decision is not Decision.STOP:
        verdict = Verdict(Decision.STOP, (experiment.ended_because, *verdict.reasons))
    return ArmReport(pair[1], metrics, readings, verdict)


def _metric(experiment: Experiment, units: Sequence[UnitSums], pair: tuple[str, str], name: str) -> MetricReport | None:
    both = moments_of(name, units, pair, cap_minor=experiment.revenue_cap_minor)
    if both is None:
        return None
    control, treatment = both
    metric = METRICS[name]
    is_share = name in {"add_rate", "conversion"}
    fixed = z_test(control, treatment) if is_share else welch_test(control, treatment)
    progress = min((control.n + treatment.n) / experiment.planned_units, 1.0)
    reading = read_metric(name, Direction.HIGHER_IS_BETTER, control, treatment, planned_units=experiment.planned_units)
    return MetricReport(
        name=name,
        title=metric.title,
        definition=metric.definition,
        unit=metric.unit,
        control=control,
        treatment=treatment,
        fixed=fixed,
        sequence=reading.interval,
        stage_bound=group_sequential.bounds([progress])[0],
        lift=lift(control, treatment) if control.mean else None,
        p_holm=fixed.p_value,
        cuped=_cuped_revenue(experiment, units, pair) if name == "revenue" else None,
    )


def _with_holm(found: Sequence[MetricReport | None]) -> list[MetricReport]:
    metrics = [metric for metric in found if metric is not None]
    return [replace(m, p_holm=p) for m, p in zip(metrics, holm([m.fixed.p_value for m in metrics]), strict=True)]


def _cuped_revenue(experiment: Experiment, units: Sequence[UnitSums], pair: tuple[str, str]) -> Comparison:
    control, treatment = ([unit for unit in units if unit.variant == arm] for arm in pair)
    adjusted = cuped(
        revenue(control, experiment.revenue_cap_minor),
        revenue(treatment, experiment.revenue_cap_minor),
        control_before=np.array([unit.revenue_before for unit in control]),
        treatment_before=np.array([unit.revenue_before for unit in treatment]),
    )
    return welch_test(adjusted.control, adjusted.treatment)


def _segments(units: Sequence[UnitSums], names: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """Unit counts per arm by day of exposure, device, and the surface where the visit began."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(names))
    for unit in units:
        arm = names.index(unit.variant)
        counts["day", unit.day][arm] += 1
        counts["device", unit.device or "unknown"][arm] += 1
        counts["landing", unit.landing or "unknown"][arm] += 1
    return dict(counts)
