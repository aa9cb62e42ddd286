"""Bandits on slots: start and stop them, reward what was clicked, and send a harmful one back to its incumbent.

One unit is an answer that was seen (its `request_id`). The guardrails compare each policy with the incumbent by the
share of such answers that were clicked or bought from. Policies are drawn by what they earned, so that the arms' sizes
depend on the results; how often the guard stops a harmless policy all the same is measured, see docs/statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import func, select

from shop_app.core.errors import Conflict, InvalidInput, NotFound
from shop_app.core.events import EventKind
from shop_app.experiments.guardrails import FALSE_STOP, Direction, Guardrail, HarmWatch, look_for_harm
from shop_app.experiments.models import BanditRun, Experiment
from shop_app.experiments.statistics import moments
from shop_app.extensions import db
from shop_app.site_settings.defaults import SLOTS
from shop_app.site_settings.services import audit, keep
from shop_app.site_settings.stored import stored_settings
from shop_app.tracking.models import TrackedEvent

METRICS = {"clicked": "Answers that were clicked", "bought": "Answers that were bought from"}
REWARDED_AT_ONCE = 500
MAX_POLICIES = 8
FLOOR = 0.25
"""Share of answers for which the policies are drawn evenly: with less, a policy that loses 15 % is starved before it
can be proven harmful (measured by `benchmarks/bench_bandit_guard.py`)."""
KEPT_UNDER = "bandits"
"""The setting that holds what runs on which slot, so that a list needs no query of its own for it."""


class Rewards(Protocol):
    """The one verb of the recommender's control that is needed here."""

    def reward(self, decision_id: str, reward: float, source_event_id: str) -> bool:
        """Report what a decision earned."""


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What one policy did since the start: answers seen, and how many of them were clicked and bought from."""

    policy: str
    seen: int = 0
    clicked: int = 0
    bought: int = 0


@dataclass(frozen=True, slots=True)
class ActiveBandit:
    """What a slot needs to know to draw a policy."""

    key: str
    policies: tuple[str, ...]


def active_bandit(slot: str) -> ActiveBandit | None:
    """The bandit that runs on `slot` now, at most a second behind another process's edit."""
    stored = stored_settings().get(KEPT_UNDER)
    found = stored.values.get(slot) if stored else None
    return ActiveBandit(found["key"], tuple(found["policies"])) if found else None


def bandit_runs() -> list[BanditRun]:
    """All of them, running ones first, then newest first."""
    return list(db.session.scalars(select(BanditRun).order_by(BanditRun.ended_at.is_not(None), BanditRun.id.desc())))


def start_bandit(
    slot: str, policies: Sequence[str], *, margin: float, planned_units: int, actor: str, now: datetime
) -> BanditRun:
    """Let the bandit choose on `slot` from now on; `policies` exist and the first sets nothing (the caller checked).

    Raises:
        InvalidInput: names the field at fault.
        Conflict: a bandit or an experiment runs on the slot.

    """
    if slot not in SLOTS:
        raise InvalidInput({"slot": ["There is no such slot."]})
    if not 2 <= len(set(policies)) == len(policies) <= MAX_POLICIES:
        raise InvalidInput({"policies": [f"The incumbent and up to {MAX_POLICIES - 1} other policies."]})
    if active := db.session.scalar(select(BanditRun.id).where(BanditRun.slot == slot, BanditRun.ended_at.is_(None))):
        raise Conflict(f"A bandit runs on {slot} already (number {active}).")
    busy = select(Experiment.key).where(Experiment.slot == slot, Experiment.status == "running")
    if key := db.session.scalar(busy):
        raise Conflict(f"The experiment {key} runs on {slot}: one question at a time.")
    run = BanditRun(
        slot=slot,
        policies=list(policies),
        guardrails=[{"metric": name, "direction": Direction.HIGHER_IS_BETTER, "margin": margin} for name in METRICS],
        planned_units=planned_units,
        started_at=now,
        started_by=actor,
        last_event_id=db.session.scalar(select(func.max(TrackedEvent.id))) or 0,
        watches={},
    )
    db.session.add(run)
    db.session.flush()  # its number names it in the trail
    keep(KEPT_UNDER, {slot: {"key": run.key, "policies": run.policies}}, actor=actor, now=now)
    audit(actor=actor, action="bandit.start", subject=run.key, after={"slot": slot, "policies": [*policies]}, now=now)
    return run


