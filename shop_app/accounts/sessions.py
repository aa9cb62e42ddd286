"""Where a member is signed in: one row a browser, so that any of them can be ended from another."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from shop_app.accounts.models import MemberSession, User
from shop_app.core.ids import new_token
from shop_app.extensions import db, rows_changed

SEEN_EVERY = timedelta(minutes=10)
"""`seen_at` is not written more often than this."""


def start_session(user_id: int, device: str, now: datetime) -> str:
    """Put a session down and return its token, which only the cookie holds."""
    token = new_token(32)
    db.session.add(
        MemberSession(user_id=user_id, token_hash=_hash(token), device=device[:60], created_at=now, seen_at=now)
    )
    return token


def is_live(user_id: int, token: str) -> bool:
    """Whether this session was not ended."""
    row = select(MemberSession.id).where(
        MemberSession.token_hash == _hash(token), MemberSession.user_id == user_id, MemberSession.ended_at.is_(None)
    )
    return db.session.scalars(row).first() is not None


def live_sessions(user_id: int) -> Sequence[MemberSession]:
    """Where the member is signed in, latest first."""
    rows = select(MemberSession).where(MemberSession.user_id == user_id, MemberSession.ended_at.is_(None))
    return db.session.scalars(rows.order_by(MemberSession.seen_at.desc(), MemberSession.id.desc())).all()


def is_own(session: MemberSession, token: str) -> bool:
    """Whether this is the browser that asks."""
    return session.token_hash == _hash(token)


def end_session(user_id: int, *, token: str = "", session_id: int = 0, now: datetime) -> bool:
    """End one session of the member, named by its token or its id; `False` when there was none to end."""
    which = MemberSession.token_hash == _hash(token) if token else MemberSession.id == session_id
    mine = update(MemberSession).where(which, MemberSession.user_id == user_id, MemberSession.ended_at.is_(None))
    return rows_changed(mine.values(ended_at=now)) == 1


def end_all_sessions(user: User, now: datetime) -> None:
    """Sign the member out everywhere: every cookie made before this is worthless."""
    user.session_epoch += 1
    mine = update(MemberSession).where(MemberSession.user_id == user.id, MemberSession.ended_at.is_(None))
    db.session.execute(mine.values(ended_at=now))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
