"""What the lists promise: the service levels, how they are kept, and when somebody must look. The one place for them.

Counted are the widget answers the shop gave (`recsys.models.AnswerMinute`); slots that are switched off do not count.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shop_app.analytics.alerts import Finding
from shop_app.analytics.monitoring.burn_rate import PERIOD, RULES, AnswerCounts, BurnRule, burn_rate, firing
from shop_app.recsys.models import BOUNDS_MS
from shop_app.recsys.queries import Answers, Summary, answers, summary

FAST_MS = 300
"""What a shopper does not notice below the fold; also the default deadline of a list."""
FEWEST_BAD = 5
"""Fewer bad answers than this in a rule's long window wake nobody: in a quiet shop one of three is a third."""
WINDOWS = tuple(sorted({length for rule in RULES for length in (rule.long, rule.short)}))


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise over 30 days. `good_share` is the least share of good answers; `bad` counts the others of a summary."""

    key: str
    title: str
    promise: str
    good_share: float
    bad: Callable[[Summary], int]
    advice: str


OBJECTIVES: tuple[Objective, ...] = (
    Objective(
        "availability",
        "The recommender answers",
        "99.5 % of the questions are answered: no error, and not later than the deadline",
        0.995,
        lambda found: found.late + found.failed,
        "Does Recsys answer (Delivery page, /readyz)? Late: look at its CPU and log. Failed: at its database and "
        "address. Shoppers see the last good lists, then best sellers; nothing else is broken.",
    ),
    Objective(
        "latency",
        "Lists are fast",
        f"99 % of the lists are ready within {FAST_MS} ms, counted in the shop",
        0.99,
        lambda found: found.answers - found.within[BOUNDS_MS.index(FAST_MS)],
        "Which slot is slow (table below)? Is the machine full, or the database slow? More web workers help the first; "
        "a shorter RECSYS_TIMEOUT_MS bounds what a slow recommender costs.",
    ),
    Objective(
        "fallback",
        "Shoppers see the model's list",
        "97 % of the lists are a fresh answer of the model: neither an older one nor best sellers",
        0.97,
        lambda found: found.cached + found.fallback,
        "If the recommender answers, its answers are empty or not for sale: look at Catalogue differences, at the "
        "rules, and at “Why this list?” for the slot with the largest share.",
    ),
)


@dataclass(frozen=True, slots=True)
class Level:
    """How a promise is kept. `burn` is the burn rate by window: 1 just uses up the budget in 30 days."""

    objective: Objective
    whole: AnswerCounts
    burn: Mapping[timedelta, float]
    firing: tuple[BurnRule, ...]

    @property
    def good_share(self) -> float | None:
        """The share of good answers of the last 30 days; None without answers."""
        return 1 - self.whole.bad / self.whole.total if self.whole.total else None

    @property
    def budget_left(self) -> float:
        """What is left of the allowed bad answers: 1 is all of it, below 0 the promise is broken."""
        return 1 - burn_rate(self.whole, objective=self.objective.good_share)


def levels(now: datetime) -> list[Level]:
    """Every promise with the last 30 days and the burn rates of each alert window up to `now`."""
    rows: list[Answers] = []
    found, until = {}, now + timedelta(minutes=1)
    for length in sorted({*WINDOWS, PERIOD}):  # each window is the one before and some more: no minute is read twice
        rows += answers(now - length, until)
        found[length], until = summary(rows), now - length
    return [_level(objective, found) for objective in OBJECTIVES]


def level_findings(now: datetime) -> list[Finding]:
    """The most urgent alert of each promise that burns too fast."""
    return [_finding(level, level.firing[0]) for level in levels(now) if level.firing]


def _level(objective: Objective, found: Mapping[timedelta, Summary]) -> Level:
    counts = {length: AnswerCounts(one.answers, objective.bad(one)) for length, one in found.items()}
    rules = firing(counts, objective=objective.good_share)
    return Level(
        objective,
        counts[PERIOD],
        {length: burn_rate(counts[length], objective=objective.good_share) for length in WINDOWS},
        tuple(rule for rule in rules if counts[rule.long].bad >= FEWEST_BAD),
    )


def _finding(level: Level, rule: BurnRule) -> Finding:
    hours = rule.long / timedelta(hours=1)
    rate = level.burn[rule.long]
    return Finding(
        "levels",
        level.objective.key,
        rule.severity.value,
        f"{level.objective.title}: bad answers {rate:.1f} times as fast as promised, for {hours:g} h",
        level.objective.advice,
        {"burn_rate": round(rate, 2), "window_h": hours, "budget_left": round(level.budget_left, 4)},
    )