def end_bandit(run_id: int, *, because: str, actor: str, now: datetime) -> BanditRun:
    """The slot is ranked by its incumbent again, from the next list on. Ended already: nothing happens.

    Raises:
        NotFound: there is no such bandit.

    """
    run = db.session.get(BanditRun, run_id)
    if run is None:
        raise NotFound("There is no such bandit.")
    if run.ended_at is None:
        run.ended_at, run.ended_because = now, because[:300]
        keep(KEPT_UNDER, {run.slot: None}, actor=actor, now=now)
        audit(actor=actor, action="bandit.end", subject=run.key, after={"because": because, "slot": run.slot}, now=now)
    return run


def reward_clicks(control: Rewards) -> int:
    """Tell the recommender which answers of running bandits were clicked; returns how many events were looked at.

    May run twice or half: a reward is known by its click's answer. Raises what the recommender raises, before the mark
    is moved.
    """
    return sum(_reward(run, control) for run in _running())


def stop_harmful_bandits(*, now: datetime) -> list[str]:
    """Look at every guardrail of every running bandit; returns the keys of those sent back to their incumbent."""
    return [run.key for run in _running() if _stop_if_harmful(run, now)]


def results_of(run: BanditRun) -> list[PolicyResult]:
    """What each policy did, in the run's order. Bots and QA runs are left out."""
    surface, _, widget = run.slot.partition(".")
    policy = TrackedEvent.meta["ab_bucket"].as_string()
    seen = (
        select(TrackedEvent.request_id.label("answer"), func.min(policy).label("policy"))
        .where(
            TrackedEvent.type == int(EventKind.VIEW),
            TrackedEvent.surface == surface,
            TrackedEvent.widget == widget,
            TrackedEvent.occurred_at >= run.started_at,
            TrackedEvent.request_id.is_not(None),
            TrackedEvent.meta["experiment"].as_string() == run.key,
            TrackedEvent.is_bot.is_(False),
            TrackedEvent.is_qa.is_(False),
        )
        .group_by(TrackedEvent.request_id)
        .subquery()
    )
    columns = [func.count(), *(_answers_with(seen.c.answer, kind) for kind in (EventKind.CLICK, EventKind.PURCHASE))]
    rows = db.session.execute(select(seen.c.policy, *columns).group_by(seen.c.policy))
    known = {
        name: PolicyResult(name, total, int(clicks or 0), int(bought or 0)) for name, total, clicks, bought in rows
    }
    return [known.get(name, PolicyResult(name)) for name in run.policies]


def _answers_with(answer: Any, kind: EventKind) -> Any:
    """How many of the answers have an event of this kind."""
    told = select(TrackedEvent.request_id).where(
        TrackedEvent.type == int(kind), TrackedEvent.request_id.is_not(None), TrackedEvent.recommended.is_(True)
    )
    return func.count().filter(answer.in_(told))


def _stop_if_harmful(run: BanditRun, now: datetime) -> bool:
    incumbent, *others = results_of(run)
    watches = dict(run.watches)
    checks = [(other, _guardrail(entry)) for other in others for entry in run.guardrails]
    for other, guardrail in checks:
        name = f"{other.policy}:{guardrail.metric}"
        if not (incumbent.seen and other.seen):
            continue
        old, new = (moments.of_proportion(getattr(one, guardrail.metric), one.seen) for one in (incumbent, other))
        watch = HarmWatch(run.planned_units, tuple(watches.get(name, ())))
        reading = look_for_harm(guardrail, old, new, watch, false_stop=FALSE_STOP / len(checks))
        watches[name] = list(reading.watch.fractions)
        if reading.stop:
            run.watches = watches
            end_bandit(run.id, because=f"{other.policy}: {reading.reason}", actor="guardrail", now=now)
            return True
    run.watches = watches
    return False


def _guardrail(entry: dict[str, Any]) -> Guardrail:
    return Guardrail(entry["metric"], Direction(entry["direction"]), float(entry["margin"]))


def _reward(run: BanditRun, control: Rewards) -> int:
    surface, _, widget = run.slot.partition(".")
    clicks = db.session.scalars(
        select(TrackedEvent)
        .where(TrackedEvent.id > run.last_event_id, TrackedEvent.type == int(EventKind.CLICK))
        .where(TrackedEvent.surface == surface, TrackedEvent.widget == widget)
        .order_by(TrackedEvent.id)
        .limit(REWARDED_AT_ONCE)
    ).all()
    for click in clicks:
        is_its_own = click.request_id and click.meta.get("experiment") == run.key
        if is_its_own and not (click.is_bot or click.is_qa):
            control.reward(str(click.request_id), 1.0, f"click-{click.request_id}")
        run.last_event_id = click.id
    return len(clicks)


def _running() -> list[BanditRun]:
    return list(db.session.scalars(select(BanditRun).where(BanditRun.ended_at.is_(None)).order_by(BanditRun.id)))
