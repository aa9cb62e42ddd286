"""Writes of members: sign-up, sign-in, profile."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from shop_app.accounts.models import User
from shop_app.accounts.passwords import hash_password
from shop_app.core.ids import new_member_key
from shop_app.extensions import db
from shop_app.outbox.services import mark_changed

TRAITS = frozenset({"locale", "country", "device", "newsletter", "loyalty_tier", "preferred_categories"})
"""What may be said about a person at creation; nothing personal, all of it goes to Recsys."""

LOYALTY_TIERS = (("bronze", 100_00), ("silver", 400_00), ("gold", 1_000_00))
"""Minor units spent on standing orders from which a tier is reached, lowest first."""


def create_user(
    email: str, password: str | None, name: str, role: str = "shopper", *, now: datetime, **traits: Any
) -> User:
    """Add a member and ask for a sync of them. The input is already checked; `password=None` cannot sign in.

    Raises:
        TypeError: an unknown trait.

    """
    if unknown := traits.keys() - TRAITS:
        raise TypeError(f"unknown traits: {', '.join(sorted(unknown))}")
    user = User(
        key=new_member_key(),
        email=normal_email(email),
        name=name.strip(),
        password_hash=hash_password(password),
        role=role,
        created_at=now,
        last_seen_at=now,
        **traits,
    )
    db.session.add(user)
    db.session.flush()  # the mark needs the id
    mark_changed("user", [user.id], now)
    return user


def normal_email(email: str) -> str:
    """The one spelling an account is found by."""
    return email.strip().lower()


def find_user(email: str) -> User | None:
    """The member with this address."""
    return db.session.scalars(select(User).where(User.email == normal_email(email))).one_or_none()


def note_spending(user_id: int, spent_minor: int, now: datetime) -> None:
    """Set the loyalty tier that `spent_minor`, in the shop's currency, has earned, and ask for a sync of the member."""
    user = db.session.get_one(User, user_id)
    user.loyalty_tier = loyalty_tier(spent_minor)
    mark_changed("user", [user_id], now)


def loyalty_tier(spent_minor: int) -> str:
    """The name of the highest tier reached; `none` below the first."""
    reached = [name for name, threshold in LOYALTY_TIERS if spent_minor >= threshold]
    return reached[-1] if reached else "none"
