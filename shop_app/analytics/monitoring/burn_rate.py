"""How fast bad answers eat the error budget of a service level, and when somebody must look.

Multi-window, multi-burn-rate alerts (Beyer et al. 2018, "The Site Reliability Workbook", ch. 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PERIOD = timedelta(days=30)


class Severity(StrEnum):
    """`PAGE`: someone looks now. `TICKET`: someone looks this week."""

    PAGE = "page"
    TICKET = "ticket"


@dataclass(frozen=True)
class BurnRule:
    """Alert when both windows burn at `rate` × the pace that would just use up the budget in 30 days.

    The long window proves that it matters, the short one that it still goes on.
    """

    severity: Severity
    rate: float
    long: timedelta
    short: timedelta


RULES = (
    BurnRule(Severity.PAGE, 14.4, timedelta(hours=1), timedelta(minutes=5)),
    BurnRule(Severity.PAGE, 6.0, timedelta(hours=6), timedelta(minutes=30)),
    BurnRule(Severity.TICKET, 1.0, timedelta(days=3), timedelta(hours=6)),
)


@dataclass(frozen=True)
class AnswerCounts:
    """Answers of one window: all of them, and those that broke the promise (failed, too slow, empty)."""

    total: int
    bad: int


def burn_rate(counts: AnswerCounts, *, objective: float) -> float:
    """Share of bad answers over the allowed share; `objective` is the promised good share such as .999. No answers
    burn nothing.
    """
    if not 0 < objective < 1:
        raise ValueError("an objective lies strictly between 0 and 1")
    return counts.bad / counts.total / (1 - objective) if counts.total else 0.0


def budget_used(rate: float, window: timedelta, *, period: timedelta = PERIOD) -> float:
    """Share of the period's budget that `window` at `rate` uses: rate × window / period."""
    return rate * (window / period)


def firing(windows: Mapping[timedelta, AnswerCounts], *, objective: float) -> list[BurnRule]:
    """Rules whose two windows both burn too fast, most urgent first. `windows` holds the counts of every window length
    in `RULES`.
    """
    return [
        rule
        for rule in RULES
        if min(burn_rate(windows[length], objective=objective) for length in (rule.long, rule.short)) >= rule.rate
    ]
