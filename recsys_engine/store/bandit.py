"""Bandit decisions and their rewards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, select, update

from recsys_engine.store.tables import bandit_decisions, bandit_rewards


@dataclass(frozen=True, slots=True)
class ArmSum:
    """Evidence of one policy in one bucket: closed decisions, their rewards in millionths, and open ones."""

    policy_id: str
    trials: int
    reward_micro: int
    pending: int


def write_decision(connection: Connection, tenant: int, values: Mapping[str, Any]) -> None:
    """Store one decision."""
    connection.execute(insert(bandit_decisions).values(tenant=tenant, reward_micro=0, **values))


def arm_sums(connection: Connection, tenant: int, surface: str, bucket_key: str, closed_before_us: int) -> list[ArmSum]:
    """Evidence per policy; a decision is closed when it was served at or before ``closed_before_us``."""
    table = bandit_decisions
    closed = table.c.served_us <= closed_before_us
    rows = connection.execute(
        select(
            table.c.policy_id,
            func.sum(case((closed, 1), else_=0)),
            func.sum(case((closed, table.c.reward_micro), else_=0)),
            func.sum(case((closed, 0), else_=1)),
        )
        .where(table.c.tenant == tenant, table.c.surface == surface, table.c.bucket_key == bucket_key)
        .group_by(table.c.policy_id)
    )
    return [ArmSum(policy_id, int(trials), int(micro), int(pending)) for policy_id, trials, micro, pending in rows]


def one_bandit_decision(connection: Connection, tenant: int, decision_id: str) -> Any:
    """The row of a decision, locked until commit, or None."""
    where = (bandit_decisions.c.tenant == tenant, bandit_decisions.c.decision_id == decision_id)
    return connection.execute(select(bandit_decisions).where(*where).with_for_update()).one_or_none()


def stored_reward(connection: Connection, tenant: int, source_event_id: str) -> Any:
    """The reward stored under an id, or None."""
    where = (bandit_rewards.c.tenant == tenant, bandit_rewards.c.source_event_id == source_event_id)
    return connection.execute(select(bandit_rewards).where(*where)).one_or_none()


def write_reward(connection: Connection, tenant: int, values: Mapping[str, Any], *, counts: bool) -> None:
    """Store a reward; if it counts, the decision keeps the larger of it and what it had."""
    connection.execute(insert(bandit_rewards).values(tenant=tenant, **values))
    if counts:
        table = bandit_decisions
        connection.execute(
            update(table)
            .where(
                table.c.tenant == tenant,
                table.c.decision_id == values["decision_id"],
                table.c.reward_micro < values["reward_micro"],
            )
            .values(reward_micro=values["reward_micro"])
        )


def forget_bandit(connection: Connection, tenant: int, user_hashes: Sequence[str]) -> int:
    """Delete the decisions (and their rewards) made for some users; returns how many decisions went."""
    table = bandit_decisions
    mine = (table.c.tenant == tenant, table.c.user_hash.in_(list(user_hashes)))
    ids = select(table.c.decision_id).where(*mine)
    connection.execute(
        delete(bandit_rewards).where(bandit_rewards.c.tenant == tenant, bandit_rewards.c.decision_id.in_(ids))
    )
    return int(connection.execute(delete(table).where(*mine)).rowcount)
