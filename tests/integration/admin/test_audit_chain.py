"""The audit trail under a thousand tamperings: one changed character, or one missing row."""

import random
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from shop_app.admin.queries.audit import first_broken, is_cut
from shop_app.core.clock import FixedClock
from shop_app.extensions import db
from shop_app.site_settings.models import AuditEntry
from shop_app.site_settings.services import audit

ENTRIES = 12
EDITS = 500
REMOVALS = 500


def fill(clock: FixedClock) -> None:
    """A trail of a dozen entries, committed."""
    for n in range(ENTRIES):
        audit(
            actor=f"u_{n:04d}", action="settings.update", subject=f"slot:{n}", note=f"reason {n}",
            before={"title": f"old {n}"}, after={"title": f"new {n}"}, now=clock.now() + timedelta(seconds=n),
        )  # fmt: skip
    db.session.commit()


def is_noticed() -> bool:
    return first_broken() is not None or is_cut()


def one_character_off(text: str, dice: random.Random) -> str:
    place = dice.randrange(len(text))
    other = dice.choice([c for c in "abcxyz0189:_ " if c != text[place]])
    return text[:place] + other + text[place + 1 :]


def alter(entry: AuditEntry, dice: random.Random) -> None:
    """Change one character of one field of `entry`."""
    field = dice.choice(["actor", "action", "subject", "note", "chain_hash", "before", "after", "at"])
    held: Any = getattr(entry, field)
    if field == "at":
        entry.at = held + timedelta(seconds=dice.choice([-1, 1, 60]))
    elif isinstance(held, dict):
        setattr(entry, field, {"title": one_character_off(held["title"], dice)})
    else:
        setattr(entry, field, one_character_off(held, dice))


@pytest.mark.ticket("RS-073")
def test_a_thousand_tamperings_are_noticed_a_thousand_times(app: Flask, clock: FixedClock) -> None:
    dice = random.Random(73)
    noticed = {"edit": 0, "removal": 0}
    with app.app_context():
        fill(clock)
        assert not is_noticed()
        for kind in ["edit"] * EDITS + ["removal"] * REMOVALS:
            entry = dice.choice(db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all())
            if kind == "edit":
                alter(entry, dice)
            else:
                db.session.delete(entry)
            db.session.flush()
            noticed[kind] += is_noticed()
            db.session.rollback()
        assert not is_noticed()

    assert noticed == {"edit": EDITS, "removal": REMOVALS}


@pytest.mark.ticket("RS-073")
def test_a_cut_tail_is_told_even_when_all_of_it_is_gone(app: Flask, clock: FixedClock) -> None:
    with app.app_context():
        fill(clock)
        for entry in db.session.scalars(select(AuditEntry)):
            db.session.delete(entry)
        db.session.flush()

        assert first_broken() is None
        assert is_cut()
