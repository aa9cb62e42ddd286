"""The last hour's quotients and silences against earlier hours: what counts alone do not show."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, Select, cast, func, select

from shop_app.analytics.alerts import Finding
from shop_app.analytics.monitoring.ratios import Quotient, judge_ratio
from shop_app.analytics.monitoring.timing import silences
from shop_app.analytics.queries.cells import counted
from shop_app.analytics.queries.volume import events_by_hour, hour_text
from shop_app.core.events import EventKind
from shop_app.extensions import db
from shop_app.recsys.models import AnswerMinute
from shop_app.tracking.models import TrackedEvent

HOUR = timedelta(hours=1)
HISTORY_H = 72
"""Counts of answers are kept by the minute that long."""
FEWEST_HOURS = 24
SILENCE_WINDOW = timedelta(hours=2)
RATE_WEEKS = 4
SHOWN = ("model", "cached", "fallback")
ADVICE = {
    "impressions per answer": "Lists are answered but not seen, or seen twice. Did the page or the tracker change?",
    "clicks per impression": "People see the list and act otherwise. Look at titles, prices, pictures, and at robots.",
    "bot share": "The share of robots jumped. Look at the busiest sessions: robots should not teach the recommender.",
}


@dataclass(frozen=True, slots=True)
class Steps:
    """One hour of one list."""

    views: int = 0
    clicks: int = 0
    answers: int = 0


def ratio_findings(now: datetime) -> list[Finding]:
    """Quotients of the last full hour that earlier hours do not explain, list by list, and the share of robots."""
    last = now.replace(minute=0, second=0, microsecond=0) - HOUR
    found = []
    for slot, hours in _steps(last).items():
        for name, quotient in (("impressions per answer", _seen), ("clicks per impression", _clicked)):
            found += _judged(name, slot, last, {hour: quotient(steps) for hour, steps in hours.items()})
    return found + _judged("bot share", "all events", last, _robots(last))


def silence_findings(now: datetime) -> list[Finding]:
    """Stretches of the last two hours without a single event that the usual rate of these hours would not leave."""
    start = now - SILENCE_WINDOW
    times = db.session.scalars(
        select(TrackedEvent.occurred_at).where(
            counted(), TrackedEvent.occurred_at >= start, TrackedEvent.occurred_at < now
        )
    )
    return [
        Finding(
            "silence",
            f"{one.start:%Y-%m-%dT%H:%M}",
            "ticket",
            f"No event from {one.start:%H:%M} to {one.end:%H:%M}, {one.expected:.0f} are usual",
            "Was the shop up, and its tracker loaded? Compare with the service levels of these minutes.",
        )
        for one in silences([start, *times], _usual_rate(now), until=now)
    ]


def _seen(steps: Steps) -> Quotient:
    return Quotient(steps.views, steps.answers)


def _clicked(steps: Steps) -> Quotient:
    return Quotient(steps.clicks, steps.views)


def _judged(name: str, subject: str, last: datetime, hours: Mapping[datetime, Quotient]) -> list[Finding]:
    history = [quotient for hour, quotient in hours.items() if hour < last and quotient.denominator]
    reading = judge_ratio(hours[last], history) if last in hours and len(history) >= FEWEST_HOURS else None
    if reading is None or not reading.is_alarm:
        return []
    title = f"{subject}: {name} {reading.observed:.3g}, {reading.expected:.3g} is usual"
    return [Finding("ratio", f"{name}:{subject}", "ticket", title, ADVICE[name], {"z": round(reading.z, 1)})]


def _steps(last: datetime) -> dict[str, dict[datetime, Steps]]:
    """Views, clicks and answers of every list, hour by hour, up to the hour that starts at `last`."""
    start, end = last - HISTORY_H * HOUR, last + HOUR
    found: dict[str, dict[datetime, dict[str, int]]] = {}
    rows = (
        select(
            hour_text(TrackedEvent.occurred_at).label("hour"),
            TrackedEvent.surface.label("surface"),
            TrackedEvent.widget.label("widget"),
            TrackedEvent.type.label("type"),
        )
        .where(counted(), TrackedEvent.occurred_at >= start, TrackedEvent.occurred_at < end)
        .where(TrackedEvent.widget.is_not(None), TrackedEvent.type.in_([int(EventKind.VIEW), int(EventKind.CLICK)]))
        .subquery()
    )
    keys = (rows.c.hour, rows.c.surface, rows.c.widget, rows.c.type)
    counts = select(rows.c.hour, rows.c.surface, rows.c.widget, rows.c.type, func.count()).group_by(*keys)
    for text, surface, widget, kind, number in db.session.execute(counts):
        name = "views" if kind == int(EventKind.VIEW) else "clicks"
        found.setdefault(f"{surface}.{widget}", {}).setdefault(_hour(text), {})[name] = number
    for text, slot, number in db.session.execute(_answers(start, end)):
        found.setdefault(slot, {}).setdefault(_hour(text), {})["answers"] = int(number)
    return {slot: {hour: Steps(**counts) for hour, counts in hours.items()} for slot, hours in found.items()}


def _answers(start: datetime, end: datetime) -> Select[Any]:
    rows = (
        select(
            hour_text(AnswerMinute.minute).label("hour"),
            AnswerMinute.slot.label("slot"),
            AnswerMinute.answers.label("answers"),
        )
        .where(AnswerMinute.minute >= start, AnswerMinute.minute < end, AnswerMinute.source.in_(SHOWN))
        .subquery()
    )
    return select(rows.c.hour, rows.c.slot, func.sum(rows.c.answers)).group_by(rows.c.hour, rows.c.slot)


def _robots(last: datetime) -> dict[datetime, Quotient]:
    rows = (
        select(hour_text(TrackedEvent.occurred_at).label("hour"), cast(TrackedEvent.is_bot, Integer).label("is_bot"))
        .where(TrackedEvent.is_qa.is_(False), TrackedEvent.occurred_at >= last - HISTORY_H * HOUR)
        .where(TrackedEvent.occurred_at < last + HOUR)
        .subquery()
    )
    query = select(rows.c.hour, func.sum(rows.c.is_bot), func.count()).group_by(rows.c.hour)
    return {_hour(text): Quotient(int(bots), number) for text, bots, number in db.session.execute(query)}


def _usual_rate(now: datetime) -> Callable[[datetime], float]:
    """Events an hour at a moment: the mean of the same hour of the week in the last four weeks; 0 without all four."""
    hours = events_by_hour(now - SILENCE_WINDOW, 24 * 7 * (RATE_WEEKS + 1))
    sums: dict[datetime, int] = {}
    for counts in hours.values():
        for hour, number in counts.items():
            sums[hour] = sums.get(hour, 0) + number

    def rate(at: datetime) -> float:
        hour = at.replace(minute=0, second=0, microsecond=0)
        past: Sequence[int | None] = [sums.get(hour - timedelta(weeks=n)) for n in range(1, RATE_WEEKS + 1)]
        known = [number for number in past if number is not None]
        return sum(known) / RATE_WEEKS if len(known) == RATE_WEEKS else 0.0

    return rate


def _hour(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}:00:00+00:00")
