"""Reading experiments: which arm a shopper gets, and per-shopper sums for the results."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Row, and_, case, func, select

from shop_app.core.errors import NotFound
from shop_app.core.events import EventKind
from shop_app.experiments.bucketing import HashRange, Split, Target, assign, bucket
from shop_app.experiments.interleaving import Team, credited
from shop_app.experiments.models import Experiment, ExperimentUnit
from shop_app.extensions import db
from shop_app.site_settings.kept import Kept
from shop_app.tracking.models import Complaint, TrackedEvent

if TYPE_CHECKING:
    from datetime import datetime

    from shop_app.core.shopper import Shopper

CAP_DAYS = 28
"""How far back what people usually pay is looked for."""
FEWEST_BUYERS = 100
"""Buyers below which the 99th percentile is the largest of them."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The arm of a running experiment a shopper is in; `changes` go over the slot's stored settings, `engine` over the
    recommender's.

    Interleaved, there is no arm: `rival` holds the changes of the other ranking, and the list mixes both.
    """

    experiment: str
    variant: str
    changes: dict[str, Any]
    engine: dict[str, float] = field(default_factory=dict)
    rival: Assignment | None = None


@dataclass(frozen=True, slots=True)
class UnitSums:
    """One exposed shopper's events since the first exposure and in the pre-period. Money in minor units.

    `impressions`, `clicks`, `complaints` are of the experiment's slot; `adds`, `orders` (purchased lines), `revenue` of
    the whole shop.
    """

    variant: str
    device: str
    landing: str
    day: str
    impressions: int
    clicks: int
    adds: int
    orders: int
    revenue: int
    revenue_before: int
    clicks_before: int
    complaints: int = 0


def experiment_by_key(key: str) -> Experiment:
    """One experiment.

    Raises:
        NotFound: there is none of that key.

    """
    found = db.session.scalars(select(Experiment).where(Experiment.key == key)).one_or_none()
    if found is None:
        raise NotFound(f"no experiment called {key}")
    return found


def experiments() -> list[Experiment]:
    """All of them, newest first."""
    return list(db.session.scalars(select(Experiment).order_by(Experiment.id.desc())))


def running(slot: str | None = None) -> list[Experiment]:
    """Running experiments, of one slot or of all, oldest first."""
    statement = select(Experiment).where(Experiment.status == "running").order_by(Experiment.id)
    return list(db.session.scalars(statement.where(Experiment.slot == slot) if slot else statement))


def assignment(slot: str, shopper: Shopper) -> Assignment | None:
    """The arm this shopper gets in `slot` now, or None outside every experiment. Writes nothing: exposure is another
    matter.

    A key that was exposed keeps its arm; any other is hashed. Who agreed to nothing has no lasting key, cannot be
    counted, and sees the shop as it is.
    """
    if not shopper.consent.is_given or slot not in _slots_under_test():
        return None
    key = unit_key(shopper)
    for experiment in running(slot):
        fits = target_of(experiment).fits(key, shopper.device)
        if experiment.is_interleaved:
            traffic = HashRange(experiment.traffic_start, experiment.traffic_end)
            if fits and bucket(f"layer:{experiment.layer}", key) in traffic:
                one, other = (_assignment(experiment, variant["name"]) for variant in experiment.variants)
                return replace(one, variant="", rival=other)
            continue
        kept = db.session.get(ExperimentUnit, (experiment.id, key))
        variant = kept.variant if kept else assign(split_of(experiment), key) if fits else None
        if variant is not None:
            return _assignment(experiment, variant)
    return None


def _assignment(experiment: Experiment, variant: str) -> Assignment:
    changes = _changes(experiment, variant)
    return Assignment(experiment.key, variant, changes, changes.pop("engine", {}))


_slots_under_test = Kept(lambda: frozenset(experiment.slot for experiment in running()), Experiment)


def unit_key(shopper: Shopper) -> str:
    """The key this shopper's events carry: the person, or the session when only analytics was agreed to."""
    if shopper.consent.analytics and not shopper.consent.personalisation:
        return "a_" + shopper.session_id.removeprefix("s_")
    return shopper.key


