"""Sending a batch so that one bad entry never holds back the others. No database here, no clock."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from shop_app.recsys.gateway import RecsysRejected, RecsysUnavailable

Entry = TypeVar("Entry")

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)
ABOUT_THE_CALLER = {401, 403, 404, 405}
CALLER_CODES = {"missing_org_id", "invalid_org_id", "missing_namespace", "unauthorized", "forbidden"}
"""Refusals that say nothing about the entries: a wrong key must not turn a day's events into dead letters."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Entry number `index` of a batch was not taken, and why."""

    index: int
    code: str
    message: str
    path: str = ""


@dataclass(slots=True)
class Outcome(Generic[Entry]):
    """What became of every entry of a batch: delivered, refused for good, or left for later because of `trouble`."""

    delivered: list[Entry] = field(default_factory=list)
    refused: list[tuple[Entry, Refused]] = field(default_factory=list)
    left: list[Entry] = field(default_factory=list)
    trouble: str = ""
    retry_after: timedelta | None = None
    calls: int = 0


def send_in_parts(batch: Sequence[Entry], send: Callable[[Sequence[Entry]], Sequence[Refused]]) -> Outcome[Entry]:
    """Send `batch`; one that is refused as a whole is halved until the entries at fault stand alone.

    One bad entry in n costs at most 1 + 2·⌈log₂ n⌉ calls. The first sign that the other side is away stops everything.
    """
    outcome: Outcome[Entry] = Outcome()
    parts = [list(batch)] if batch else []
    while parts:
        part = parts.pop()
        outcome.calls += 1
        try:
            refusals = {refused.index: refused for refused in send(part)}
        except RecsysUnavailable as error:
            return _stop(outcome, [part, *parts], error)
        except RecsysRejected as error:
            if error.status in ABOUT_THE_CALLER or error.code in CALLER_CODES:
                return _stop(outcome, [part, *parts], error)
            if len(part) == 1:
                outcome.refused.append((part[0], Refused(0, error.code, error.message, _path(error))))
            else:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            continue
        for index, entry in enumerate(part):
            if index in refusals:
                outcome.refused.append((entry, refusals[index]))
            else:
                outcome.delivered.append(entry)
    return outcome


def pause_after(failures: int, rng: random.Random, retry_after: timedelta | None = None) -> timedelta:
    """Full jitter: a random time up to 1 s · 2^(failures−1), at most 5 minutes, never less than what was asked for.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    doublings = min(max(failures - 1, 0), 20)
    ceiling = min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)
    return max(ceiling * rng.random(), retry_after or timedelta(0))


def _stop(
    outcome: Outcome[Entry], parts: list[list[Entry]], error: RecsysUnavailable | RecsysRejected
) -> Outcome[Entry]:
    outcome.left = [entry for part in parts for entry in part]
    outcome.trouble = str(error) or type(error).__name__
    if isinstance(error, RecsysUnavailable) and error.retry_after_s:
        outcome.retry_after = timedelta(seconds=error.retry_after_s)
    return outcome


def _path(error: RecsysRejected) -> str:
    return str(error.details.get("path") or error.details.get("field") or "")
