"""What the bandit has learned: settled decisions and their rewards, folded into sums that know no order.

A decision counts when its window has closed, rewarded or not. Counting successes at once and failures only at the
close would make every arm look better the more of its decisions are open (the delayed-feedback bias of Chapelle 2014).
Rewards are kept as whole millionths, so sums are exact: shuffled or repeated streams give the same posterior bit for
bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys_engine.stages.bandit import Arm

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

MICRO = 1_000_000  # a reward of 1 in the unit it is summed in


@dataclass(frozen=True)
class ServedDecision:
    """One decision as stored: which arm was served, when, and for which context bucket."""

    decision_id: str
    arm_id: str
    bucket_key: str
    served_at: datetime


@dataclass(frozen=True)
class DecisionReward:
    """One reward event of a decision, `value` in 0..1; `source_event_id` makes it idempotent."""

    decision_id: str
    source_event_id: str
    value: float
    at: datetime


def settle(
    decisions: Iterable[ServedDecision], rewards: Iterable[DecisionReward], *, now: datetime, window: timedelta
) -> dict[str, list[Arm]]:
    """Arms by context bucket at `now`, each list sorted by arm id.

    A decision's reward is the largest of its rewards within [served, served + window]; later ones and those of unknown
    decisions are ignored. Taking the largest makes repetition harmless even under a new event id.
    """
    served = {decision.decision_id: decision for decision in decisions}
    best = _best_rewards(served, rewards, window)
    sums: dict[tuple[str, str], list[int]] = {}
    for decision in served.values():
        trials_reward_pending = sums.setdefault((decision.bucket_key, decision.arm_id), [0, 0, 0])
        if decision.served_at + window <= now:
            trials_reward_pending[0] += 1
            trials_reward_pending[1] += best.get(decision.decision_id, 0)
        else:
            trials_reward_pending[2] += 1
    arms: dict[str, list[Arm]] = {}
    for (bucket, arm_id), (trials, micros, pending) in sorted(sums.items()):
        arms.setdefault(bucket, []).append(Arm(arm_id, trials, micros / MICRO, pending))
    return arms


def _best_rewards(
    served: dict[str, ServedDecision], rewards: Iterable[DecisionReward], window: timedelta
) -> dict[str, int]:
    best: dict[str, int] = {}
    for reward in rewards:
        decision = served.get(reward.decision_id)
        if decision is None or not decision.served_at <= reward.at <= decision.served_at + window:
            continue
        best[reward.decision_id] = max(best.get(reward.decision_id, 0), round(reward.value * MICRO))
    return best
