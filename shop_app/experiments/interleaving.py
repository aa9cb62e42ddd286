"""Team-draft interleaving: two rankers share one list, and clicks say which one shoppers prefer.

Radlinski, Kurup, Joachims 2008, "How Does Clickthrough Data Reflect Retrieval Quality?". It needs far fewer shoppers
than an A/B test, and says only which ranking draws more clicks side by side: not how much more is sold, and nothing
about the page around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shop_app.experiments.statistics.comparisons import sign_test

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator, Sequence


class Team(StrEnum):
    """Which ranker contributed an item."""

    A = "a"
    B = "b"


@dataclass(frozen=True)
class DraftedItem:
    """One slot of the shared list and the ranker that is credited for it."""

    item_id: str
    team: Team


@dataclass(frozen=True)
class Preference:
    """Sessions won by each ranker. `share_b` counts a tie as half a win; `p_value` is the exact sign test without
    ties.
    """

    wins_a: int
    wins_b: int
    ties: int
    share_b: float
    p_value: float


def draft(ranking_a: Sequence[str], ranking_b: Sequence[str], k: int, rng: random.Random) -> list[DraftedItem]:
    """Up to `k` different items: in each round a coin decides who picks first, then each team adds its best item not
    yet taken.
    """
    rankings = {Team.A: iter(ranking_a), Team.B: iter(ranking_b)}
    drafted: list[DraftedItem] = []
    taken: set[str] = set()
    while len(drafted) < k and rankings:
        order = [Team.A, Team.B] if rng.random() < 0.5 else [Team.B, Team.A]
        for team in (team for team in order if team in rankings):
            if len(drafted) == k:
                break
            pick = _next_free(rankings[team], taken)
            if pick is None:
                del rankings[team]
                continue
            taken.add(pick)
            drafted.append(DraftedItem(pick, team))
    return drafted


def credit(drafted: Sequence[DraftedItem], clicked: Iterable[str]) -> tuple[int, int]:
    """Clicked items of team A and of team B in one list; an item counts once, a click on anything else not at all."""
    team_of = {item.item_id: item.team for item in drafted}
    teams = [team_of[item_id] for item_id in set(clicked) if item_id in team_of]
    return teams.count(Team.A), teams.count(Team.B)


def preference(credits_per_session: Iterable[tuple[int, int]]) -> Preference:
    """Who won more sessions. Give one pair per shopper or session (the unit of independence), clicks summed over its
    lists.
    """
    wins_a = wins_b = ties = 0
    for for_a, for_b in credits_per_session:
        wins_a += for_a > for_b
        wins_b += for_b > for_a
        ties += for_a == for_b
    total = wins_a + wins_b + ties
    share_b = (wins_b + ties / 2) / total if total else 0.5
    return Preference(wins_a, wins_b, ties, share_b, sign_test(wins_b, wins_a))


def credited(teams: str, rank: int) -> Team | None:
    """Whose card stood at 1-based `rank`, by the letters that travel with the list's events; None when unknown."""
    letter = teams[rank - 1 : rank]
    return Team(letter) if letter in set(Team) else None


def _next_free(ranking: Iterator[str], taken: set[str]) -> str | None:
    return next((item_id for item_id in ranking if item_id not in taken), None)
