"""The bandit's verbs: which policy to serve, what it earned, and a list served by it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from recsys_engine.contract.checks import is_valid_id
from recsys_engine.contract.control import Decide, Policy, PolicyChoice
from recsys_engine.contract.errors import ContractError
from recsys_engine.signals.bandit import MICRO
from recsys_engine.stages.bandit import Algorithm, Arm, BanditSettings, bucket_key, choose_arm, is_held_out
from recsys_engine.store import bandit as bandit_store
from recsys_engine.store.ingest import to_us

REWARD_WINDOW = timedelta(days=1)
"""A decision without a reward counts as a failure when this long has passed; later rewards are ignored."""
HOLDOUT_SHARE = 0.1
EXPERIMENT = "bandit_exploration"
Opened = Callable[[], AbstractContextManager[tuple[Connection, int]]]


class Bandit:
    """Chooses among the namespace's policies. Posterior sums are order-free and repeats change nothing."""

    def __init__(
        self,
        policies: Callable[[], Sequence[Policy]],
        reading: Opened,
        writing: Opened,
        now: Callable[[], datetime],
        user_hash: Callable[[str], str],
        *,
        holdout_share: float = HOLDOUT_SHARE,
    ) -> None:
        self._policies = policies
        self._reading = reading
        self._writing = writing
        self._now = now
        self._user_hash = user_hash
        self._holdout_share = holdout_share

    def decide(self, ask: Decide, seed: str, *, decision_id: str | None = None) -> tuple[PolicyChoice, Policy]:
        """Draw a policy and store the decision with its exact propensity.

        Held-out shoppers (sticky per user and surface) get the best policy so far, variant ``control``. Raises
        ``policy_not_found`` when nothing is eligible.
        """
        eligible = self._eligible(ask)
        settings = _settings(ask)
        bucket = bucket_key(ask.context)
        now_us = to_us(self._now())
        window_us = REWARD_WINDOW // timedelta(microseconds=1)
        with self._writing() as (connection, tenant):
            sums = bandit_store.arm_sums(connection, tenant, ask.surface, bucket, now_us - window_us)
            known = {one.policy_id: one for one in sums}
            arms = [_arm(policy_id, known.get(policy_id)) for policy_id in eligible]
            drawn = choose_arm(arms, settings, Random(seed))
            held = bool(ask.user_id) and is_held_out(ask.user_id or "", salt=ask.surface, share=self._holdout_share)
            policy_id = drawn.empirical_best if held else drawn.arm_id
            choice = PolicyChoice(
                decision_id=self._free_id(connection, tenant, decision_id),
                policy_id=policy_id,
                algorithm=settings.algorithm.value,
                surface=ask.surface,
                bucket_key=bucket,
                propensity=1.0 if held else drawn.propensity,
                explore=policy_id != drawn.empirical_best,
                empirical_best=drawn.empirical_best,
                experiment=EXPERIMENT,
                variant="control" if held else "treatment",
            )
            bandit_store.write_decision(connection, tenant, self._row(choice, ask, now_us))
        return choice, eligible[policy_id]

    def reward(self, decision_id: str, reward: float, source_event_id: str) -> bool:
        """Record what a decision earned (0-1); True when it was new.

        The same ``source_event_id`` again changes nothing; with another body it is ``id_conflict``. A reward after the
        window is stored but does not count. Raises ``decision_not_found``.
        """
        if not 0 <= reward <= 1:
            raise ContractError("invalid_reward", "reward must lie within 0-1", {"field": "reward"})
        if not is_valid_id(source_event_id):
            raise ContractError("missing_fields", "source_event_id is required", {"field": "source_event_id"})
        micro = round(reward * MICRO)
        now = self._now()
        with self._writing() as (connection, tenant):
            decision = bandit_store.one_bandit_decision(connection, tenant, decision_id)
            if decision is None:
                raise ContractError("decision_not_found", "no such decision", {"decision_id": decision_id[:200]})
            stored = bandit_store.stored_reward(connection, tenant, source_event_id)
            if stored is not None:
                if (stored.decision_id, stored.reward_micro) != (decision_id, micro):
                    raise ContractError("id_conflict", "another reward was stored under this source_event_id")
                return False
            values = {
                "source_event_id": source_event_id,
                "decision_id": decision_id,
                "reward_micro": micro,
                "at_us": to_us(now),
            }
            in_time = to_us(now - REWARD_WINDOW) <= decision.served_us
            bandit_store.write_reward(connection, tenant, values, counts=in_time)
        return True

    @staticmethod
    def _free_id(connection: Connection, tenant: int, wanted: str | None) -> str:
        if wanted and bandit_store.one_bandit_decision(connection, tenant, wanted) is None:
            return wanted
        return str(uuid4())

    def _eligible(self, ask: Decide) -> dict[str, Policy]:
        policies = {policy.policy_id: policy for policy in self._policies()}
        if ask.candidate_policy_ids:
            found = {name: policies[name] for name in ask.candidate_policy_ids if name in policies}
        else:
            found = {name: policy for name, policy in policies.items() if policy.active}
        if not found:
            raise ContractError("policy_not_found", "no eligible policy", {"field": "candidate_policy_ids"})
        return found

    def _row(self, choice: PolicyChoice, ask: Decide, now_us: int) -> dict[str, Any]:
        return {
            "decision_id": choice.decision_id,
            "surface": choice.surface,
            "bucket_key": choice.bucket_key,
            "policy_id": choice.policy_id,
            "algorithm": choice.algorithm,
            "propensity": choice.propensity,
            "variant": choice.variant,
            "user_hash": self._user_hash(ask.user_id) if ask.user_id else None,
            "served_us": now_us,
        }


def _settings(ask: Decide) -> BanditSettings:
    algorithm = _algorithm(ask.algorithm)
    if ask.exploration_floor is None:
        return BanditSettings(algorithm)
    if not 0 < ask.exploration_floor <= 1:
        message = "exploration_floor must lie above 0 and not above 1"
        raise ContractError("invalid_exploration_floor", message, {"field": "exploration_floor"})
    return BanditSettings(algorithm, epsilon=ask.exploration_floor)


def _algorithm(name: str | None) -> Algorithm:
    if not name:
        return Algorithm.THOMPSON
    try:
        return Algorithm(name)
    except ValueError as error:
        known = ", ".join(Algorithm)
        raise ContractError("invalid_algorithm", f"algorithm must be one of {known}", {"field": "algorithm"}) from error


def _arm(policy_id: str, known: bandit_store.ArmSum | None) -> Arm:
    if known is None:
        return Arm(policy_id)
    return Arm(policy_id, known.trials, known.reward_micro / MICRO, known.pending)
