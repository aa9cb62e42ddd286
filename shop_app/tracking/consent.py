"""The choice about tracking: what is asked, in which words, and what was answered."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from shop_app.core.shopper import Consent
from shop_app.extensions import db
from shop_app.tracking.models import Complaint, ConsentRecord

TEXT_VERSION = "2026-11"
QUESTION = "May we learn from your visit?"
EXPLANATION = (
    "If you agree, we count what is looked at and suggest things that fit you. If not, the shop works all the same."
)
ANSWERS = {"all": "Accept all", "essential": "Essential only", "custom": "Save my choice"}
"""What each button says."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """One thing a person can say yes or no to."""

    name: str
    title: str
    text: str
    is_required: bool = False


PURPOSES = (
    Purpose(
        "essential",
        "Essential",
        "Keeps your basket, your sign-in and this choice. The shop does not work without it.",
        is_required=True,
    ),
    Purpose(
        "analytics",
        "Measurement",
        "Counts which products and lists are seen and clicked during a visit, so that we can improve the shop.",
    ),
    Purpose(
        "personalisation",
        "Recommendations for you",
        "Remembers what you look at and buy, so that the products we suggest fit you.",
    ),
)


def text_hash() -> str:
    """SHA-256 of the very words that were shown: the question, the answers and every purpose."""
    words = "\n".join([QUESTION, EXPLANATION, *ANSWERS.values(), *(f"{p.name}|{p.title}|{p.text}" for p in PURPOSES)])
    return hashlib.sha256(f"{TEXT_VERSION}\n{words}".encode()).hexdigest()


def record_consent(shopper_key: str, choice: Consent, now: datetime) -> None:
    """Write down what the person chose, with the version and hash of the text they saw.

    A no to personalisation ends what lists were to leave out for them.
    """
    db.session.add(
        ConsentRecord(
            shopper_key=shopper_key,
            analytics=choice.analytics,
            personalisation=choice.personalisation,
            text_version=TEXT_VERSION,
            text_hash=text_hash(),
            decided_at=now,
        )
    )
    if not choice.personalisation:
        kept = (Complaint.shopper_key == shopper_key, Complaint.turned_away.is_not(None))
        db.session.execute(update(Complaint).where(*kept).values(turned_away=None))


def personalised(shopper_keys: Sequence[str]) -> set[str]:
    """Those of `shopper_keys` whose latest decision allows personalisation. Undecided means no."""
    latest = (
        select(func.max(ConsentRecord.id)).where(ConsentRecord.shopper_key.in_(shopper_keys))
        .group_by(ConsentRecord.shopper_key)
    )  # fmt: skip
    agreed = select(ConsentRecord.shopper_key).where(ConsentRecord.id.in_(latest), ConsentRecord.personalisation)
    return set(db.session.scalars(agreed))
