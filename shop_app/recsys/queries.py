"""Reading the counts: how answers went, and what calls cost, between two moments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from shop_app.extensions import db
from shop_app.recsys.models import BOUNDS_MS, AnswerMinute, CallMinute

STEPS = {"minute": "%Y-%m-%dT%H:%M", "hour": "%Y-%m-%dT%H:00", "day": "%Y-%m-%dT00:00"}
"""How SQLite writes the beginning of each."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers of one slot (or of all: empty text) that ended alike. `within` are cumulative counts for `BOUNDS_MS`."""

    slot: str
    source: str
    reason: str
    answers: int
    hits: int
    took_us: int
    cpu_us: int
    within: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """How answers went. Shares are of all answers; a share of nothing is 0."""

    answers: int
    model: int
    cached: int
    fallback: int
    empty: int
    late: int
    failed: int
    hits: int
    took_us: int
    cpu_us: int
    within: tuple[int, ...]

    def share(self, count: int) -> float:
        """`count` over all answers."""
        return count / self.answers if self.answers else 0.0

    def quantile_ms(self, share: float) -> float | None:
        """The time within which this share of answers came, in ms, interpolated inside its class.

        None without answers; infinite when it lies beyond the last class, which is all that can be said then.
        """
        if not self.answers:
            return None
        wanted, below, floor = share * self.answers, 0, 0.0
        for bound, count in zip(BOUNDS_MS, self.within, strict=True):
            if count >= wanted:
                return floor + (bound - floor) * (wanted - below) / max(count - below, 1)
            below, floor = count, float(bound)
        return float("inf")


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one verb that ended alike."""

    verb: str
    outcome: str
    calls: int
    things: int
    took_us: int
    cpu_us: int
    wire_bytes: int


def answers(since: datetime, until: datetime) -> list[Answers]:
    """Sums per slot, source and reason of the minutes from `since` up to, not including, `until`."""
    return [_answers(*row) for row in _sums(AnswerMinute, AnswerMinute.place, since, until)]


def _answers(slot: str, source: str, reason: str, *sums: int) -> Answers:
    number, hits, took_us, cpu_us, *within = sums
    return Answers(slot, source, reason, number, hits, took_us, cpu_us, tuple(within))


def calls(since: datetime, until: datetime) -> list[Calls]:
    """Sums per verb and outcome of the minutes from `since` up to, not including, `until`."""
    return [Calls(*row) for row in _sums(CallMinute, CallMinute.place, since, until)]


def answers_over_time(since: datetime, until: datetime, step: str = "minute") -> list[tuple[datetime, Summary]]:
    """A summary of all slots for each minute, hour or day (UTC) that had answers, in order; where minutes are no longer
    kept they are hours.
    """
    began = _beginning(AnswerMinute.minute, step)
    place = [began, AnswerMinute.source, AnswerMinute.reason]
    found: dict[datetime, list[Answers]] = {}
    for moment, *row in _sums_by(AnswerMinute, place, since, until):
        began_at = datetime.fromisoformat(str(moment)).replace(tzinfo=UTC)
        found.setdefault(began_at, []).append(_answers("", *row))
    return [(moment, summary(rows)) for moment, rows in found.items()]


def empty_by_day(since: datetime, until: datetime) -> dict[date, tuple[int, int]]:
    """Empty answers and all answers of each UTC day that had any; slots that are switched off are left out."""
    began, number = _beginning(AnswerMinute.minute, "day"), AnswerMinute.answers
    is_off, is_empty = AnswerMinute.reason == "off", AnswerMinute.source == "none"
    empty = func.sum(case((~is_off & is_empty, number), else_=0))
    query = select(began, empty, func.sum(case((is_off, 0), else_=number)))
    query = query.where(AnswerMinute.minute >= since, AnswerMinute.minute < until).group_by(began).order_by(began)
    rows = db.session.execute(query)
    return {datetime.fromisoformat(str(day)).date(): (int(none), int(whole)) for day, none, whole in rows}


def _beginning(moment: Any, step: str) -> ColumnElement[Any]:
    """When the step of a moment began, in UTC without saying so; on SQLite as text."""
    if db.engine.dialect.name == "postgresql":
        return func.date_trunc(step, func.timezone("UTC", moment))
    return func.strftime(STEPS[step], moment)


def summary(rows: Sequence[Answers]) -> Summary:
    """How these went, taken together. Answers of slots that are switched off are left out: nobody waited for a list."""
    rows = [row for row in rows if row.reason != "off"]

    def count(**same: str) -> int:
        return sum(row.answers for row in rows if all(getattr(row, name) == value for name, value in same.items()))

    return Summary(
        answers=count(),
        model=count(source="model"),
        cached=count(source="cached"),
        fallback=count(source="fallback"),
        empty=count(source="none"),
        late=count(reason="late"),
        failed=count(reason="failed"),
        hits=sum(row.hits for row in rows),
        took_us=sum(row.took_us for row in rows),
        cpu_us=sum(row.cpu_us for row in rows),
        within=tuple(sum(row.within[place] for row in rows) for place in range(len(BOUNDS_MS))),
    )


def _sums(
    model: type[AnswerMinute] | type[CallMinute], place: Sequence[str], since: datetime, until: datetime
) -> list[Any]:
    return _sums_by(model, [getattr(model, name) for name in place], since, until)


def _sums_by(
    model: type[AnswerMinute] | type[CallMinute], columns: Sequence[Any], since: datetime, until: datetime
) -> list[Any]:
    query = select(*columns, *(func.sum(getattr(model, name)) for name in model.sums))
    query = query.where(model.minute >= since, model.minute < until).group_by(*columns).order_by(*columns)
    names = len(columns)
    return [(*row[:names], *(int(value) for value in row[names:])) for row in db.session.execute(query)]