def target_of(experiment: Experiment) -> Target:
    """Whom an experiment is for."""
    return Target(tuple(experiment.targeting.get("devices", ())), experiment.targeting.get("people", ""))


def split_of(experiment: Experiment) -> Split:
    """The hash split of an experiment; the key is its salt."""
    return Split(
        seed=f"experiment:{experiment.key}",
        layer_seed=f"layer:{experiment.layer}",
        traffic=HashRange(experiment.traffic_start, experiment.traffic_end),
        variants=tuple(variant["name"] for variant in experiment.variants),
        weights=tuple(float(variant["weight"]) for variant in experiment.variants),
    )


def unit_sums(experiment: Experiment) -> list[UnitSums]:
    """Every exposed shopper who saw one arm only; bots and QA never became units. One grouped statement."""
    statement = (
        select(
            ExperimentUnit.unit,
            func.min(ExperimentUnit.variant),
            func.min(ExperimentUnit.device),
            func.min(ExperimentUnit.landing),
            func.min(ExperimentUnit.exposed_at),
            *(func.coalesce(func.sum(column), 0) for column in _sums(experiment.slot)),
        )
        .join(
            TrackedEvent,
            and_(
                TrackedEvent.shopper_key == ExperimentUnit.shopper_key,
                TrackedEvent.occurred_at >= ExperimentUnit.looks_back_to,
                *([TrackedEvent.occurred_at <= experiment.ended_at] if experiment.ended_at else []),
            ),
            isouter=True,
        )
        .where(ExperimentUnit.experiment_id == experiment.id)
        .group_by(ExperimentUnit.unit)
        .having(func.max(case((ExperimentUnit.is_mixed, 1), else_=0)) == 0)
        .order_by(ExperimentUnit.unit)
    )
    complaints = _complaints(experiment)
    return [_unit(row, complaints.get(row[0], 0)) for row in db.session.execute(statement)]


def _complaints(experiment: Experiment) -> dict[str, int]:
    """How often each unit said of the slot's list, since its exposure, that it is not for it; without the silent."""
    surface, _, widget = experiment.slot.partition(".")
    until = [Complaint.at <= experiment.ended_at] if experiment.ended_at else []
    statement = (
        select(ExperimentUnit.unit, func.count(Complaint.id))
        .join(Complaint, Complaint.shopper_key == ExperimentUnit.shopper_key)
        .where(ExperimentUnit.experiment_id == experiment.id, Complaint.at >= ExperimentUnit.exposed_at, *until)
        .where(Complaint.surface == surface, Complaint.widget == widget, Complaint.is_qa.is_(False))
        .group_by(ExperimentUnit.unit)
    )
    return {unit: number for unit, number in db.session.execute(statement)}  # noqa: C416 - rows unpack, dict() does not type


def interleaved_credits(experiment: Experiment) -> list[tuple[int, int]]:
    """Clicks on the cards of the control and of the other ranking, a pair for each shopper who saw a mixed list.

    A card of an answer counts once, however often it was clicked. Bots and QA are left out.
    """
    surface, _, widget = experiment.slot.partition(".")
    rows = db.session.execute(
        select(
            TrackedEvent.shopper_key,
            TrackedEvent.type,
            TrackedEvent.request_id,
            TrackedEvent.rank,
            TrackedEvent.meta["ab_bucket"].as_string(),
        )
        .where(TrackedEvent.surface == surface, TrackedEvent.widget == widget)
        .where(TrackedEvent.meta["experiment"].as_string() == experiment.key)
        .where(TrackedEvent.type.in_((int(EventKind.VIEW), int(EventKind.CLICK))))
        .where(TrackedEvent.is_bot.is_(False), TrackedEvent.is_qa.is_(False))
        .where(TrackedEvent.occurred_at >= experiment.started_at)
        .distinct()
    )
    found: dict[str, dict[Team, int]] = {}
    for shopper_key, kind, _, rank, teams in rows:
        clicks = found.setdefault(shopper_key, dict.fromkeys(Team, 0))
        team = credited(teams or "", rank or 0) if kind == EventKind.CLICK else None
        if team is not None:
            clicks[team] += 1
    return [(clicks[Team.A], clicks[Team.B]) for clicks in found.values()]


