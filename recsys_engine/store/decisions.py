"""Served lists, written in batches by the background thread."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from recsys_engine.store.tables import decisions, settings_sets

_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class NewDecision:
    """One served list about to be stored; ``body`` is JSON text."""

    decision_id: str
    request_id: str
    ts_us: int
    surface: str
    user_hash: str | None
    log_seq: int
    body: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One served list. ``body`` holds the request, the settings digest, the candidates and the final items."""

    decision_id: str
    request_id: str
    ts_us: int
    surface: str
    user_hash: str | None
    log_seq: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DecisionQuery:
    """What to look for; times are inclusive microseconds."""

    from_us: int | None = None
    to_us: int | None = None
    user_hash: str | None = None
    request_id: str | None = None
    surface: str | None = None
    limit: int = 50


def write_decisions(connection: Connection, tenant: int, batch: Iterable[NewDecision]) -> None:
    """Store many decisions at once."""
    connection.execute(
        insert(decisions),
        [
            {
                "tenant": tenant,
                "decision_id": decision.decision_id,
                "request_id": decision.request_id,
                "ts_us": decision.ts_us,
                "surface": decision.surface,
                "user_hash": decision.user_hash,
                "log_seq": decision.log_seq,
                "body": decision.body,
            }
            for decision in batch
        ],
    )


def keep_settings(connection: Connection, tenant: int, sets: Mapping[str, str]) -> None:
    """Store settings sets by digest, unless they are there."""
    held = select(settings_sets.c.digest).where(settings_sets.c.tenant == tenant, settings_sets.c.digest.in_(sets))
    known = set(connection.execute(held).scalars())
    fresh = [{"tenant": tenant, "digest": digest, "body": body} for digest, body in sets.items() if digest not in known]
    if fresh:
        connection.execute(insert(settings_sets), fresh)


def settings_text(connection: Connection, tenant: int, digest: str) -> str | None:
    """A settings set by digest."""
    where = (settings_sets.c.tenant == tenant, settings_sets.c.digest == digest)
    return connection.execute(select(settings_sets.c.body).where(*where)).scalar()


def find_decisions(connection: Connection, tenant: int, query: DecisionQuery) -> list[Decision]:
    """Matching decisions, newest first."""
    where = [decisions.c.tenant == tenant]
    if query.from_us is not None:
        where.append(decisions.c.ts_us >= query.from_us)
    if query.to_us is not None:
        where.append(decisions.c.ts_us <= query.to_us)
    for name in ("user_hash", "request_id", "surface"):
        wanted = getattr(query, name)
        if wanted:
            where.append(decisions.c[name] == wanted)
    order = (decisions.c.ts_us.desc(), decisions.c.decision_id)
    rows = connection.execute(select(decisions).where(*where).order_by(*order).limit(query.limit))
    return [_decision(row) for row in rows]


def one_decision(connection: Connection, tenant: int, decision_id: str) -> Decision | None:
    """A decision by id."""
    where = (decisions.c.tenant == tenant, decisions.c.decision_id == decision_id)
    row = connection.execute(select(decisions).where(*where)).one_or_none()
    return None if row is None else _decision(row)


def forget_decisions(connection: Connection, tenant: int, user_hashes: Sequence[str]) -> int:
    """Delete every decision made for some users; returns how many went."""
    where = (decisions.c.tenant == tenant, decisions.c.user_hash.in_(list(user_hashes)))
    return int(connection.execute(delete(decisions).where(*where)).rowcount)


def delete_decisions_before(connection: Connection, tenant: int, before_us: int, limit: int) -> int:
    """Delete up to ``limit`` of the decisions made before a moment, the oldest first; returns how many went."""
    of = decisions.c.tenant == tenant
    oldest = select(decisions.c.decision_id).where(of, decisions.c.ts_us < before_us)
    ids = connection.execute(oldest.order_by(decisions.c.ts_us).limit(limit)).scalars().all()
    if ids:
        connection.execute(delete(decisions).where(of, decisions.c.decision_id.in_(ids)))
    return len(ids)


def least_log_seq(connection: Connection, tenant: int) -> int | None:
    """The lowest row of the log that a stored decision was computed from; None without decisions.

    Looks at the hour from the oldest one: no process that serves lists is ever further behind the log than seconds.
    """
    of = decisions.c.tenant == tenant
    oldest_us = connection.execute(select(func.min(decisions.c.ts_us)).where(of)).scalar()
    if oldest_us is None:
        return None
    first_hour = decisions.c.ts_us <= oldest_us + _HOUR_US
    return int(connection.execute(select(func.min(decisions.c.log_seq)).where(of, first_hour)).scalar_one())


def _decision(row: Any) -> Decision:
    return Decision(
        row.decision_id, row.request_id, row.ts_us, row.surface, row.user_hash, row.log_seq, json.loads(row.body)
    )
