"""Changing settings: every edit names the version it saw, and leaves a trace."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from shop_app.core.errors import Conflict
from shop_app.extensions import db, insert_into
from shop_app.site_settings.models import AuditEntry, AuditHead, SiteSetting
from shop_app.site_settings.stored import ENGINE_KEY

HEAD_ID = 1
"""The only row of `audit_head`."""


def update(key: str, values: dict[str, Any], *, expected_version: int, actor: str, now: datetime) -> SiteSetting:
    """Store `values` under `key` and write the audit row. The values are already checked by the form.

    Raises:
        Conflict: somebody else saved since `expected_version` (0: there was no row).

    """
    row = db.session.scalars(select(SiteSetting).where(SiteSetting.key == key).with_for_update()).one_or_none()
    if (row.version if row else 0) != expected_version:
        raise Conflict(f"{key} was changed by {row.updated_by if row else 'somebody'} meanwhile")
    before = dict(row.values) if row else None
    if row is None:
        row = SiteSetting(key=key, values=values, version=1, updated_at=now, updated_by=actor)
        db.session.add(row)
    else:
        row.values, row.version, row.updated_at, row.updated_by = values, row.version + 1, now, actor
    audit(actor=actor, action="settings.update", subject=key, before=before, after=values, now=now)
    return row


def keep(key: str, changes: Mapping[str, Any], *, actor: str, now: datetime) -> None:
    """Note something every list must know, without a version to be named and without a trace in the audit trail.

    `changes` go over the stored values; None takes a value away.
    """
    first = {"key": key, "values": {}, "version": 0, "updated_at": now, "updated_by": actor}
    db.session.execute(insert_into(SiteSetting).values(first).on_conflict_do_nothing())
    locked = select(SiteSetting).where(SiteSetting.key == key).with_for_update()
    row = db.session.scalars(locked.execution_options(populate_existing=True)).one()
    row.values = {name: value for name, value in {**row.values, **changes}.items() if value is not None}
    row.version, row.updated_at, row.updated_by = row.version + 1, now, actor


def audit_engine(
    *,
    actor: str,
    action: str,
    subject: str,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Append to the audit trail that the recommender's own settings changed, and make every process ask it anew.

    The settings lie at the recommender; here a version goes up, so that no answer from before is repeated.
    """
    keep(ENGINE_KEY, {}, actor=actor, now=now)
    audit(actor=actor, action=action, subject=subject[:200], before=before, after=after, now=now)


def audit(
    *,
    actor: str,
    action: str,
    subject: str,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    note: str = "",
) -> None:
    """Append to the audit trail. Each row's hash covers the row before it, so an edit or a gap shows; the head
    counts the rows, so a cut tail shows too.
    """
    first = {"id": HEAD_ID, "entries": 0, "chain_hash": ""}
    db.session.execute(insert_into(AuditHead).values(first).on_conflict_do_nothing())
    locked = select(AuditHead).where(AuditHead.id == HEAD_ID).with_for_update()
    head = db.session.scalars(locked.execution_options(populate_existing=True)).one()
    entry = AuditEntry(
        at=now, actor=actor, action=action, subject=subject, before=before, after=after, note=note, chain_hash=""
    )
    entry.chain_hash = chain_hash(head.chain_hash, entry)
    head.entries, head.chain_hash = head.entries + 1, entry.chain_hash
    db.session.add(entry)
    db.session.flush()  # the next entry of this transaction must see this one's hash


def chain_hash(previous: str, entry: AuditEntry) -> str:
    """SHA-256 over the previous hash and the row's content."""
    content = [previous, entry.at.isoformat(), entry.actor, entry.action, entry.subject, entry.before, entry.after]
    return hashlib.sha256(json.dumps([*content, entry.note], sort_keys=True).encode()).hexdigest()