@dataclass(frozen=True, slots=True)
class UsualSpend:
    """`buyers` are the shoppers who bought in the last `CAP_DAYS` days; 99 of 100 of them paid `minor` or less."""

    minor: int
    buyers: int


def usual_spend(now: datetime) -> UsualSpend | None:
    """Where revenue per shopper may be cut: the 99th percentile (nearest rank) of what buyers paid in four weeks.

    None under `FEWEST_BUYERS`: then the percentile is one person. Bots and QA are left out.
    """
    paid = func.sum(TrackedEvent.meta["unit_price"].as_integer() * TrackedEvent.value)
    query = (
        select(paid)
        .where(TrackedEvent.type == int(EventKind.PURCHASE), TrackedEvent.item_id.is_not(None))
        .where(TrackedEvent.occurred_at >= now - timedelta(days=CAP_DAYS), TrackedEvent.occurred_at <= now)
        .where(TrackedEvent.is_bot.is_(False), TrackedEvent.is_qa.is_(False))
        .group_by(TrackedEvent.shopper_key)
    )
    sums = sorted(round(total or 0) for total in db.session.scalars(query))
    if len(sums) < FEWEST_BUYERS:
        return None
    return UsualSpend(sums[ceil(0.99 * len(sums)) - 1], len(sums))


def mixed_share(experiment: Experiment) -> float:
    """Share of exposed shoppers who saw two arms."""
    total = _count_units(experiment)
    return _count_units(experiment, ExperimentUnit.is_mixed.is_(True)) / total if total else 0.0


def _count_units(experiment: Experiment, *conditions: ColumnElement[bool]) -> int:
    statement = select(func.count(func.distinct(ExperimentUnit.unit))).where(
        ExperimentUnit.experiment_id == experiment.id, *conditions
    )
    return db.session.scalars(statement).one()


def _sums(slot: str) -> list[ColumnElement[Any]]:
    surface, _, widget = slot.partition(".")
    here = and_(TrackedEvent.surface == surface, TrackedEvent.widget == widget)
    after, before = (
        TrackedEvent.occurred_at >= ExperimentUnit.exposed_at,
        TrackedEvent.occurred_at < ExperimentUnit.exposed_at,
    )
    paid = TrackedEvent.meta["unit_price"].as_integer() * TrackedEvent.value
    is_line = and_(TrackedEvent.type == int(EventKind.PURCHASE), TrackedEvent.item_id.is_not(None))

    def times(condition: ColumnElement[bool], value: Any = 1) -> ColumnElement[Any]:
        return case((condition, value), else_=0)

    return [
        times(and_(after, here, TrackedEvent.type == int(EventKind.VIEW))),
        times(and_(after, here, TrackedEvent.type == int(EventKind.CLICK))),
        times(and_(after, TrackedEvent.type == int(EventKind.ADD))),
        times(and_(after, is_line)),
        times(and_(after, is_line), paid),
        times(and_(before, is_line), paid),
        times(and_(before, TrackedEvent.type == int(EventKind.CLICK))),
    ]


def _unit(row: Row[Any], complaints: int) -> UnitSums:
    values = tuple(row)
    place = (values[1], values[2], values[3], values[4].date().isoformat())
    numbers = (*(round(value) for value in values[5:]), complaints)
    return UnitSums(*place, *numbers)


def _changes(experiment: Experiment, variant: str) -> dict[str, Any]:
    return next(dict(entry.get("changes", {})) for entry in experiment.variants if entry["name"] == variant)
